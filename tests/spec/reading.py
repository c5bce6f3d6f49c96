"""What the tests of this folder share: a spec's text to its tree, its spec and its diagnostics."""

from __future__ import annotations

from textwrap import dedent, indent

from deqc.diagnostics import Diagnostic, Problems
from deqc.spec.build import build
from deqc.spec.loader import load
from deqc.spec.meant import sections_as_meant
from deqc.spec.model import Computation, Reference, Spec, Step
from deqc.spec.validate import validate

HEAD = "deqc: 1\nname: M\ninput: {x: [4]}\n"


def single(main: str, more: str = "") -> str:
    """A spec of one scale; `main` is the value of `main_layers`, in block or flow style."""
    body = f" {main}\n" if "\n" not in main else "\n" + indent(dedent(main).strip("\n"), "  ") + "\n"
    return f"{HEAD}scale: [4]\nmain_layers:{body}{dedent(more)}"


def several(main: str, more: str = "") -> str:
    """A spec of two scales, [4] and [3]."""
    return f"{HEAD}scales: [[4], [3]]\nmain_layers: {main}\n{dedent(more)}"


def read(text: str) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """The spec and everything that was found."""
    problems = Problems()
    tree = sections_as_meant(load(text, "m.yaml"), problems)
    validate(tree, problems)
    spec = build(tree, problems)
    assert spec is not None or problems.errors
    return spec, problems.sorted()


def good(text: str) -> Spec:
    """The spec of a text without a mistake."""
    spec, found = read(text)
    assert spec is not None, [(d.span.line, d.span.column, d.code, d.message) for d in found]
    assert not found
    return spec


def found(text: str) -> list[tuple[str, str]]:
    """Code and message of every mistake, in reading order."""
    return [(d.code, d.message) for d in read(text)[1]]


def only(text: str) -> Diagnostic:
    """The one mistake of a text."""
    _, diagnostics = read(text)
    assert len(diagnostics) == 1, [(d.code, d.message) for d in diagnostics]
    return diagnostics[0]


def marked(text: str, diagnostic: Diagnostic) -> str:
    """The source that a diagnostic points at, up to the end of its first line."""
    span = diagnostic.span
    line = text.splitlines()[span.line - 1]
    return line[span.column - 1 : span.end_column - 1 if span.end_line == span.line else None]


def names(computation: Computation | None) -> list[str]:
    """The steps of a chain by name."""
    assert computation is not None
    return [f"${step.name}" if isinstance(step, Reference) else step.name for step in computation.steps]


def step(computation: Computation | None, index: int = 0) -> Step:
    """One step of a chain."""
    assert computation is not None
    one = computation.steps[index]
    assert isinstance(one, Step)
    return one
