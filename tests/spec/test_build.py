"""The typed spec: short forms written out, names, structure and defaults; every mistake in one run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deqc.diagnostics import Problems
from deqc.solvers import LINEAR_SOLVERS, SOLVERS
from deqc.spec.build import build
from deqc.spec.canonical import canonical
from deqc.spec.expressions import Expression
from deqc.spec.loader import load
from deqc.spec.methods import resolved
from deqc.spec.model import Branches, Computation, Literal, Reference, Sizes
from deqc.spec.tree import Entry, Mapping, Node, Scalar, Sequence
from deqc.spec.validate import validate
from tests.spec.reading import HEAD, found, good, marked, names, only, read, several, single, step

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "specs").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples(path: Path) -> None:
    good(path.read_text(encoding="utf-8"))


# Short forms


def test_principal_fields() -> None:
    spec = good(single("[{linear: 4}, {residual: [tanh]}, {sum: [identity, $x]}, {times: 2}]"))
    (layer,) = spec.main_layers
    assert names(layer) == ["linear", "residual", "sum", "times"]
    out = step(layer, 0).arguments["out"]
    body = step(layer, 1).arguments["body"]
    branches = step(layer, 2).arguments["of"]
    factor = step(layer, 3).arguments["by"]
    assert isinstance(out, Literal)
    assert out.value == 4
    assert isinstance(body, Computation)
    assert names(body) == ["tanh"]
    assert isinstance(branches, Branches)
    assert [names(one) for one in branches.items] == [["identity"], ["$x"]]
    assert isinstance(factor, Literal)
    assert isinstance(factor.value, float)  # a NUMBER is a float, however it is written


def test_a_single_step_is_a_chain_of_one() -> None:
    assert names(good(single("tanh")).main_layers[0]) == ["tanh"]
    assert names(good(single("{linear: 4}")).main_layers[0]) == ["linear"]
    assert names(good(single("$x")).main_layers[0]) == ["$x"]


def test_lists_of_numbers() -> None:
    spec = good(single("[{conv2d: {out: 4, kernel: [3, 5], padding: half}}, {reshape: [2, '${2 * 1}']}]"))
    arguments = step(spec.main_layers[0]).arguments
    kernel, padding = arguments["kernel"], arguments["padding"]
    assert isinstance(kernel, Sizes)
    assert [one.value for one in kernel.items] == [3, 5]
    assert isinstance(padding, Literal)
    assert padding.value == "half"
    shape = step(spec.main_layers[0], 1).arguments["shape"]
    assert isinstance(shape, Sizes)
    assert [one.value for one in shape.items] == [2, 2]


def test_spans_of_steps() -> None:
    text = single("[tanh, {linear: {out: 4}}]")
    one = step(good(text).main_layers[0], 1)
    line = text.splitlines()[one.span.line - 1]
    assert line[one.span.column - 1 : one.span.end_column - 1] == "linear"
    assert line[one.whole.column - 1 : one.whole.end_column - 1] == "{linear: {out: 4}}"


# Numbers


def test_constants_are_folded_and_shapes_are_left() -> None:
    spec = good(single("[{linear: '${width // 2}'}, {linear: '${in.features * width}'}]", "constants: {width: 8}"))
    first, second = (step(spec.main_layers[0], index).arguments["out"] for index in (0, 1))
    assert isinstance(first, Literal)
    assert first.value == 4
    assert isinstance(second, Literal)
    assert isinstance(second.value, Expression)


@pytest.mark.parametrize(
    ("expression", "code", "message"),
    [
        ("${w - 8}", "E023", "linear.out must be a whole number ≥ 1, found 0"),
        ("${w / 2}", "E022", "linear.out must be a whole number ≥ 1, found 4.0"),
        ("${w > 2}", "E022", "linear.out must be a whole number ≥ 1, found true"),
        ("${1 // 0}", "E055", "division by zero: 1 // 0"),
        ("${wd}", "E052", "unknown name 'wd' in an expression; did you mean 'w'?"),
        ("${in.chanels}", "E053", "'in' has no field 'chanels'; did you mean 'in.channels'?"),
        ("${from.channels}", "E052", "unknown name 'from' in an expression"),
        ("${in}", "E053", "'in' is not a number"),
        ("${w.x}", "E053", "'w' is a number and has no field 'x'"),
    ],
)
def test_expressions_obey_the_same_bounds(expression: str, code: str, message: str) -> None:
    told = only(single(f"[{{linear: '{expression}'}}]", "constants: {w: 8}"))
    assert (told.code, told.message) == (code, message)


def test_bounds_that_exclude_their_end() -> None:
    told = only(single("[{layer_norm: {eps: '${w - 8}'}}]", "constants: {w: 8}"))
    assert (told.code, told.message) == ("E023", "layer_norm.eps must be a number > 0, found 0")
    assert only(single("[{variational_dropout: '${w / 8}'}]", "constants: {w: 8}")).code == "E023"


def test_the_number_of_scales_is_a_constant() -> None:
    out = step(good(several("[{linear: '${scales.count * 2}'}, {linear: 3}]")).main_layers[0]).arguments["out"]
    assert isinstance(out, Literal)
    assert out.value == 4


def test_which_numbers_are_read_where() -> None:
    text = f"""{HEAD}scales: [[4], [3]]
