"""All passes together, and each by itself, on specs that were made to break them: values never change."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from deqc.compiler import compile_text
from deqc.ir.graph import Node, Program
from deqc.ir.verify import InvalidProgramError
from deqc.passes import PIPELINE, Pass, optimise
from deqc.types import Type
from tests.passes.programs import equal, lowered, ops, shown

NAMES = [step.name for step in PIPELINE]

SPECS = {
    "the state itself": "input: {x: [4]}\nscale: [4]\nmain_layers: identity",
    "nothing but a factor of one": "input: {x: [4]}\nscale: [4]\nmain_layers: [{times: 1}]",
    "no state": "input: {x: [4]}\nscale: [4]\nmain_layers: [$x, {linear: 4}, tanh]",
    "the input": "input: {x: [4]}\nscale: [4]\nmain_layers: $x",
    "a scalar input": """
input: {x: [4], t: []}
scale: [4]
main_layers: [{sum: [$t, {linear: 4}, $x]}, {mul: [$t, tanh]}]
""",
    "names in branches": """
input: {x: [4]}
scale: [4]
main_layers: [{linear: 4}, {sum: [[{as: q}, tanh], {linear: 4}]}]
""",
    "names in residuals": "input: {x: [4]}\nscale: [4]\nmain_layers: [{linear: 4}, {residual: [{as: q}, tanh]}]",
    "a dead branch": """
input: {x: [4]}
scale: [4]
main_layers:
  [{as: s}, {linear: 4}, {as: a}, tanh, {as: b}, {sum: [[$s, {linear: 4}, tanh], $b]}, {as: c}, $a]
""",
    "one linear with two readers": """
input: {x: [4]}
scale: [4]
main_layers: [{linear: 4}, {as: p}, tanh, {sum: [identity, $p, $p, [$p, {linear: 4}], [$p, {linear: 4}]]}]
""",
    "values that differ in size from their scale": """
input: {x: [2]}
scales: [[4], [3]]
main_layers: [[{linear: 7}, tanh], [{linear: 2}, tanh]]
mapping_layers: [[[{linear: 4}, tanh], [{linear: 3}, tanh]], [[{linear: 4}, tanh], [{linear: 3}, tanh]]]
""",
    "main layers that are the scales": """
input: {x: [2]}
scales: [[3], [2], [1]]
main_layers: [identity, [{linear: 2}, tanh], identity]
mapping_layers: [[identity, {linear: 2}, {linear: 1}], [{linear: 3}, identity, null], [{linear: 3}, null, identity]]
""",
    "all of them": """
input: {x: [2]}
scales: [[3], [2], [1]]
main_layers: {each: identity}
mapping_layers: {down: [{linear: "${to.size}"}, tanh], up: [{linear: "${to.size}"}, tanh]}
""",
    "scales of every rank": """
input: {x: [4]}
scales: [[3], [2, 3], [2, 4, 4], [3]]
main_layers: [[{linear: 3}, tanh], [{linear: 3}, layer_norm], [{conv2d: {out: 2, kernel: 3}}, tanh], tanh]
mapping_layers:
  - [identity, [{linear: 6}, {reshape: [2, 3]}], [{linear: 32}, {reshape: [2, 4, 4]}], {linear: 3}]
  - [[flatten, {linear: 3}], identity, null, [flatten, {linear: 3}]]
  - [[flatten, {linear: 3}], null, identity, [flatten, {linear: 3}]]
  - [{linear: 3}, [{linear: 6}, {reshape: [2, 3]}], null, identity]
post_fuse_layers: [tanh, null, {group_norm: 1}, tanh]
""",
    "matrices with shared sources and targets": """
input: {x: [4]}
scales: [[2, 3], [2, 4]]
main_layers: {each: tanh}
mapping_layers: [[{linear: 3}, [{linear: 4}, tanh]], [{linear: 3}, [{linear: 4}, tanh]]]
""",
    "images with shared sources": """
input: {x: [2, 6, 6]}
scales: [[4, 6, 6], [4, 6, 6], [2, 3, 3]]
main_layers: {each: [{conv2d: {out: "${scale.channels}", kernel: 3}}, tanh]}
mapping_layers:
  - [identity, [{conv2d: {out: 4, kernel: 3}}, tanh], [{conv2d: {out: 2, kernel: 3, stride: 2}}, tanh]]
  - [[{conv2d: {out: 4, kernel: 3, bias: false}}, tanh], [{conv2d: {out: 4, kernel: 3}}, tanh], null]
  - [[{conv2d: {out: 4, kernel: 1}}, {upsample: 2}], [{conv2d: {out: 4, kernel: 1}}, {upsample: 2}], identity]
""",
    "sixteen scales": """
input: {x: [2]}
scales: [[1], [2], [3], [1], [2], [3], [1], [2], [3], [1], [2], [3], [1], [2], [3], [4]]
main_layers: {each: [{sum: [{linear: "${scale.size}"}, [$x, {linear: "${scale.size}"}]]}, tanh]}
mapping_layers: {down: [{linear: "${to.size}"}, tanh], up: null}
post_fuse_layers: {each: sin}
""",
    "linear mappings only": """
