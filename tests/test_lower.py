"""From the typed spec to the first program: paths of layers, shapes, names in force, the boundary, places."""

from __future__ import annotations

import pytest

from deqc.compiler import compile_text
from deqc.diagnostics import Problems, SpecError
from deqc.ir.graph import Node, Program, body, reachable
from deqc.ir.verify import verify
from deqc.lower import lower
from deqc.spec.build import build
from deqc.spec.loader import load
from deqc.spec.validate import validate


def lowered(text: str) -> Program:
    """The program that the text means, before any pass."""
    problems = Problems()
    root = load(text, "model.yaml")
    validate(root, problems)
    spec = build(root, problems)
    problems.raise_errors()
    assert spec is not None
    program = lower(spec, problems)
    problems.raise_errors()
    assert program is not None
    verify(program, "lowering")
    return program


def dense(main: str, head: str = "", scale: int = 3) -> str:
    """A spec of one dense scale."""
    return f"deqc: 1\nname: M\ninput: {{x: [3]}}\nscale: [{scale}]\nmain_layers: {main}\n{head}"


def layers(program: Program) -> list[str]:
    return [f"{layer.path}: {layer.constructor}" for layer in program.layers]


def place(node: Node) -> tuple[int, int]:
    assert node.span is not None
    return node.span.line, node.span.column


# paths of layers

EVERYTHING = """\
deqc: 1
name: Everything
input: {image: [3, 4, 4], x: [3]}
blocks:
  cell:
    params: {out: null, inject: {type: value, default: null}}
    body: [{sum: [[{linear: "${out}"}], $inject]}, gate]
  gate: {body: [{mul: [identity, [{linear: "${in.features}"}, sigmoid]]}]}
encoder:
  e: [$image, {conv2d: {out: 2, kernel: 1}}, {batch_norm: false}, flatten, {linear: 3}, {linear: {out: 3, bias: false}}]
scales: [[3], [2]]
init: [[$e, {linear: 3}], null]
main_layers:
  - - {sum: [[{linear: 3}], [$x, {linear: 3}, tanh, {linear: 3}]]}
    - {residual: [{linear: 3}, {residual: [{linear: 3}]}]}
    - {sum: [[{linear: 3}], identity]}
  - - {repeat: {times: 2, body: [{linear: 2}, tanh, {linear: 2}]}}
    - {cell: {out: 2, inject: [$e, {linear: 2}]}}
    - {cell: 2}
mapping_layers:
  - [identity, {linear: 2}]
  - [[{linear: 3}, layer_norm, {linear: 3}, {layer_norm: {eps: 0.1}}, {layer_norm: {affine: false}}], {linear: 2}]
post_fuse_layers: [layer_norm, null]
head: [$z.1, {linear: 4}, {dropout: 0.5}]
"""


def test_every_path() -> None:
    assert layers(lowered(EVERYTHING)) == [
        "encoder.e.conv2d: nn.Conv2d(3, 2, 1)",
        "encoder.e.batch_norm: nn.BatchNorm2d(2, affine=False)",
        "encoder.e.linear: nn.Linear(32, 3)",
        "encoder.e.linear_1: nn.Linear(3, 3, bias=False)",
        "init.0.linear: nn.Linear(3, 3)",
        "main_layers.0.sum.0.linear: nn.Linear(3, 3)",
        "main_layers.0.sum.1.linear: nn.Linear(3, 3)",
        "main_layers.0.sum.1.linear_1: nn.Linear(3, 3)",
        "main_layers.0.residual.linear: nn.Linear(3, 3)",
        "main_layers.0.residual.residual.linear: nn.Linear(3, 3)",
        "main_layers.0.sum_1.0.linear: nn.Linear(3, 3)",
        "main_layers.1.repeat.0.linear: nn.Linear(2, 2)",
        "main_layers.1.repeat.0.linear_1: nn.Linear(2, 2)",
        "main_layers.1.repeat.1.linear: nn.Linear(2, 2)",
        "main_layers.1.repeat.1.linear_1: nn.Linear(2, 2)",
        "main_layers.1.cell.inject.linear: nn.Linear(3, 2)",
        "main_layers.1.cell.sum.0.linear: nn.Linear(2, 2)",
        "main_layers.1.cell.gate.mul.1.linear: nn.Linear(2, 2)",
        "main_layers.1.cell_1.sum.0.linear: nn.Linear(2, 2)",
        "main_layers.1.cell_1.gate.mul.1.linear: nn.Linear(2, 2)",
        "mapping_layers.0.1.linear: nn.Linear(3, 2)",
        "mapping_layers.1.0.linear: nn.Linear(2, 3)",
        "mapping_layers.1.0.layer_norm: nn.LayerNorm(3)",
        "mapping_layers.1.0.linear_1: nn.Linear(3, 3)",
        "mapping_layers.1.0.layer_norm_1: nn.LayerNorm(3, eps=0.1)",
        "mapping_layers.1.1.linear: nn.Linear(2, 2)",
        "post_fuse_layers.0.layer_norm: nn.LayerNorm(3)",
        "head.linear: nn.Linear(2, 4)",
        "head.dropout: nn.Dropout(0.5)",
    ]