init: {{each: {{linear: "${{scale.features}}"}}}}
main_layers: {{each: {{linear: "${{scale.features + scales.count - 2 + 0 * scale.index}}"}}}}
mapping_layers: {{down: {{linear: "${{to.features + 0 * from.index}}"}}, up: null}}
post_fuse_layers: {{each: {{linear: "${{scale.size}}"}}}}
head: [$z.0, {{repeat: {{times: 2, index: k, body: {{linear: "${{k + 1}}"}}}}}}]
"""
    good(text)
    assert [code for code, _ in found(text.replace("head: [$z.0,", "head: [$z.0, {linear: '${k}'},"))] == ["E052"]
    assert [code for code, _ in found(text.replace("up: null", "up: {linear: '${scale.size}'}"))] == ["E052"]


def test_sizes_are_numbers_of_constants() -> None:
    text = 'deqc: 1\nname: M\nconstants: {w: 4}\ninput: {x: ["${w}", 2]}\nscale: ["${w * 2}"]\nmain_layers: [tanh]\n'
    spec = good(text)
    assert spec.inputs[0].shape.sizes == (4, 2)
    assert spec.scales[0].sizes == (8,)
    assert only(text.replace("${w * 2}", "${w - 4}")).code == "E023"
    assert only(text.replace("${w * 2}", "${in.size}")).code == "E052"


# Steps and references


@pytest.mark.parametrize(
    ("main", "message", "hint"),
    [
        ("[liner]", "there is no step 'liner'", "did you mean 'linear'?"),
        ("[ReLU]", "there is no step 'ReLU'", "did you mean 'relu'?"),
        ("[{blck: 3}]", "there is no step 'blck'", "did you mean 'block'?"),
        ("[x]", "there is no step 'x'", "`$x` reads the value x"),
        ("['linear:64']", "there is no step 'linear:64'", "write a space after the colon: `{linear: 64}`"),
        ("[step]", "there is no step 'step'", "`step` stands alone: `init: step`"),
        ("['${x}']", "an expression is no step", "`$x` reads the value x; `${…}` is a number, for the fields of steps"),
        ("['${w}']", "an expression is no step", "`${x}` is a number, for the fields of steps; `$x` is a value"),
        ("[$x.y]", "'$x.y' is not a reference", "a value is read as `$name`, a scale of the state as `$z.0`"),
        ("[linear]", "linear needs 'out'", "write `{linear: …}`"),
        ("[conv2d]", "conv2d needs 'out' and 'kernel'", "write `{conv2d: {out: …, kernel: …}}`"),
        ("[$y]", "there is no value '$y' here", "readable here: $x, $inject, $z"),
        ("[$injct]", "there is no value '$injct' here", "did you mean '$inject'?"),
        ("[$x.0]", "'$x' has no scales", "write `$x`; only `$z` has scales"),
        ("[$z.1]", "there is no scale 1", "scales count from 0: only `$z.0`"),
        ("[dropout]", "dropout needs 'p'", "write `{dropout: …}`"),
    ],
)
def test_what_is_unknown(main: str, message: str, hint: str) -> None:
    more = "blocks: {block: {params: {a: 1}, body: tanh}}\nencoder: {inject: tanh}"
    diagnostics = read(single(main, more))[1]
    assert (diagnostics[0].message, diagnostics[0].hint) == (message, hint)


def test_a_dropped_result() -> None:
    text = single("[{linear: 3}, $x, tanh]")
    told = only(text)
    assert (told.code, told.message, marked(text, told)) == ("E049", "the result of linear is dropped", "$x")
    assert told.related[0].message == "this result"
    good(single("[{linear: 4}, {as: h}, $x, {sum: [identity, $h]}]"))


def test_names_given_in_a_chain() -> None:
    good(single("[{as: h}, {residual: [{linear: 4}, {sum: [identity, $h]}]}, {sum: [identity, $h]}]"))
    assert only(single("[{as: h}, {linear: 4}, {as: h}]")).message == "'h' names a value already"
    assert only(single("[{as: h}, {residual: [{as: h}]}]")).message == "'h' names a value already"
    assert only(single("[{as: x}]")).message == "'x' names a value already"
    assert only(single("[{as: in}]")).code == "E041"
    # What is named inside is not seen outside, nor in another branch.
    assert only(single("[{residual: [{as: h}]}, {sum: [identity, $h]}]")).message == "there is no value '$h' here"
    assert only(single("[{sum: [[{as: h}, tanh], $h]}]")).message == "there is no value '$h' here"


def test_the_state_is_read_in_main_layers_and_head() -> None:
    good(several("[{sum: [$z, $z.0]}, {sum: [$z, [$z.0, {linear: 3}]]}]", "head: [$z.1]"))
    good(single("[{sum: [$z, $z.0]}]", "head: [{sum: [$z, $z.0]}]"))
    assert only(several("[tanh, tanh]", "head: $z")).hint == "write `$z.0` to `$z.1`"
    assert only(several("[tanh, $z.2]")).hint == "scales count from 0: `$z.0` to `$z.1`"
    for section in ("init: [$z, $x]", "post_fuse_layers: [$z, null]", "mapping_layers: {down: $z, up: null}"):
        assert {code for code, _ in found(several("[tanh, tanh]", section))} >= {"E043"}


def test_where_a_computation_starts() -> None:
    two = "deqc: 1\nname: M\ninput: {x: [4], y: [4]}\nscale: [4]\nmain_layers: [tanh]\n"
    good(two + "encoder: {a: [$x, tanh], b: {sum: [$x, [$y, tanh]]}, c: [{mul: [$a, $b]}, tanh]}\ninit: [$c]")
    assert only(two + "encoder: {a: tanh}").message == "'tanh' has no value to start from"
    assert only(two + "encoder: {a: {sum: [$x, tanh]}}").code == "E046"
    assert only(two + "init: {linear: 4}").code == "E046"
    good(two + "init: [{zeros: {}}]")
    good(two + "blocks: {b: {params: {v: {type: value}}, body: [$v, tanh]}}\nencoder: {a: {b: $x}}")
    assert only(two + "blocks: {b: [tanh]}\nencoder: {a: b}").code == "E046"
    mixed = "blocks: {b: {params: {v: {type: value}}, body: {sum: [$v, identity]}}}\nencoder: {a: {b: $x}}"
    assert only(two + mixed).code == "E046"
    assert (
        only(several("[tanh, tanh]", "head: tanh")).hint == "with several scales a head begins with one of them: `$z.0`"
    )
    good(single("[tanh]", "encoder: {a: tanh}"))


def test_the_encoder_reads_what_is_before_it() -> None:
    later = only(single("[tanh]", "encoder: {a: tanh, b: $c, c: tanh}"))
    assert later.hint == "the encoder computes 'c' later: move it before"
    good(single("[$b]", "encoder: {a: tanh, b: $a}"))
    assert only(single("[tanh]", "encoder: {a: $b, b: tanh}")).hint == "the encoder computes 'b' later: move it before"
    assert (
        only(single("[tanh]", "encoder: {x: tanh}")).message
        == "'x' names an input already and cannot name an encoder value"
    )


@pytest.mark.parametrize(
    "main", ["[batch_norm]", "[{dropout: 0.5}]", "[{residual: [batch_norm]}]", "[zeros]", "[inner]"]
)
def test_steps_that_f_may_not_hold(main: str) -> None:
    text = single(main, "blocks: {inner: [outer], outer: [batch_norm]}")
    told = only(text)
    assert told.code == "E048"
    assert bool(told.related) is (main == "[inner]")
    good(single("[tanh]", "encoder: {a: [batch_norm, {dropout: 0.5}]}\nhead: [batch_norm]"))


# Blocks


def test_blocks() -> None:
    spec = good(
        single(
            "[{dense: 4}, {dense: {out: 4, bias: false}}, {add: $x}, {add: {v: [$x, tanh]}}, add, plain]",
            """
            constants: {c: true}
            blocks:
              dense: {params: {out: null, bias: "${c}"}, body: [{linear: {out: "${out}", bias: "${bias}"}}]}
              add: {params: {v: {default: null, type: value, description: the other}}, body: [{sum: [identity, $v]}]}
              plain: [tanh]
            """,
        )
    )
    dense, add = spec.blocks["dense"].parameters, spec.blocks["add"].parameters
    assert [(one.name, one.required) for one in (*dense, *add)] == [("out", True), ("bias", False), ("v", False)]
    assert isinstance(dense[1].default, Literal)
    assert dense[1].default.value is True
    assert (add[0].type, add[0].default, add[0].description) == ("value", None, "the other")
    assert isinstance(step(spec.main_layers[0], 2).arguments["v"], Computation)


def test_numbers_for_blocks_stay_as_they_are_written() -> None:
    spec = good(single("[{b: {n: 4}}]", "blocks: {b: {params: {n: {type: number}}, body: [{linear: '${n}'}]}}"))
    given = step(spec.main_layers[0]).arguments["n"]
    assert isinstance(given, Literal)
    assert type(given.value) is int


def test_a_parameter_that_is_read_by_dollar_is_a_value() -> None:
    spec = good(single("[{add: $x}]", "blocks: {add: {params: {v: null}, body: [{sum: [identity, $v]}]}}"))
    assert (spec.blocks["add"].parameters[0].type, spec.blocks["add"].parameters[0].required) == ("value", True)


@pytest.mark.parametrize(
    ("main", "message"),
    [
        ("[dense]", "the block dense needs 'out'"),
        ("[{dense: {bias: true}}]", "the block dense needs 'out'"),
        ("[{dense: {ot: 3}}]", "the block dense has no parameter 'ot'"),
        ("[{dense: {out: 4, bias: 1}}]", "dense.bias must be true or false, found 1"),
        ("[{dense: {out: 4.5}}]", "dense.out must be a whole number, found 4.5"),
        ("[{plain: 3}]", "the block plain has no parameters, found 3"),
        ("[{add: 3}]", "add.v must be a computation, such as `$x`, found 3"),
        ("[{add: [[tanh]]}]", "a list inside a chain: a chain contains steps; did you mean `scales:` or `sum:`?"),
        ("[{add: [3]}]", "a step must be a name, `$name` or a mapping of one name to its fields, found 3"),
        ("[{add: {linear: 3}}]", "the block add has no parameter 'linear'"),
    ],
)
def test_uses_of_blocks(main: str, message: str) -> None:
    blocks = """
        blocks:
          dense: {params: {out: {type: int}, bias: true}, body: [{linear: {out: "${out}", bias: "${bias}"}}]}
          add: {params: {v: {default: null, type: value}}, body: [{sum: [identity, $v]}]}
          plain: [tanh]
    """
    assert only(single(main, blocks)).message == message


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ("linear: [tanh]", "E044"),
        ("attention: [tanh]", "E044"),
        ("children: [tanh]", "E041"),
        ("no-name: [tanh]", "E040"),
        ("b: {params: {c: 1}, body: [tanh]}", "E044"),
        ("b: {params: {in: 1}, body: [tanh]}", "E041"),
        ("b: [$x]", "E043"),
        ("b: [$z]", "E043"),
        ("b: {params: {n: 1}, body: [$n]}", "E043"),
        ("b: {params: {v: {type: value}}, body: [{linear: '${v}'}]}", "E052"),
        ("b: {params: {n: {type: int, default: true}}, body: [tanh]}", "E022"),
        ("b: [b]", "E047"),
        ("b: {params: {v: {default: [b], type: value}}, body: [tanh]}", ""),
    ],
)
def test_declarations_of_blocks(block: str, code: str) -> None:
    text = single("[tanh]", f"constants: {{c: 1}}\nblocks:\n  {block}")
    assert [one for one, _ in found(text)] == ([code] if code else [])


def test_a_circle_of_blocks_is_told_once() -> None:
    told = only(single("[a]", "blocks: {a: [b], b: [{residual: [c]}], c: [a], d: [a]}"))
    assert told.message == "the block a uses itself: a → b → c → a"


# Scales


def test_the_rule_and_each_are_written_out() -> None:
    spec = good(
        several(
            "{each: [tanh]}",
            "mapping_layers: {same: relu, down: {linear: 3}, up: null}\npost_fuse_layers: [null, tanh]",
        )
    )
    assert [names(one) for one in spec.main_layers] == [["tanh"], ["tanh"]]
    rows = [[None if one is None else names(one) for one in row] for row in spec.mapping_layers]
    assert rows == [[["relu"], ["linear"]], [None, ["relu"]]]
    assert spec.post_fuse_layers is not None
    assert spec.post_fuse_layers[0] is None


def test_without_mapping_layers_each_scale_feeds_itself() -> None:
    for section in ("", "mapping_layers: null"):
        spec = good(several("[tanh, tanh]", section))
        rows = [[None if one is None else names(one) for one in row] for row in spec.mapping_layers]
        assert rows == [[["identity"], None], [None, ["identity"]]]
        assert spec.post_fuse_layers is None


def test_rows_are_sources() -> None:
    spec = good(several("[tanh, tanh]", "mapping_layers: [[identity, {linear: 3}], [null, relu]]"))
    rows = [[None if one is None else names(one) for one in row] for row in spec.mapping_layers]
    assert rows == [[["identity"], ["linear"]], [None, ["relu"]]]


@pytest.mark.parametrize(
    ("text", "message", "mark"),
    [
        (several("[tanh]"), "main_layers has 1 entry for 2 scales", "main_layers"),
        (several("[tanh, tanh]", "init: [tanh, null, null]"), "init has 3 entries for 2 scales", "init"),
        (
            several("[tanh, tanh]", "post_fuse_layers: [null]"),
            "post_fuse_layers has 1 entry for 2 scales",
            "post_fuse_layers",
        ),
        (
            several("[tanh, tanh]", "mapping_layers: [[identity, null]]"),
            "mapping_layers has 1 row for 2 scales",
            "mapping_layers",
        ),
    ],
)
def test_wrong_counts_are_told_at_the_key(text: str, message: str, mark: str) -> None:
    told = only(text)
    assert (told.code, told.message, marked(text, told)) == ("E026", message, mark)
    assert told.related[-1].span.line == 4


def test_a_row_of_wrong_length_is_told_at_the_row() -> None:
    text = several("[tanh, tanh]", "mapping_layers: [[identity, null], [null]]")
    told = only(text)
    assert (told.code, told.message) == ("E026", "row 1 of mapping_layers has 1 entry for 2 scales")
    assert marked(text, told) == "[null]"
    assert [marked(text, replace(told, span=other.span)) for other in told.related] == ["mapping_layers", "scales"]


def test_wrong_entries_are_told_at_the_entry() -> None:
    text = several("[tanh, tanh]", "mapping_layers: [[identity, nul], [null, identity]]")
    told = only(text)
    assert (told.message, marked(text, told)) == ("there is no step 'nul'", "nul")


def test_the_start() -> None:
    assert good(single("[tanh]")).initial.kind == "zeros"
    assert good(single("[tanh]", "init: zeros")).initial.kind == "zeros"
    assert good(several("[tanh, tanh]", "init: step")).initial.kind == "step"
    chains = good(several("[tanh, tanh]", "init: [tanh, null]")).initial
    assert (chains.kind, [one is None for one in chains.chains]) == ("chains", [False, True])
    assert good(single("[tanh]", "init: identity")).initial.kind == "chains"


def test_the_position_decides_how_a_list_is_read() -> None:
    assert [names(one) for one in good(single("[{linear: 4}, tanh]")).main_layers] == [["linear", "tanh"]]
    assert [names(one) for one in good(several("[{linear: 4}, tanh]")).main_layers] == [["linear"], ["tanh"]]
    assert good(f"{HEAD}scales: [[4]]\nmain_layers: [[tanh, relu]]\n").single is False


# Solver and adjoint


def test_settings_have_defaults() -> None:
    spec = good(single("[tanh]"))
    solver, adjoint = spec.solver, spec.adjoint
    assert (solver.method.name, solver.atol, solver.rtol, solver.max_steps) == ("auto", 1e-3, 1e-3, 32)
    assert (solver.mode, solver.norm, solver.coupling, solver.on_failure) == ("abs_norm", "max", "sample", "warn")
    assert (adjoint.method.name, adjoint.linear_solver and adjoint.linear_solver.name) == ("implicit", "auto")
    assert adjoint.linear_solver is not None
    assert (adjoint.linear_solver.options["rtol"], adjoint.linear_solver.options["atol"]) == (1e-3, 0.0)


def test_settings_that_are_written() -> None:
    spec = good(
        single(
            "[tanh]",
            """
            solver: {method: anderson, history: 7, rtol: 1e-5, atol: 0, termination: {mode: rel_norm, norm: l2}}
            adjoint: {linear_solver: gmres}
            """,
        )
    )
    method = spec.solver.method
    assert method.options == {"history": 7, "ridge": 1e-4, "damping": 1.0, "type": "ii", "safeguard": True}
    assert method.written == {"method", "history", "rtol", "atol", "termination"}
    assert method.spans["history"].line == 7
    assert (spec.solver.mode, spec.solver.norm) == ("rel_norm", "l2")
    assert isinstance(spec.solver.atol, float)
    assert spec.adjoint.linear_solver is not None
    assert spec.adjoint.linear_solver.options["rtol"] == 1e-5


def test_principal_settings() -> None:
    spec = good(single("[tanh]", "solver: {method: picard, termination: rel_norm}\nadjoint: {linear_solver: lu}"))
    assert (spec.solver.method.name, spec.solver.mode, spec.solver.norm) == ("picard", "rel_norm", "max")
    assert spec.adjoint.linear_solver is not None
    assert spec.adjoint.linear_solver.name == "lu"
    assert good(single("[tanh]", "adjoint: jfb")).adjoint.linear_solver is None
    phantom = good(single("[tanh]", "adjoint: {method: phantom, steps: 2}")).adjoint.method
    assert phantom.options == {"steps": 2, "damping": 1.0}


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        (
            "solver: {ridge: 1e-3}",
            "'ridge' is an option of anderson, not of auto",
            "remove it, or write `method: anderson`",
        ),
        (
            "solver: {history: 3}",
            "'history' is an option of anderson, limited_memory_broyden and others, not of auto",
            "remove it, or write `method: anderson`",
        ),
        (
            "solver: {method: newton, damping: 0.5}",
            "'damping' is an option of picard, anderson and others, not of newton",
            "remove it, or write `method: picard`",
        ),
        (
            "adjoint: {steps: 3}",
            "'steps' is an option of phantom, not of implicit",
            "remove it, or write `method: phantom`",
        ),
        (
            "adjoint: {linear_solver: {method: gmres, ridge: 1}}",
            "'ridge' is an option of anderson, not of gmres",
            "remove it, or write `method: anderson`",
        ),
        (
            "adjoint: {method: jfb, linear_solver: lu}",
            "'linear_solver' is an option of implicit; jfb solves no linear system",
            "remove it, or write `method: implicit`",
        ),
    ],
)
def test_options_of_another_method(settings: str, message: str, hint: str) -> None:
    told = only(single("[tanh]", settings))
    assert (told.code, told.message, told.hint) == ("E080", message, hint)


def test_what_auto_becomes_keeps_what_was_written() -> None:
    spec = good(single("[tanh]", "adjoint: {linear_solver: {max_steps: 7}}"))
    assert spec.adjoint.linear_solver is not None
    linear = resolved(spec.adjoint.linear_solver, "gmres", LINEAR_SOLVERS)
    assert (linear.name, linear.options["max_steps"], linear.options["rtol"]) == ("gmres", 7, 1e-3)
    assert resolved(spec.solver.method, "anderson", SOLVERS).options["history"] == 5


# Everything at once


def test_every_mistake_in_one_run() -> None:
    text = f"""{HEAD.replace("name: M", "name: no name")}
