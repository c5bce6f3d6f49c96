"""One mistake at any place of a good spec: told once, at the token that is wrong, and nothing follows from it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import deqc
from deqc.cli.render import render_text
from deqc.diagnostics import Span
from deqc.ops import STEPS
from deqc.spec.loader import load
from deqc.spec.tree import Entry, Mapping, Node, Scalar, Sequence

EXAMPLES = sorted((Path(__file__).parent.parent / "examples" / "specs").glob("*.yaml"))
UNKNOWN = "zzqx"
# Mappings whose keys are names of the author's.
NAMED = {"input", "constants", "parameters", "modules", "blocks", "encoder", "params"}


@dataclass(frozen=True)
class Mistake:
    """What to write in place of `span`; `hides` is how far the rest of the text is no longer understood."""

    kind: str
    span: Span
    text: str
    hides: Span


def _offset(spec: str, line: int, column: int) -> int:
    return sum(map(len, spec.splitlines(keepends=True)[: line - 1])) + column - 1


def made(spec: str, chosen: Iterable[Mistake]) -> tuple[str, list[tuple[int, int]]]:
    """The spec with the mistakes, and where they stand in it."""
    text, starts, moved = spec, list[int](), 0
    for one in sorted(chosen, key=lambda one: one.span):
        start = _offset(spec, one.span.line, one.span.column) + moved
        stop = _offset(spec, one.span.end_line, one.span.end_column) + moved
        text = text[:start] + one.text + text[stop:]
        moved += len(one.text) - (stop - start)
        starts.append(start)
    return text, [(text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)) for start in starts]


def mistakes(spec: str) -> Iterator[Mistake]:
    """Each kind of mistake at each place where it can be made."""
    root = load(spec, "<spec>")
    yield from _unknown_key(root, spec)
    for entry in root:
        yield Mistake("misspelt section", entry.key.span, f"{entry.name}{UNKNOWN}", entry.key.span)
        if entry.name not in ("description", "deqc"):
            yield from _inside(entry.value, entry, spec)


def _inside(node: Node, entry: Entry, spec: str) -> Iterator[Mistake]:
    """The mistakes in the value of an entry."""
    if isinstance(node, Scalar):
        yield from _scalar(node)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _inside(item, entry, spec)
    else:
        op = STEPS.get(entry.name)
        if op is not None or entry.name in (
            "solver",
            "adjoint",
            "jacobian_regularization",
            "linear_solver",
            "termination",
        ):
            yield from _unknown_key(node, spec)
        for one in node:
            if one.name in STEPS and entry.name not in NAMED:
                yield Mistake("misspelt step", one.key.span, UNKNOWN, node.span)
            if one.name != "as":  # the name alone stands there, and any text is one
                yield from _inside(one.value, one, spec)


def _scalar(node: Scalar) -> Iterator[Mistake]:
    if isinstance(node.value, str) and node.value.startswith("$") and not node.value.startswith("${"):
        yield Mistake("unknown value", node.span, f"${UNKNOWN}", node.span)
    elif node.value is not None:
        yield Mistake("wrong type", node.span, "'no such thing'", node.span)
        if isinstance(node.value, str) and node.plain and node.value in STEPS:
            yield Mistake("misspelt step", node.span, UNKNOWN, node.span)


def _unknown_key(node: Mapping, spec: str) -> Iterator[Mistake]:
    first = node.entries[0].key.span
    flow = spec.splitlines()[node.span.line - 1][node.span.column - 1] == "{"
    after = ", " if flow else f"\n{' ' * (first.column - 1)}"
    place = Span(first.file, first.line, first.column, first.line, first.column)
    beside_a_step = len(node.entries) == 1
    yield Mistake("unknown key", place, f"{UNKNOWN}: 1{after}", node.span if beside_a_step else place)


def _told(spec: str, *chosen: Mistake) -> None:
    """Exactly these mistakes are told, in reading order."""
    wrong, places = made(spec, chosen)
    found = deqc.check(wrong)
    shown = f"{[(one.kind, one.text) for one in chosen]}\n{render_text(found, {'<spec>': wrong})}"
    assert [(d.span.line, d.span.column) for d in found] == places, shown


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_one_mistake_is_told_once_at_its_token(example: Path) -> None:
    spec = example.read_text(encoding="utf-8")
    for mistake in mistakes(spec):
        _told(spec, mistake)


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_several_mistakes_are_told_in_reading_order(example: Path) -> None:
    spec = example.read_text(encoding="utf-8")
    known, rng = list(mistakes(spec)), random.Random(example.stem)
    for _ in range(25):
        chosen: list[Mistake] = []
        for one in rng.sample(known, len(known)):
            if len(chosen) < 3 and not any(_meet(one.hides, other.hides) for other in chosen):
                chosen.append(one)
        _told(spec, *chosen)


def _meet(one: Span, other: Span) -> bool:
    return (one.line, one.column) <= (other.end_line, other.end_column) and (other.line, other.column) <= (
        one.end_line,
        one.end_column,
    )
