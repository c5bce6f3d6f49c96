"""Runs what a page of the documentation shows: its fenced blocks, in order, in an empty folder.

yaml         A whole spec (it says `deqc:`) has to be right and is written to `<name>.yaml`, the name in snake case.
             Anything else replaces sections of the page's last whole spec, and the result has to be right.
python       Runs, all blocks of a page in one namespace. A `text` block right behind it is what it prints.
console, sh  The lines `$ deqc …` (in `sh`, `deqc …`) run; the lines below one are what it prints, `> file` keeps
             it. Other commands do not run.

In what is printed, `...` stands for anything. A comment above a block changes what is asked of it:

<!-- refused: E028 -->            the yaml is wrong, with these codes
<!-- excerpt: classifier.py -->   every paragraph of the block is in this file of the folder
<!-- not run: the reason -->      nothing is done
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from markdown_it import MarkdownIt

import deqc
from deqc.cli.main import deqc as command_line
from deqc.compiler import snake_case
from deqc.diagnostics import Severity

_COMMENT = re.compile(r"<!--\s*(refused|excerpt|not run):\s*(.*?)\s*-->\s*\Z", re.DOTALL)
_SECTION = re.compile(r"^[a-z_]+:", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text and first line, and the comment above it."""

    language: str
    text: str
    line: int
    order: str = ""
    argument: str = ""


def blocks(markdown: str) -> Iterator[Block]:
    """The fenced blocks of a page that have a language."""
    comment: tuple[str, str] = "", ""
    for token in MarkdownIt().parse(markdown):
        if token.type == "html_block":
            found = _COMMENT.search(token.content)
            comment = (found[1], found[2]) if found else ("", "")
        elif token.type == "fence":
            assert token.map is not None
            language = re.sub(r"\{code-block\}\s*", "", token.info).split(" ")[0]
            yield Block(language, token.content, token.map[0] + 2, *comment)
            comment = "", ""


class Page:
    """A page whose blocks run one after the other in one folder and one namespace."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.names: dict[str, object] = {"__name__": path.stem}
        self.spec = ""  # the last whole one
        self.printed: str | None = None  # by the block of Python just above

    def run(self) -> None:
        """Runs every block."""
        for block in blocks(self.path.read_text(encoding="utf-8")):
            printed, self.printed = self.printed, None
            if block.order == "not run":
                continue
            if block.order == "excerpt":
                self._excerpt(block)
            elif block.language == "yaml":
                self._yaml(block)
            elif block.language == "python":
                self._python(block)
            elif block.language == "text" and printed is not None:
                self._compare(block.line, block.text, printed)
            elif block.language in ("console", "sh"):
                self._commands(block)

    def _yaml(self, block: Block) -> None:
        whole = re.search(r"^deqc:", block.text, re.MULTILINE) is not None
        spec = block.text if whole else _replaced(self.spec, block.text)
        errors = [d for d in deqc.check(spec) if d.severity is Severity.ERROR]
        found, expected = {d.code for d in errors}, set(re.findall(r"[EN]\d{3}", block.argument))
        if found != expected:
            self._fail(block.line, "\n".join(map(str, errors)) or f"the spec is right, expected {expected}")
        if whole:
            self.spec = spec
            name = re.search(r"^name: *(\w+)", spec, re.MULTILINE)
            (self.folder / f"{snake_case(name[1] if name else 'model')}.yaml").write_text(spec, encoding="utf-8")

    def _python(self, block: Block) -> None:
        output = io.StringIO()
        code = compile("\n" * (block.line - 1) + block.text, str(self.path), "exec", dont_inherit=True)
        with contextlib.redirect_stdout(output):
            exec(code, self.names)
        self.printed = output.getvalue()

    def _commands(self, block: Block) -> None:
        prompt = "$ " if block.language == "console" else ""
        lines = block.text.splitlines()
        starts = [n for n, line in enumerate(lines) if line.startswith(f"{prompt}deqc ")]
        for start in starts:
            line, _, file = re.sub(r"\s#.*", "", lines[start].removeprefix(f"{prompt}deqc ")).partition(" > ")
            stop = next((n for n in range(start + 1, len(lines)) if lines[n].startswith(prompt)), len(lines))
            result = CliRunner().invoke(command_line, line.split(), prog_name="deqc")
            if file:
                (self.folder / file.strip()).write_bytes(result.stdout_bytes)
            if expected := lines[start + 1 : stop]:
                self._compare(block.line + start, "\n".join(expected), result.output)
            elif result.exit_code != 0:
                self._fail(block.line + start, f"exit status {result.exit_code}\n{result.output}")

    def _excerpt(self, block: Block) -> None:
        file = self.folder / block.argument
        if not file.exists():
            file.write_text(deqc.compile(self.spec), encoding="utf-8")
        for part in block.text.strip().split("\n\n\n"):
            if part not in file.read_text(encoding="utf-8"):
                self._fail(block.line, f"{block.argument} does not hold\n{part}")

    def _compare(self, line: int, expected: str, found: str) -> None:
        checker = doctest.OutputChecker()
        expected, found = (
            "".join(f"{line.rstrip()}\n" for line in text.strip().splitlines()) for text in (expected, found)
        )
        if not checker.check_output(expected, found, doctest.ELLIPSIS):
            self._fail(line, f"printed was\n{found}")

    def _fail(self, line: int, message: str) -> None:
        pytest.fail(f"{self.path}:{line}: {message}", pytrace=False)


def _replaced(spec: str, sections: str) -> str:
    """The spec with these sections in the place of its own of the same names."""
    new = set(yaml.safe_load(sections))
    starts = [match.start() for match in _SECTION.finditer(spec)] + [len(spec)]
    parts = [spec[start:stop] for start, stop in pairwise(starts)]
    return "".join([*(part for part in parts if part.partition(":")[0] not in new), sections])


def run(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a page in an empty folder, from which it may also import."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    try:
        Page(path, folder).run()
    finally:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]
