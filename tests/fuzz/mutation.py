"""Good specs, a little changed: tokens of the text, or pieces of the document."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.fuzz.from_schema import computations

Draw = Any
Place = tuple[Any, ...]

ROOT = Path(__file__).resolve().parents[2]
SPECS = [
    path.read_text(encoding="utf-8")
    for folder in ("examples/specs", "tests/target_specs")
    for path in sorted((ROOT / folder).glob("*.yaml"))
]
DOCUMENTS = [yaml.safe_load(text) for text in SPECS]
TOKENS = re.compile(r"\$\{[^}]*\}|\$?[A-Za-z_][\w.]*|\d+(?:\.\d+)?|[\[\]{},:\"-]|\s+|.")
WORDS = "null true -1 0 3.0 1e400 [] {} [[]] [null] '' ~ 'x' $z.99 $z.-1 ${1/0} ${in.size} {each:tanh} {tanh:{}} step"
SURPRISES = WORDS.split(" ")
VALUES: list[Any] = yaml.safe_load(
    "[null, true, -1, 0, 1, 3.0, 9007199254740992, 1.0e+300, '', x, $x, $z.99, '${1/0}', '${in.size}', step, [], {}, "
    "[[]]]"
)


@st.composite
def texts(draw: Draw) -> str:
    """A good spec with some tokens deleted, moved or replaced."""
    tokens = TOKENS.findall(draw(st.sampled_from(SPECS)))
    pool = [*tokens, *SURPRISES]
    for _ in range(draw(st.sampled_from((1, 1, 2, 3, 6)))):
        here, there = (draw(st.integers(0, len(tokens) - 1)) for _ in range(2))
        match draw(st.integers(0, 4)):
            case 0:
                tokens[here] = draw(st.sampled_from(pool))
            case 1:
                tokens[here] = ""
            case 2:
                tokens.insert(here, draw(st.sampled_from(pool)))
            case 3:
                tokens[here], tokens[there] = tokens[there], tokens[here]
            case _:
                tokens[there:there] = tokens[here : here + draw(st.integers(1, 12))]
    return "".join(tokens)


@st.composite
def documents(draw: Draw) -> Any:
    """A good spec with some pieces removed, repeated, wrapped, exchanged or replaced, also by those of other specs."""
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.sampled_from((1, 1, 2, 3)))):
        places = list(_places(document))
        if not places:
            break
        here = draw(st.sampled_from(places))
        value = _at(document, here)
        match draw(st.integers(0, 6)):
            case 0:
                _remove(document, here)
            case 1:
                _put(document, here, copy.deepcopy(draw(st.sampled_from(VALUES))))
            case 2:
                other = draw(st.sampled_from(DOCUMENTS))
                _put(document, here, copy.deepcopy(_at(other, draw(st.sampled_from(list(_places(other)))))))
            case 3:
                _put(document, here, draw(computations()))
            case 4:
                wrappings = ([value], {"residual": value}, {"each": value}, {"repeat": {"times": 2, "body": value}})
                _put(document, here, draw(st.sampled_from(wrappings)))
            case 5:
                parent = _at(document, here[:-1])
                if isinstance(parent, list):
                    parent.insert(here[-1], copy.deepcopy(value))
                else:
                    parent[draw(st.sampled_from(sorted({*parent, *DOCUMENTS[0], "name", "x"})))] = parent.pop(here[-1])
            case _:
                there = draw(st.sampled_from(places))
                if there[: len(here)] != here and here[: len(there)] != there:
                    other = _at(document, there)
                    _put(document, there, value)
                    _put(document, here, other)
    return document


def _places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Every place below the whole."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from _places(one, (*path, key))


def _at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


def _put(document: Any, place: Place, value: Any) -> None:
    _at(document, place[:-1])[place[-1]] = value


def _remove(document: Any, place: Place) -> None:
    del _at(document, place[:-1])[place[-1]]