def test_a_scale_more_renames_nothing() -> None:
    one = lowered(dense("[{sum: [{linear: 3}, [$x, {linear: 3}]]}, tanh]"))
    two = lowered(
        "deqc: 1\nname: M\ninput: {x: [3]}\nscales: [[3], [1]]\n"
        "main_layers:\n  - [{sum: [{linear: 3}, [$x, {linear: 3}]]}, tanh]\n  - tanh\n"
    )
    assert layers(one) == layers(two)


def test_steps_are_counted_by_name_in_their_own_chain() -> None:
    program = lowered(dense("[{linear: 3}, {sum: [{linear: 3}, {linear: 3}]}, tanh, {linear: 3}, {linear: 3}]"))
    assert [layer.path.removeprefix("main_layers.0.") for layer in program.layers] == [
        "linear",
        "sum.0.linear",
        "sum.1.linear",
        "linear_1",
        "linear_2",
    ]


def test_a_use_that_has_no_weights_counts_too() -> None:
    program = lowered(dense("[{layer_norm: false}, {layer_norm: true}]"))
    assert [layer.path for layer in program.layers] == ["main_layers.0.layer_norm_1"]


def test_the_parameters_of_a_layer() -> None:
    program = lowered(dense("[{linear: 3}, rms_norm, {linear: {out: 3, bias: false}}]"))
    found = [(n.attributes["layer"], n.attributes["name"], n.type.shape) for n in program.nodes if n.op == "parameter"]
    assert found == [
        ("main_layers.0.linear", "weight", (3, 3)),
        ("main_layers.0.linear", "bias", (3,)),
        ("main_layers.0.rms_norm", "weight", (3,)),
        ("main_layers.0.linear_1", "weight", (3, 3)),
    ]
    assert not any(n.type.batched for n in program.nodes if n.op == "parameter")


# numbers and names in force


EACH = "main_layers: {each: sin}\n"


@pytest.mark.parametrize(
    ("section", "constructor"),
    [
        ('main_layers: [[{linear: "${scale.features}"}], sin]', "nn.Linear(4, 4)"),
        ('main_layers: [sin, [{linear: "${scale.index + 2}"}, {linear: 3}]]', "nn.Linear(3, 3)"),
        ('main_layers: [[{linear: "${in.features * scales.count}"}, {linear: 4}], sin]', "nn.Linear(4, 8)"),
        ('main_layers: [[{linear: "${width}"}, {linear: 4}], sin]', "nn.Linear(4, 7)"),
        ('main_layers: {each: [{linear: "${scale.size}"}]}', "nn.Linear(4, 4)"),
        (EACH + 'mapping_layers: [[null, {linear: "${to.features}"}], [{linear: 4}, null]]', "nn.Linear(4, 3)"),
        (
            EACH + 'mapping_layers: {down: [{linear: "${from.size + to.index}"}, {linear: 3}], up: null}',
            "nn.Linear(4, 5)",
        ),
        (EACH + 'init: [[$x, {linear: "${scale.features}"}], null]', "nn.Linear(3, 4)"),
        (EACH + 'post_fuse_layers: {each: [{linear: "${in.size}"}]}', "nn.Linear(4, 4)"),
        ('main_layers: [{repeat: {times: "${scales.count}", body: [{linear: 4}]}}, sin]', "nn.Linear(4, 4)"),
    ],
)
def test_numbers_in_force(section: str, constructor: str) -> None:
    head = "deqc: 1\nname: M\nconstants: {width: 7}\ninput: {x: [3]}\nscales: [[4], [3]]\n"
    assert lowered(head + section).layers[0].constructor == constructor


