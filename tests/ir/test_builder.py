"""The builder infers types and shares what is equal; rebuilding keeps what is needed."""

from __future__ import annotations

from typing import Any

import pytest

from deqc.ir.builder import Builder, counted, noted, pruned, rebuild
from deqc.ir.graph import Node, body, depends, reachable, readers
from deqc.ir.printer import show_program
from deqc.ops.base import ShapeError
from deqc.types import Type
from tests.passes.programs import lowered


def leaf(builder: Builder, *shape: int, name: str = "x", batched: bool = True) -> Node:
    return builder.leaf("input", Type(shape, batched), name=name)


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "result"),
    [
        ("tanh", [(3,)], {}, (3,)),
        ("sum", [(2, 3), (2, 3)], {}, (2, 3)),
        ("concat", [(2,), (3,)], {"dim": 0}, (5,)),
        ("slice", [(2, 5)], {"dim": -1, "start": 1, "stop": 3}, (2, 2)),
        ("reshape", [(6,)], {"shape": (2, 3)}, (2, 3)),
        ("flatten", [(2, 3)], {}, (6,)),
        ("unpack", [(10,)], {"start": 0, "stop": 8, "shape": (2, 2, 2), "whole": False}, (2, 2, 2)),
        ("pack", [(2, 2, 2), (3,)], {"ranks": (3, 1)}, (11,)),
        ("upsample", [(2, 3, 3)], {"factor": 2, "mode": "nearest"}, (2, 6, 6)),
        ("fold", [(6,)], {"parts": 3}, (2,)),
    ],
)
def test_types_are_inferred(
    op: str, shapes: list[tuple[int, ...]], attributes: dict[str, Any], result: tuple[int, ...]
) -> None:
    builder = Builder()
    operands = [leaf(builder, *shape, name=f"x{k}") for k, shape in enumerate(shapes)]
    assert builder.make(op, *operands, **attributes).type == Type(result)


def test_a_value_without_a_batch_stays_without() -> None:
    builder = Builder()
    a, b = leaf(builder, 3, batched=False), leaf(builder, 3, name="y")
    assert builder.make("sum", a, a).type == Type((3,), batched=False)
    assert builder.make("sum", a, b).type == Type((3,))


def test_shapes_that_do_not_fit_are_refused() -> None:
    builder = Builder()
    with pytest.raises(ShapeError):
        builder.make("sum", leaf(builder, 2), leaf(builder, 3))
    assert len(builder.nodes) == 2


def test_equal_pure_nodes_are_made_once_where_asked() -> None:
    for share, count in ((True, 3), (False, 4)):
        builder = Builder(share)
        x = leaf(builder, 3)
        pair = [builder.make("times", x, by=2.0) for _ in range(2)]
        builder.make("times", x, by=3.0)
        assert len(builder.nodes) == count
        assert (pair[0] is pair[1]) is share


def test_what_changes_from_call_to_call_is_never_shared() -> None:
    builder = Builder(share=True)
    x = leaf(builder, 3)
    masks = [builder.make("dropout_mask", x, shape=(3,), p=0.5) for _ in range(2)]
    assert masks[0] is not masks[1]


def test_equal_nodes_of_a_program_all_stay_when_adopted() -> None:
    """A derivative is written in terms of the program's own nodes, equal ones too."""
    builder = Builder()
    x = leaf(builder, 3)
    twins = (builder.make("tanh", x), builder.make("tanh", x))
    other = Builder(share=True)
    other.adopt(tuple(builder.nodes))
    assert other.nodes == [x, *twins]
    assert other.make("tanh", x) is twins[0]
    assert len(other.nodes) == 3


def test_a_copy_on_the_same_operands_is_the_node() -> None:
    builder = Builder()
    x, y = leaf(builder, 3), leaf(builder, 3, name="y")
    node = builder.make("tanh", x, hint="h")
    assert Builder().copy(node, (x,)) is node
    other = Builder().copy(node, (y,))
    assert other is not node
    assert (other.op, other.hint, other.type) == ("tanh", "h", node.type)


def test_a_name_is_given_to_the_last_node_and_to_no_other() -> None:
    builder = Builder()
    x = leaf(builder, 3)
    builder.name(x, "leaf")
    first = builder.make("tanh", x)
    builder.name(first, "first")
    builder.make("sin", first)
    builder.name(first, "second")
    assert (x.hint, first.hint) == ("", "first")
    assert builder.nodes[1] is first  # not another object: others may hold it


PROGRAM = """
input: {x: [3]}
scale: [3]
main_layers: [{linear: 3}, {as: a}, sin, {as: b}, $a]
"""


def test_rebuilding_without_a_change_gives_the_same() -> None:
    program = lowered(PROGRAM)
    same = rebuild(program, lambda builder, node, operands: builder.copy(node, operands))
    assert same == program
    assert show_program(same) == show_program(program)


def test_what_a_rewriting_leaves_unread_goes_and_what_was_never_read_stays() -> None:
    program = lowered(PROGRAM)

    def visit(builder: Builder, node: Node, operands: tuple[Node, ...]) -> Node:
        return operands[0] if node.op == "linear" else builder.copy(node, operands)

    after = rebuild(program, visit)
    assert [node.op for node in after.nodes if not node.leaf] == ["sin"]
    assert after.f is after.state
    assert [node.op for node in pruned(after).nodes] == ["input", "state", "solution"]


def test_readers_are_those_that_results_need() -> None:
    program = lowered(PROGRAM)
    linear = program.f
    assert linear.op == "linear"
    assert readers(program)[linear] == []  # the sine is dead
    assert readers(program)[program.state] == [linear]
    assert [node.op for node in body(program)] == ["linear"]


def test_dependence_and_reach() -> None:
    program = lowered("input: {x: [3]}\nscale: [3]\nmain_layers: [{sum: [tanh, [$x, sin]]}]")
    moving = depends(program.nodes, program.state)
    assert sorted(node.op for node in moving) == ["state", "sum", "tanh"]
    order = [node.op for node in reachable((program.f,))]
    assert order == ["state", "tanh", "input", "sin", "sum"]
    stop = frozenset({program.f.operands[1]})
    assert [node.op for node in reachable((program.f,), stop)] == ["state", "tanh", "sum"]


def test_reach_does_not_recurse() -> None:
    builder = Builder()
    node = leaf(builder, 3)
    for _ in range(5000):
        node = builder.make("tanh", node)
    assert len(list(reachable((node,)))) == 5001


def test_notes() -> None:
    program = lowered(PROGRAM)
    assert noted(noted(program, "a"), "b", "c").notes == ("a", "b", "c")
    assert (counted(1, "value"), counted(2, "value")) == ("1 value", "2 values")
