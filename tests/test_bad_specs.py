"""Every kind of mistake that a spec can hold, with all that deqc says of it.

A file in `bad_specs/` carries its diagnostics in its head, in reading order, each as `# expect: line:column code
message` and, where there is one, `# hint: …`; the texts are parts of the real ones, everything else is exact.
`python tests/test_bad_specs.py` writes the heads again after a change of wording: read the difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import deqc
from deqc.cli.render import render_json, render_text
from deqc.codes import CODES
from deqc.diagnostics import Diagnostic, Severity

FOLDER = Path(__file__).parent / "bad_specs"
FILES = sorted(FOLDER.glob("*.yaml"))

# Mistakes that are made of bytes or of thousands of values, and those that only the command line meets
# (tests/cli/test_projects.py); doubts have a test of their own.
ELSEWHERE = {"E001", "E002", "E005", "E006", "E016"} | {"E032", "E033", "E091", "E092", "E093", "E094"}


@dataclass(frozen=True)
class Expected:
    place: str
    code: str
    message: str
    hint: str | None

    def describes(self, found: Diagnostic) -> bool:
        same = f"{found.span.line}:{found.span.column}" == self.place and found.code == self.code
        hinted = self.hint is None or self.hint in (found.hint or "")
        return same and self.message in found.message and hinted


def expectations(text: str) -> list[Expected]:
    """What the head of a file says of it."""
    found: list[Expected] = []
    for line in text.splitlines():
        if match := re.match(r"# expect: (\d+:\d+) ([EN]\d{3}) (.*)", line):
            found.append(Expected(match[1], match[2], match[3], None))
        elif match := re.match(r"# hint: (.*)", line):
            last = found.pop()
            found.append(Expected(last.place, last.code, last.message, match[1]))
        elif not line.startswith("#"):
            break
    return found


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_bad_spec(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    found = deqc.check(file)
    expected = expectations(text)
    assert expected, "the file expects nothing"
    shown = render_text(found, {str(file): text})
    assert len(found) == len(expected), shown
    assert all(e.describes(f) for e, f in zip(expected, found, strict=True)), shown
    assert found == sorted(found, key=lambda d: (d.span.line, d.span.column)), "not in reading order"
    assert any(d.severity is Severity.ERROR for d in found)
    for diagnostic in found:
        assert diagnostic.span.file == str(file)
        assert diagnostic.code in CODES
        assert shown.count("^") > 0
    render_json(found)


def test_no_bad_spec_compiles() -> None:
    for file in FILES:
        with pytest.raises(deqc.SpecError):
            deqc.compile(file)


def test_every_code_has_a_bad_spec() -> None:
    used = {expected.code for file in FILES for expected in expectations(file.read_text(encoding="utf-8"))}
    assert {code for code in CODES if code.startswith("E")} - used == ELSEWHERE


def test_every_code_in_the_sources_is_listed() -> None:
    package = Path(deqc.__file__).parent
    used: set[str] = set()
    for file in package.rglob("*.py"):
        if file.name != "codes.py":
            used.update(re.findall(r'"([EN]\d{3})"', file.read_text(encoding="utf-8")))
    assert used == set(CODES)


# What a hint tells to write in place of the marked text, where it says so exactly.
WRITE = re.compile(
    r"(?:did you mean |(?:it without \w+: |^write )(?=[\"`'$0-9.-]))(?P<text>'[^']+'|`[^`…]+`|\"[^\"]+\"|[-\w.]+)"
)


def replacement(hint: str) -> str | None:
    """The text that a hint gives for the marked one."""
    found = WRITE.search(hint)
    if found is None or "…" in found["text"]:
        return None
    return found["text"] if found["text"].startswith('"') else found["text"].strip("'`")


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_what_a_hint_says_to_write_mends_the_mistake(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    lines = text.split("\n")
    for one in deqc.check(text):
        span, written = one.span, replacement(one.hint or "")
        if written is None or span.end_line != span.line:
            continue
        line = lines[span.line - 1]
        mended = line[: span.column - 1] + written + line[span.end_column - 1 :]
        left = deqc.check("\n".join([*lines[: span.line - 1], mended, *lines[span.line :]]))
        assert not any((d.code, d.span.line, d.span.column) == (one.code, span.line, span.column) for d in left), (
            f"{one.code} {one.message}\n{one.hint}\n{mended}"
        )


def rewrite(file: Path) -> None:
    """Writes the head of a file again; its first line, what the file is about, stays."""
    title, *rest = file.read_text(encoding="utf-8").split("\n")
    body = [line for line in rest if not re.match(r"# (expect|hint): ", line)]
    bare = "\n".join([title, *body])
    found = deqc.check(bare)
    lines = sum(1 + (d.hint is not None) for d in found)
    head = [title]
    for diagnostic in found:
        span = diagnostic.span
        line = span.line + lines if span.line > 1 else span.line
        head.append(f"# expect: {line}:{span.column} {diagnostic.code} {diagnostic.message}")
        if diagnostic.hint is not None:
            head.append(f"# hint: {diagnostic.hint}")
    file.write_text("\n".join([*head, *body]), encoding="utf-8")


if __name__ == "__main__":
    for each in FILES:
        rewrite(each)