input: {x: [2]}
scales: [[3], [2], [1]]
main_layers: {each: [{linear: "${scale.size}"}, tanh]}
mapping_layers: {same: {linear: "${to.size}"}, down: {linear: "${to.size}"}, up: {linear: "${to.size}"}}
post_fuse_layers: {each: tanh}
""",
    "one scale as a list": "input: {x: [2]}\nscales: [[4]]\nmain_layers: [[{linear: 4}, tanh]]",
    "one scale with a mapping": """
input: {x: [2]}
scales: [[4]]
main_layers: [{linear: 6}]
mapping_layers: [[{linear: 4}]]
""",
    "products of products": """
input: {x: [2]}
scales: [[3], [2]]
main_layers: {each: [{linear: "${scale.size}"}, sin, {linear: "${scale.size}"}, tanh]}
mapping_layers: [[identity, [tanh, {linear: 2}]], [[tanh, {linear: 3}], identity]]
post_fuse_layers: {each: [{linear: "${scale.size}"}, tanh]}
""",
    "concatenated scales": """
input: {x: [2]}
scales: [[3], [2]]
main_layers: [[{concat: [$z.0, $z.1]}, {linear: 3}], [{concat: [$z.0, $z.1]}, {linear: 2}]]
""",
    "a scale without z": """
input: {x: [2]}
scales: [[3], [2]]
main_layers: [[$x, {linear: 3}], [{linear: 2}, tanh]]
mapping_layers: [[identity, [{linear: 2}, tanh]], [null, identity]]
""",
    "a scale that nobody reads": """
input: {x: [2]}
scales: [[3], [2]]
main_layers: {each: [{linear: "${scale.size}"}, tanh]}
mapping_layers: [[identity, [{linear: 2}, tanh]], [null, null]]
""",
    "encoder values read twice and under two names": """
input: {x: [4]}
encoder: {e: [$x, {linear: 4}, tanh], g: [$e, sin], h: $g, i: $x}
scale: [4]
init: [$h, tanh]
main_layers: [{sum: [{linear: 4}, $e, $g, $i]}, tanh]
head: [{sum: [identity, $e, $h]}, {linear: 2}]
""",
    "factors of hidden values": """
input: {x: [2]}
scales: [[3], [2]]
main_layers: [[{linear: 3}, {times: 2}], [{linear: 2}, {times: 2}]]
mapping_layers: [[{times: 0.1}, [{times: 0.3}, {linear: 2}]], [[{times: 0.3}, {linear: 3}], {times: 0.1}]]
""",
    "values handed to blocks": """