def test_a_repeat_counts_from_zero() -> None:
    program = lowered(dense('[{repeat: {times: 3, index: k, body: [{linear: "${5 - k}"}]}}]'))
    assert [layer.constructor for layer in program.layers] == ["nn.Linear(3, 5)", "nn.Linear(5, 4)", "nn.Linear(4, 3)"]


def test_a_block_has_numbers_of_its_own() -> None:
    program = lowered(
        "deqc: 1\nname: M\ninput: {x: [3]}\nconstants: {wide: 6}\n"
        'blocks:\n  inner: {params: {n: 2}, body: [{linear: "${n}"}]}\n'
        '  outer: {params: {n: null}, body: [{inner: "${n + wide}"}, inner, {linear: "${n}"}]}\n'
        "scale: [3]\nmain_layers: [{outer: 3}]\n"
    )
    assert [layer.constructor for layer in program.layers] == ["nn.Linear(3, 9)", "nn.Linear(9, 2)", "nn.Linear(2, 3)"]


def test_as_names_a_value_where_it_stands() -> None:
    program = lowered(dense("[{linear: 3}, {as: a}, tanh, {sum: [identity, [$a, {mul: [identity, $a]}]]}]"))
    (product,) = (n for n in program.nodes if n.op == "mul")
    linear = next(n for n in program.nodes if n.op == "linear")
    assert product.operands == (linear, linear)
    assert linear.hint == "a"


def test_a_name_in_use_elsewhere_keeps_its_value() -> None:
    """`as` on a value that something reads already gives the name to the same node."""
    program = lowered(dense("[{sum: [$x, [$x, {as: a}, sin, {sum: [identity, $a]}]]}, tanh]"))
    verify(program, "lowering")
    (x,) = program.inputs
    assert sum(x in n.operands for n in program.nodes) == 3


def test_states_of_scales() -> None:
    program = lowered(
        "deqc: 1\nname: M\ninput: {x: [3]}\nscales: [[3], [2]]\n"
        "main_layers:\n  - [$z.1, {linear: 3}]\n  - [sin, {sum: [identity, $z]}]\nhead: [$z.1, {linear: 1}]\n"
    )
    first, second = (n for n in program.nodes if n.op == "unpack" and n.operands[0] is program.state)
    assert next(n for n in program.nodes if n.op == "linear").operands[0] is second
    total = next(n for n in program.nodes if n.op == "sum")
    assert total.operands[1] is second
    assert first not in set(reachable((program.f,)))
    assert len(program.outputs) == 1
    assert program.solution in set(reachable(program.outputs))


def test_an_optional_value_left_out_drops_its_branch() -> None:
    text = (
        "deqc: 1\nname: M\ninput: {x: [3]}\n"
        "blocks:\n  cell:\n    params: {inject: {type: value, default: null}}\n"
        "    body: [{sum: [[{linear: 3}], $inject]}, tanh]\n"
        "scale: [3]\nmain_layers: [STEP]\n"
    )
    assert not any(n.op == "sum" for n in lowered(text.replace("STEP", "cell")).nodes)
    assert any(n.op == "sum" for n in lowered(text.replace("STEP", "{cell: $x}")).nodes)


# the shape of the program


def test_scales_are_packed_in_order() -> None:
    program = lowered("deqc: 1\nname: M\ninput: {x: [3]}\nscales: [[2], [2, 3], [2, 2, 2]]\nmain_layers: {each: sin}\n")
    assert [(s.start, s.stop) for s in program.scales] == [(0, 2), (2, 8), (8, 16)]
    assert program.size == 16
    assert program.f.op == "pack"
    assert [o.type.shape for o in program.f.operands] == [(2,), (2, 3), (2, 2, 2)]


def test_one_vector_is_not_packed() -> None:
    program = lowered(dense("tanh"))
    assert [n.op for n in body(program)] == ["tanh"]
    assert program.f.operands == (program.state,)


@pytest.mark.parametrize(
    ("init", "kind"), [("", "zeros"), ("init: zeros", "zeros"), ("init: step", "step"), ("init: $x", "chains")]
)
def test_start(init: str, kind: str) -> None:
    program = lowered(dense("tanh", init))
    assert program.start_kind == kind
    assert (program.start is None) == (kind != "chains")