scales: [[4], [0]]
constants: {{if: 3}}
blocks: {{b: {{params: {{n: null}}, body: [{{linear: "${{m}}"}}]}}}}
encoder: {{e: [$y]}}
main_layers:
  - [{{liner: 4}}, $q, {{linear: 0}}]
  - [b, tanh, $x]
mapping_layers: [[identity]]
head: [tanh]
solver: {{method: newton, history: 2, atol: -1}}
"""
    assert [code for code, _ in found(text)] == [
        "E040",  # name
        "E023",  # scales
        "E041",  # constants
        "E052",  # the block's body
        "E043",  # encoder
        "E042",  # main layers
        "E043",
        "E049",
        "E023",
        "E021",
        "E049",
        "E026",  # mapping layers
        "E046",
        "E080",
        "E023",
    ]


def test_a_step_that_cannot_be_read_does_not_hide_the_rest_of_its_chain() -> None:
    assert [code for code, _ in found(single("[{liner: 4}, {linear: '${q}'}, $y]"))] == ["E042", "E052", "E043", "E049"]


# No document brings it down


def _paths(node: Node, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    yield path
    children = (
        [entry.value for entry in node]
        if isinstance(node, Mapping)
        else node.items
        if isinstance(node, Sequence)
        else ()
    )
    for index, child in enumerate(children):
        yield from _paths(child, (*path, index))


def _with(node: Node, path: tuple[int, ...], new: Node) -> Node:
    if not path:
        return new
    if isinstance(node, Mapping):
        entries = [
            Entry(one.key, _with(one.value, path[1:], new)) if index == path[0] else one
            for index, one in enumerate(node)
        ]
        return Mapping(tuple(entries), node.span)
    assert isinstance(node, Sequence)
    items = [_with(one, path[1:], new) if index == path[0] else one for index, one in enumerate(node.items)]
    return Sequence(tuple(items), node.span)


def _at(node: Node, path: tuple[int, ...]) -> Node:
    for index in path:
        assert not isinstance(node, Scalar)
        node = node.entries[index].value if isinstance(node, Mapping) else node.items[index]
    return node


def test_documents_with_parts_exchanged_are_read_or_refused() -> None:
    trees = [load(path.read_text(encoding="utf-8"), path.name) for path in EXAMPLES]
    parts = [_at(tree, path) for tree in trees for path in _paths(tree)]
    words = [None, True, -1, 2.5, "", "$x", "$z", "$z.9", "${", "${in.size}", "tanh", "linear", "zeros", "step"]
    draw = random.Random(20)
    for _ in range(300):
        tree: Node = draw.choice(trees)
        for _ in range(draw.choice((1, 1, 2, 3))):
            path = draw.choice([path for path in _paths(tree) if path])
            span = _at(tree, path).span
            word = draw.choice(words)
            new = draw.choice(
                [draw.choice(parts), Scalar(word, str(word), True, span), Sequence((), span), Mapping((), span)]
            )
            tree = _with(tree, path, new)
        assert isinstance(tree, Mapping)
        problems = Problems()
        validate(tree, problems)
        spec = build(tree, problems)
        assert spec is not None or problems.errors
        assert "the spec cannot be read" not in {one.message for one in problems.found}
        if spec is not None:
            canonical(spec)


def test_references_of_scales() -> None:
    reference = good(several("[$z.1, tanh]")).main_layers[0].steps[0]
    assert isinstance(reference, Reference)
    assert (reference.name, reference.index) == ("z", 1)


def test_blocks_that_use_one_another_many_times_over_are_looked_into_once() -> None:
    blocks = "".join(f"  b{number}: [b{number + 1}, b{number + 1}]\n" for number in range(60))
    text = single("[b0]", f"blocks:\n{blocks}  b60: [batch_norm]\n")
    assert [code for code, _ in found(text)] == ["E048"]


def test_after_too_many_mistakes_no_more_are_told() -> None:
    steps = ", ".join(["{linear: 0}", "nothing", "3"] * 500)
    told = found(single(f"[{steps}]"))
    assert len(told) == 101
    assert "E016" in {code for code, _ in told}


def test_too_many_scales() -> None:
    scales = ", ".join(["[1]"] * 65)
    told = only(f"{HEAD}scales: [{scales}]\nmain_layers: {{each: tanh}}\nmapping_layers: {{down: tanh, up: tanh}}\n")
    assert told.message == "scales must be a list of 1 to 64 shapes, found a list of 65"
