"""The page of a code as `deqc explain E031` prints it."""

from __future__ import annotations

import textwrap

from deqc.cli.render import render_text
from deqc.codes import CODES
from deqc.front import check_text
from deqc.pages import page

FILE = "spec.yaml"


def render_page(code: str, color: bool) -> str:
    """What the code means, an example with the message that it gives, and how it is mended."""
    shown = page(code)
    parts = [f"{code}: {CODES[code]}", shown.text]
    if shown.wrong is not None:
        messages = render_text(check_text(shown.wrong, FILE), {FILE: shown.wrong}, color=color)
        parts += ["This spec", _indented(shown.wrong), "is told", _indented(messages.rpartition("\n\n")[0])]
    if shown.right is not None:
        parts += ["This one is right:", _indented(shown.right)]
    return "\n\n".join(parts) + "\n"


def _indented(text: str) -> str:
    return textwrap.indent(text.rstrip("\n"), "    ")