def test_nulls_of_init_are_zeros_and_of_post_fuse_identity() -> None:
    program = lowered(
        "deqc: 1\nname: M\ninput: {x: [3]}\nscales: [[3], [2]]\nmain_layers: {each: sin}\n"
        "init: [$x, null]\npost_fuse_layers: [null, tanh]\n"
    )
    assert program.start is not None
    assert [o.op for o in program.start.operands] == ["input", "zeros"]
    assert [o.op for o in program.f.operands] == ["sin", "tanh"]


def test_mappings_into_one_scale_are_added_in_order() -> None:
    program = lowered(
        "deqc: 1\nname: M\ninput: {x: [3]}\nscales: [[2], [2], [2]]\nmain_layers: {each: sin}\n"
        "mapping_layers:\n  - [identity, null, tanh]\n  - [cos, identity, null]\n  - [identity, null, identity]\n"
    )
    total, second, last = program.f.operands
    h = program.hidden
    assert [o.op for o in total.operands] == ["sin", "cos", "sin"]
    assert (total.operands[0], total.operands[2]) == (h[0], h[2])
    assert second is h[1]
    assert last.op == "sum"


def test_the_boundary_is_what_f_reads_as_it_stands() -> None:
    program = lowered(
        "deqc: 1\nname: M\ninput: {x: [3], y: [3]}\nscale: [3]\n"
        "encoder: {e: [$x, {linear: 3}], unused: [$y, {linear: 3}]}\n"
        "main_layers:\n  - sum:\n    - [{linear: {out: 3, bias: false}}, {variational_dropout: 0.5}]\n"
        "    - [$e, sin]\n    - [$y, {times: 2}]\n"
    )
    shown = [n.attributes.get("layer", n.op) if n.op == "parameter" else n.hint or n.op for n in program.boundary]
    assert sorted(shown) == ["e", "main_layers.0.sum.0.linear", "mask", "y"]
    assert [e.hint for e in program.encoded] == ["e", "unused"]
    inside = {n.op for n in body(program)}
    assert inside == {"linear", "mul", "sin", "times", "sum"}  # nothing is hoisted yet


def test_f_without_the_state() -> None:
    program = lowered(dense("[$x, {linear: 3}]"))
    assert program.state not in set(reachable((program.f,)))


# places

PLACES = """\
deqc: 1
name: Places
input: {x: [3]}
encoder:
  e: [$x, tanh]
scale: [3]
main_layers:
  - sin
  - {sum: [{linear: 3}, $e]}
  - {concat: [identity, cos]}
  - {slice: {start: 3}}
"""


def test_every_node_knows_its_step() -> None:
    program = lowered(PLACES)
    lines = PLACES.splitlines()
    for node in program.nodes:
        if node.leaf and node.op != "parameter":
            continue
        line, column = place(node)
        step = {"parameter": "linear"}.get(node.op, node.op)
        assert lines[line - 1][column - 1 :].startswith(step), node.op


