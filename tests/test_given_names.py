"""A name that a spec gives hides nothing: it is refused, or the module is the one of another name, renamed."""

from __future__ import annotations

import builtins
import functools
import keyword
import random
import re
import symtable
from collections.abc import Iterator
from pathlib import Path

import pytest

import deqc
from deqc.diagnostics import Severity
from tests.renaming import OtherCodeError, same_but_for

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.py"))
NAMING = {"E009", "E010", "E022", "E040", "E041", "E042", "E043", "E044", "E045", "E046", "E050"}
INPUT = "input: {x: [4]}\nscale: [4]\n"
# Each place where a spec gives a name, in a spec that uses it for all that there is.
TABLE = """
== model
name: NAME
input: {x: [4]}
scale: [4]
main_layers: [{linear: 4}, tanh]
head: [{linear: 2}]
== input
input: {NAME: [4], x: [4]}
scale: [4]
encoder: {e: [$NAME, {linear: 4}]}
init: [$NAME, tanh]
main_layers: [{sum: [[$NAME, {linear: 4}], {linear: 4}, $x, $e]}, tanh]
head: [{sum: [identity, $NAME]}]
== second input
input: {x: [4], NAME: {shape: [4], dtype: int64}, mask: {shape: [4, 4], batch: false}}
scale: [4]
main_layers: [{sum: [[$NAME, {embedding: {count: 9, out: 4}}, {reduce: {op: sum, dim: 0}}], {linear: 4}]}, tanh]
solver: picard
adjoint: {linear_solver: gmres}
== dimension
input: {x: [NAME, 4], k: {shape: [NAME, NAME], batch: false}}
scale: [NAME, 4]
encoder: {e: [$x, {linear: 4}]}
init: [$x]
main_layers: [{matmul: {left: $k}}, {sum: [{linear: 4}, $e]}, tanh]
head: [tanh]
== dimension of an image
input: {x: [3, NAME, W]}
scale: [3, NAME, W]
solver: anderson
main_layers: [{sum: [{conv2d: {out: 3, kernel: 3}}, $x]}, tanh]
head: [global_avg_pool]
== encoder
encoder: {NAME: [{linear: 4}, tanh], other: [$NAME, {linear: 4}]}
init: [$NAME]
main_layers: [{sum: [{linear: 4}, $NAME, $other]}, tanh]
head: [{sum: [identity, $NAME]}]
== as
encoder: {e: [{linear: 4}, {as: NAME}, {sum: [tanh, $NAME]}]}
main_layers: [{linear: 4}, tanh, {as: NAME}, {sum: [{linear: 4}, [$NAME, sin]]}, {mul: [identity, $NAME]}, tanh]
head: [{linear: 4}, {as: NAME}, {sum: [tanh, $NAME]}]
== block
blocks: {NAME: [{linear: 4}, tanh]}
main_layers: [NAME, {sum: [NAME, $x]}]
head: [NAME]
== block parameter
blocks: {own: {params: {NAME: null, more: {type: value, default: null}}, body: [{linear: "${NAME}"},
  {sum: [identity, $more]}]}}
main_layers: [{own: {NAME: 4, more: $x}}, tanh]
== block value parameter
blocks: {own: {params: {NAME: {type: value}}, body: [{linear: 4}, {sum: [identity, $NAME]}]}}
main_layers: [{own: [$x, tanh]}, tanh]
== module
modules: {NAME: same, other: {out: [4]}}
main_layers: [{sum: [NAME, $x, other]}]
head: [NAME, {linear: 2}]
== parameter
parameters: {NAME: [4, 4], b: [4]}
main_layers: [{linear: {weight: $NAME}}, {sum: [identity, $x, $b, [$z, {matmul: {right: $NAME}}]]}, tanh]
== buffer
parameters: {NAME: {shape: [4], trainable: false}}
main_layers: [{linear: 4}, {sum: [identity, $x, $NAME]}, tanh]
== head output
main_layers: [{sum: [{linear: 4}, $x]}, tanh]
head: {NAME: [{linear: 2}], other: tanh}
== layer
encoder: {e: [{linear: {out: 4, name: NAME}}]}
main_layers: [{linear: {out: 4, name: NAME}}, {sum: [identity, $e]}, {layer_norm: {name: second}}, tanh]
head: [{linear: {out: 2, name: NAME}}]
== constant
constants: {NAME: 4}
input: {x: ["${NAME}"]}
scale: ["${NAME}"]
main_layers: [{linear: "${NAME}"}, tanh]
== index
main_layers: [{linear: 4}, {repeat: {times: 2, body: [{plus: "${NAME}"}], index: NAME}}, tanh]
"""


