"""The page of every diagnostic's code: what it means, a spec that has the mistake, and the same spec without it.

A page is a file `<code>.md`; the documentation shows the same files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"```yaml(?P<wrong> wrong)?\n(?P<spec>.*?)```\n", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """What is to be said of a code; some mistakes are not made of one short spec, and have none to show."""

    text: str
    wrong: str | None
    right: str | None


def page(code: str) -> Page:
    """The page of a code of `deqc.codes.CODES`."""
    content = (Path(__file__).parent / f"{code}.md").read_text(encoding="utf-8")
    specs = {bool(found["wrong"]): found["spec"] for found in _FENCE.finditer(content)}
    return Page(_FENCE.sub("", content).strip(), specs.get(True), specs.get(False))