WRONG = [
    # before the place stands ¦
    ("E060", "[{¦conv2d: {out: 3, kernel: 1}}]", "conv2d needs a value of shape [channels, height, width], found [3]"),
    ("E060", "[{¦group_norm: 1}]", "group_norm needs a value of shape [channels, height, width], found [3]"),
    ("E060", "[{¦upsample: 2}]", "upsample needs"),
    ("E060", "[{¦avg_pool2d: 2}]", "avg_pool2d needs"),
    ("E060", "[¦global_avg_pool]", "global_avg_pool needs"),
    ("E060", "[{reshape: [1, 1, 3]}, {¦max_pool2d: {kernel: 1, padding: 1}}, flatten]", "pads by more than half"),
    ("E060", "[{reshape: [1, 1, 3]}, {¦max_pool2d: 2}, flatten]", "does not fit into an image of 1 x 3"),
    ("E060", "[{reshape: [1, 1, 3]}, {¦conv2d: {out: 1, kernel: 5, padding: 0}}, flatten]", "does not fit into"),
    ("E060", "[{reshape: [3, 1, 1]}, {¦conv2d: {out: 3, kernel: 2}}, flatten]", "padding half needs an odd kernel"),
    ("E060", "[{reshape: [3, 1, 1]}, {¦conv2d: {out: 4, kernel: 1, groups: 3}}, flatten]", "3 groups on 3 channels"),
    ("E060", "[{¦reshape: [2, 2]}]", "reshape from [3] (3 numbers) to [2, 2] (4)"),
    ("E060", "[{¦slice: {dim: 1}}]", "slice has no dim 1 on a value of shape [3]"),
    ("E060", "[{¦slice: {start: 3}}]", "slice from 3 to 3 of an axis of 3"),
    ("E060", "[{¦slice: {stop: 4}}]", "slice from 0 to 4 of an axis of 3"),
    ("E060", "[{¦softmax: -2}]", "softmax has no dim -2"),
    ("E060", "[{¦log_softmax: 1}]", "log_softmax has no dim 1"),
    ("E060", "[{¦clamp: {}}]", "clamp has neither min nor max"),
    ("E060", "[{¦variational_dropout: {p: 0.1, per: token}}]", "variational_dropout per token on a value of shape [3]"),
    ("E060", "[{¦variational_dropout: {p: 0.1, per: channel}}]", "per channel on a value of shape [3]"),
    ("E060", "[{reshape: [1, 3]}, {¦concat: [identity, identity]}, flatten]", "needs dim"),
    ("E060", "[{¦concat: {of: [identity, identity], dim: 1}}]", "concat has no dim 1"),
    ("E061", "[{mul: [identity, ¦[{linear: 2}]]}]", "this branch of mul has shape [2], the first has [3]"),
    ("E061", "[{sum: [identity, identity, ¦{linear: 2}]}]", "this branch of sum has shape [2], the first has [3]"),
    ("E061", "[{residual: ¦[{linear: 2}]}]", "residual adds a value of shape [2] to one of shape [3]"),
    ("E062", "[tanh, {¦linear: 4}]", "main_layers returns [4], scale 0 is [3]"),
    ("E023", '[{linear: ¦"${in.features - 3}"}, {linear: 3}]', "linear.out must be a whole number ≥ 1, found 0"),
    ("E022", '[{linear: ¦"${in.features / 3}"}, {linear: 3}]', "linear.out must be a whole number ≥ 1, found 1.0"),
    ("E023", '[{variational_dropout: ¦"${in.features}"}]', "variational_dropout.p must be a number ≥ 0 and < 1"),
    ("E053", '[{linear: "¦${in.height}"}]', "height"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "main", "message"), WRONG, ids=[row[1] for row in WRONG])
def test_shapes_that_do_not_fit(code: str, main: str, message: str) -> None:
    text = dense(main)
    line = next(k for k, row in enumerate(text.splitlines(), 1) if "¦" in row)
    column = text.splitlines()[line - 1].index("¦") + 1
    with pytest.raises(SpecError) as error:
        lowered(text.replace("¦", ""))
    (found,) = error.value.diagnostics
    assert found.code == code
    assert message in found.message
    assert found.span.line == line
    if code != "E053":  # which points into the expression
        assert found.span.column == column


def test_one_mistake_is_told_once() -> None:
    """What follows from a value that could not be made is silent; other scales are checked all the same."""
    text = (
        "deqc: 1\nname: M\ninput: {x: [3]}\nencoder: {e: [$x, {conv2d: {out: 1, kernel: 1}}]}\nscales: [[3], [2]]\n"
        "main_layers:\n  - [{sum: [identity, [$e, {linear: 3}]]}, tanh]\n  - [{linear: 4}]\n"
        "mapping_layers: [[identity, {linear: 3}], [null, identity]]\nhead: [$e, {linear: 2}]\n"
    )
    with pytest.raises(SpecError) as error:
        lowered(text)
    assert [(d.code, d.span.line) for d in error.value.diagnostics] == [("E060", 4), ("E062", 8)]


def test_two_layers_of_one_path() -> None:
    text = (
        "deqc: 1\nname: M\ninput: {x: [3]}\nblocks: {linear_1: {body: [{linear: 3}]}}\nscale: [3]\n"
        "main_layers: [linear_1, {linear: 3}, {linear: 3}]\n"
    )
    with pytest.raises(SpecError) as error:
        lowered(text)
    assert {d.code for d in error.value.diagnostics} <= {"E044", "E045"}


def test_a_chain_of_thousands_of_steps_compiles() -> None:
    steps = ", ".join(["tanh", "sin"] * 600)
    assert "torch.sin" in compile_text(dense(f"[{{linear: 3}}, {steps}]"), "deep").source
