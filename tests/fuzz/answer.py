"""What deqc owes to any text: diagnostics, each at a place of it, or a module; soon, and nothing else."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from deqc.cli.github import render_github
from deqc.cli.render import render_json, render_text
from deqc.cli.sarif import render_sarif
from deqc.codes import CODES
from deqc.compiler import Compilation, compile_text
from deqc.diagnostics import Diagnostic, Severity, Span, SpecError
from deqc.emit.check import check_output
from deqc.explain import explain
from deqc.front import check_text
from deqc.layout import format_text
from deqc.picture import mermaid, scene
from deqc.spec.canonical import sha256

FILE = "fuzz.yaml"
SECONDS = 2.0  # of processor time for one compilation, on a machine that others use too
HANG = 60  # seconds of the clock after which a try is given up
_BREAKS = re.compile(r"\r\n|\r|\n")


class Hang(BaseException):
    """A try that does not end; no handler of ordinary exceptions may take it for its own."""


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang(f"no answer in {HANG} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def answered(text: str) -> bool:
    """Whether the text compiles; fails where deqc's answer is not what it owes."""
    with _alarm():
        began = time.process_time()
        try:
            compilation = compile_text(text, FILE)
        except SpecError as fault:
            taken = time.process_time() - began
            _told(fault.diagnostics, text)
            assert any(one.severity is Severity.ERROR for one in fault.diagnostics)
            assert check_text(text, FILE) == list(fault.diagnostics), "check and compile disagree"
            compiled = False
        else:
            taken = time.process_time() - began
            _told(compilation.warnings, text)
            assert check_text(text, FILE) == list(compilation.warnings), "check and compile disagree"
            _made(compilation)
            compiled = True
        assert taken < SECONDS, f"{taken:.1f} s"
        _laid_out(text, compilation if compiled else None)
        return compiled


def _told(found: tuple[Diagnostic, ...], text: str) -> None:
    """Every diagnostic has a code, a message and a place within the text, and is shown in every form."""
    lines = _BREAKS.split(text)
    for one in found:
        assert one.code in CODES
        assert one.message
        for span in (one.span, *(related.span for related in one.related)):
            _inside(span, lines)
    shown = render_text(found, {FILE: text})
    assert all(one.message.partition(" ")[0] in shown for one in found)
    assert len(json.loads(render_json(found))) == len(found)
    assert len(render_github(found).splitlines()) == len(found)
    assert len(json.loads(render_sarif(found))["runs"][0]["results"]) == len(found)


def _inside(span: Span, lines: list[str]) -> None:
    assert 1 <= span.line <= len(lines), span
    assert 1 <= span.column <= len(lines[span.line - 1]) + 1, span
    assert (span.line, span.column) <= span.end, span
    assert span.end_line <= len(lines), span
    behind = len(lines[span.end_line - 1]) + 1
    assert span.end_column <= behind + (span.column == behind), span  # what is missing there is shown one column wide


def _made(compilation: Compilation) -> None:
    """The module is Python that deqc allows, and what it is can be told and drawn."""
    compile(compilation.source, "<module>", "exec")
    check_output(compilation.source)
    assert explain(compilation)
    assert mermaid(scene(compilation))


def _laid_out(text: str, compilation: Compilation | None) -> None:
    """`fmt` lays out what is YAML, once and for all, and without changing what it means."""
    try:
        formatted = format_text(text, FILE)
    except SpecError as fault:
        assert compilation is None
        _told(fault.diagnostics, text)
        return
    assert format_text(formatted, FILE) == formatted
    if compilation is not None:
        again = compile_text(formatted, FILE)
        assert sha256(again.spec) == sha256(compilation.spec)
        assert again.source == compilation.source