def places() -> Iterator[tuple[str, str]]:
    for row in TABLE.split("\n== ")[1:]:
        place, spec = row.split("\n", 1)
        name = "" if "\nname: " in row else "name: Model\n"
        yield place, f"deqc: 1\n{name}{'' if 'input: ' in spec else INPUT}{spec.rstrip()}\n"


PLACES = dict(places())


@functools.cache
def names() -> tuple[str, ...]:
    """Every name of generated modules, of Python, and its keywords."""
    found = {*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "__name__", "__file__", "__class__"}
    for path in GOLDEN:
        found |= _all_names(symtable.symtable(path.read_text(), "m", "exec"))
    return tuple(
        sorted(name for name in found if name not in ("x", "W") and len(name) < 24 and re.fullmatch(r"\w+", name))
    )


def beside(table: symtable.SymbolTable, name: str) -> set[str]:
    """All names of the functions and classes that have one made of this name: what it could hide."""
    found = set().union(*(beside(child, name) for child in table.get_children()))
    shared = table.get_type() != "module" and any(name in one for one in table.get_identifiers())
    return found | {one for one in table.get_identifiers() if shared and name not in one}


def _all_names(table: symtable.SymbolTable) -> set[str]:
    return set(table.get_identifiers()).union(*(_all_names(child) for child in table.get_children()))


def neutral(name: str) -> str:
    """What nothing is called, as long as the name and sorted as it is: lines and sums are laid out by that."""
    if len(name) == 1:
        return "Q" if name < "W" else "q"  # W stands beside it
    return name[0] + ("qj" * len(name))[1 : len(name)]


@functools.cache
def plain(place: str, name: str) -> str:
    return deqc.compile(PLACES[place].replace("NAME", name))


def hides_nothing(place: str, name: str) -> bool:
    """Whether the name is taken in this place; then the module is that of another name, but for the name."""
    text = PLACES[place].replace("NAME", name)
    errors = [one for one in deqc.check(text) if one.severity is Severity.ERROR]
    if errors:
        assert {one.code for one in errors} & NAMING, errors
        return False
    made = deqc.compile(text)
    try:
        same_but_for(plain(place, neutral(name)), made, neutral(name), name)
    except OtherCodeError:
        if f"{name}_1" not in made:
            raise
        longer = neutral(f"{name}_1")  # deqc has given way to a name of its own, and breaks lines by that
        same_but_for(plain(place, longer), made, longer, name)
    return True


def test_the_names_are_those_of_real_modules() -> None:
    assert {"torch", "len", "Tensor", "Weights", "linearize", "ATOL", "w", "eval", "class", "match"} <= set(names())
    near = beside(symtable.symtable(plain("input", "qjqj"), "m", "exec"), "qjqj")
    assert {"torch", "equilibrium", "_checked", "Weights", "self", "w", "u0", "z_star"} <= near


@pytest.mark.parametrize("place", PLACES)
def test_no_name_hides_what_stands_beside_it(place: str) -> None:
    near = beside(symtable.symtable(plain(place, "qjqj"), "m", "exec"), "qjqj") - {"x", "W"}
    taken = [
        hides_nothing(place, name) for name in sorted(near | {"eval", "class", "match", "None", "torch", "Tensor"})
    ]
    assert not all(taken)
    assert hides_nothing(place, "Fresh9")  # the place takes names


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_no_name_hides_another(place: str) -> None:
    for name in random.Random(place).sample(names(), 60):
        hides_nothing(place, name)