input: {x: [4]}
blocks: {gate: {params: {v: {type: value}}, body: [$v, {as: q}, tanh, {sum: [$v, $q, identity]}]}}
scale: [4]
main_layers: [{gate: {v: [$x, {linear: 4}]}}, {gate: {v: [{linear: 4}]}}]
""",
}  # fmt: skip


@pytest.fixture(scope="module", params=SPECS, ids=lambda name: name.replace(" ", "_"))
def program(request: pytest.FixtureRequest) -> Program:
    return lowered(SPECS[request.param])


def test_all_passes_keep_the_values(program: Program) -> None:
    assert equal(program, optimise(program))


@pytest.mark.parametrize("name", NAMES)
def test_every_pass_can_be_left_out_and_alone(program: Program, name: str) -> None:
    assert equal(program, optimise(program, frozenset({name})))
    assert equal(program, optimise(program, frozenset(NAMES) - {name}))


def test_any_set_of_passes_keeps_the_values(program: Program) -> None:
    generator = random.Random(shown(program))
    for _ in range(6):
        assert equal(program, optimise(program, frozenset(generator.sample(NAMES, generator.randrange(len(NAMES))))))


@pytest.mark.parametrize("step", PIPELINE, ids=lambda step: step.name)
def test_a_pass_is_done_after_one_run(program: Program, step: Pass) -> None:
    once = step.run(program)
    twice = step.run(once)
    assert sorted(ops(twice)) == sorted(ops(once))
    assert len(twice.boundary) == len(once.boundary)
    assert equal(once, twice)


@pytest.mark.parametrize("step", PIPELINE, ids=lambda step: step.name)
def test_a_pass_takes_what_any_other_leaves(program: Program, step: Pass) -> None:
    assert equal(program, step.run(optimise(program)))


EVERYTHING = """
deqc: 1
name: Everything
input: {x: [3]}
scales: [[3], [2]]
main_layers: {each: [{times: 2}, {times: 3}, {sum: [{linear: "${scale.size}"}, [$x, {linear: "${scale.size}"}]]}, tanh]}
mapping_layers: {same: {linear: "${to.size}"}, down: {linear: "${to.size}"}, up: {linear: "${to.size}"}}
"""


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("fold", ()),
        ("pack", ()),
        ("hoist", ()),
        ("absorb", ()),
        ("fuse_targets", ("pack",)),
        ("fuse_sources", ("pack",)),
    ],
)
def test_leaving_a_pass_out_changes_the_module(name: str, without: tuple[str, ...]) -> None:
    disabled = frozenset(without)
    assert compile_text(EVERYTHING, "m", disabled).source != compile_text(EVERYTHING, "m", disabled | {name}).source


def test_leaving_share_out_changes_the_module() -> None:
    text = "deqc: 1\nname: Twice\ninput: {x: [3]}\nscale: [3]\nmain_layers: [{sum: [tanh, [tanh, sin]]}]\n"
    assert compile_text(text, "m").source != compile_text(text, "m", frozenset({"share"})).source


def test_every_pass_is_seen_and_nothing_else() -> None:
    seen: list[str] = []
    optimise(lowered("input: {x: [3]}\nscale: [3]\nmain_layers: tanh"), watch=lambda name, _: seen.append(name))
    assert seen == NAMES
    optimise(lowered("input: {x: [3]}\nscale: [3]\nmain_layers: tanh"), frozenset(NAMES), lambda *_: seen.append("?"))
    assert seen == NAMES


# What a wrong pass could do, and verify says.

BASE = """
input: {x: [3]}
scale: [3]
init: [$x, tanh]
main_layers: [{linear: 3}, {sum: [identity, [$x, sin]]}, {variational_dropout: 0.5}]
head: [{linear: 2}]
"""


def _named(program: Program, op: str) -> Node:
    return next(node for node in program.nodes if node.op == op)


def _backwards(program: Program) -> Program:
    return replace(program, nodes=tuple(reversed(program.nodes)))


def _twice(program: Program) -> Program:
    return replace(program, nodes=(*program.nodes, program.nodes[-1]))


def _lie(program: Program) -> Program:
    wrong = replace(program.f, type=Type((4,)))
    return replace(program, f=wrong, nodes=tuple(wrong if n is program.f else n for n in program.nodes))


def _unbatched(program: Program) -> Program:
    wrong = replace(program.f, type=Type((3,), batched=False))
    return replace(program, f=wrong, nodes=tuple(wrong if n is program.f else n for n in program.nodes))


def _moving_weight(program: Program) -> Program:
    return replace(program, boundary=(*program.boundary, program.f.operands[0]))


def _solution_as_weight(program: Program) -> Program:
    return replace(program, boundary=(*program.boundary, program.solution))


def _past_the_boundary(program: Program) -> Program:
    return replace(program, boundary=tuple(n for n in program.boundary if n.op != "parameter"))


def _changing(program: Program) -> Program:
    return replace(program, boundary=tuple(n for n in program.boundary if n.op != "dropout_mask"))


def _wrong_size(program: Program) -> Program:
    (head,) = program.outputs
    return replace(program, f=head, outputs=())


def _start_reads_state(program: Program) -> Program:
    return replace(program, start=program.f)


def _head_reads_state(program: Program) -> Program:
    return replace(program, outputs=(program.f,))


def _lost(program: Program) -> Program:
    return replace(program, nodes=tuple(n for n in program.nodes if n not in program.outputs))


def _without_state(program: Program) -> Program:
    made = replace(program.solution)
    return replace(program, solution=made)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (_backwards, "stands before an operand"),
        (_twice, "stands twice"),
        (_lie, r"mul says \(B, 4\), its operands say \(B, 3\)"),
        (_unbatched, r"mul says \(3,\), its operands say \(B, 3\)"),
        (_moving_weight, "a weight depends on the state"),
        (_solution_as_weight, "a weight depends on the state"),
        (_past_the_boundary, "f reads parameter past the boundary"),
        (_changing, "f reads input past the boundary|f holds dropout_mask"),
        (_wrong_size, r"f makes \(B, 2\), the state has 3 numbers"),
        (_start_reads_state, "the start reads the state"),
        (_head_reads_state, "the head reads the state, not the solution"),
        (_lost, "a root is not among the nodes"),
        (_without_state, "the state is not among the nodes"),
    ],
)
def test_a_wrong_pass_is_caught(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Program], Program], rule: str
) -> None:
    program = lowered(BASE)
    monkeypatch.setattr("deqc.passes.PIPELINE", (Pass("wrong", "what no pass should do", wrong),))
    with pytest.raises(InvalidProgramError, match=rf"after wrong: .*({rule})"):
        optimise(program)


def test_an_op_that_changes_from_call_to_call_is_refused_in_f(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask is drawn in f, from an input that is a weight."""
    program = lowered(BASE)
    x = program.inputs[0]
    boundary = (x, *(n for n in program.boundary if n.op not in ("dropout_mask", "input")))
    wrong = replace(program, boundary=boundary)
    monkeypatch.setattr("deqc.passes.PIPELINE", (Pass("wrong", "draws in f", lambda _: wrong),))
    with pytest.raises(InvalidProgramError, match="f holds dropout_mask, which changes from call to call"):
        optimise(program)


def test_what_enters_the_pipeline_is_verified_too() -> None:
    with pytest.raises(InvalidProgramError, match="after lowering"):
        optimise(_backwards(lowered(BASE)))


def test_every_pair_of_passes_left_out() -> None:
    program = lowered(SPECS["linear mappings only"])
    for pair in itertools.combinations(NAMES, 2):
        assert equal(program, optimise(program, frozenset(pair)))
