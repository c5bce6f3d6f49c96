"""What the schema refuses: one diagnostic for each cause, at its place, in plain words."""

from __future__ import annotations

import pytest

from deqc.diagnostics import Problems
from deqc.solvers import SOLVERS
from deqc.spec.loader import load
from deqc.spec.tree import Mapping, Scalar
from deqc.spec.validate import validate
from tests.spec.reading import HEAD, found, marked, only, several, single


@pytest.mark.parametrize(
    ("setting", "code", "message", "mark"),
    [
        ("solver: {max_steps: -3}", "E023", "solver.max_steps must be a whole number ≥ 1, found -3", "-3"),
        ("solver: {max_steps: 4.0}", "E022", "solver.max_steps must be a whole number ≥ 1, found 4.0", "4.0"),
        ("solver: {max_steps: true}", "E022", "solver.max_steps must be a whole number ≥ 1, found true", "true"),
        ("solver: {atol: -1}", "E023", "solver.atol must be a number ≥ 0, found -1", "-1"),
        ("solver: {atol: true}", "E022", "solver.atol must be a number ≥ 0, found true", "true"),
        ("solver: {atol: null}", "E022", "solver.atol must be a number ≥ 0, found null", "null"),
        ("solver: {atol: '${1}'}", "E022", "solver.atol must be a number ≥ 0, found '${1}'", "'${1}'"),
        ("solver: {method: picard, damping: 0}", "E023", "solver.damping must be a number > 0 and < 2, found 0", "0"),
        (
            "solver: {method: picard, damping: 2.0}",
            "E023",
            "solver.damping must be a number > 0 and < 2, found 2.0",
            "2.0",
        ),
        (
            "solver: {method: anderson, history: 33}",
            "E023",
            "solver.history must be a whole number from 1 to 32, found 33",
            "33",
        ),
        ("solver: {coupling: all}", "E024", "solver.coupling must be 'sample' or 'batch', found 'all'", "all"),
        (
            "solver: {termination: {norm: 2}}",
            "E024",
            "solver.termination.norm must be 'max', 'l2' or 'rms', found 2",
            "2",
        ),
        (
            "adjoint: {method: phantom, steps: 0}",
            "E023",
            "adjoint.steps must be a whole number from 1 to 1000, found 0",
            "0",
        ),
        ("kind: ode", "E024", "kind must be 'deq' or 'neural_ode', found 'ode'", "ode"),
        ("constants: {a: b}", "E022", "a constant must be a number, true or false, found 'b'", "b"),
    ],
)
def test_a_wrong_value_is_told_at_the_value(setting: str, code: str, message: str, mark: str) -> None:
    text = single("[tanh]", setting)
    told = only(text)
    assert (told.code, told.message, marked(text, told)) == (code, message, mark)


@pytest.mark.parametrize(
    ("step", "code", "message", "mark"),
    [
        ("{linear: -3}", "E023", "linear.out must be a whole number ≥ 1 or an expression ${…}, found -3", "-3"),
        (
            "{linear: {out: 4.0}}",
            "E022",
            "linear.out must be a whole number ≥ 1 or an expression ${…}, found 4.0",
            "4.0",
        ),
        ("{linear: {out: 4, bias: 1}}", "E022", "linear.bias must be true, false or an expression ${…}, found 1", "1"),
        ("{times: x}", "E022", "times.by must be a number or an expression ${…}, found 'x'", "x"),
        ("{tanh: 3}", "E022", "tanh must be written without fields, found 3", "3"),
        ("{conv2d: 3}", "E022", "conv2d must be written with its fields by name, found 3", "3"),
        (
            "{sum: [[tanh]]}",
            "E026",
            "sum.of must be a list of two or more computations, found a list of one",
            "[[tanh]]",
        ),
        (
            "[tanh]",
            "E028",
            "a list inside a chain: a chain contains steps; did you mean `scales:` or `sum:`?",
            "[tanh]",
        ),
        ("3", "E022", "a step must be a name, `$name` or a mapping of one name to its fields, found 3", "3"),
        ("null", "E022", "a step must be a name, `$name` or a mapping of one name to its fields, found null", "null"),
        ("{residual: []}", "E026", "an empty chain: a computation has at least one step", "[]"),
        ("{}", "E026", "an empty step", "{}"),
    ],
)
def test_a_wrong_step_is_told_at_the_leaf(step: str, code: str, message: str, mark: str) -> None:
    text = single(f"[tanh, {step}]")
    told = only(text)
    assert (told.code, told.message, marked(text, told)) == (code, message, mark)


def test_steps_are_checked_wherever_they_are_nested() -> None:
    text = single(
        """
        - sum: [{residual: [{linear: 0}]}, {repeat: {times: 2, body: {block: {v: [{linear: -1}]}}}}]
        """,
        "blocks: {block: {params: {v: {type: value}}, body: [$v]}}",
    )
    assert [message.rsplit(" ", 1)[1] for _, message in found(text)] == ["0", "-1"]


def test_unknown_keys_are_told_at_the_key() -> None:
    text = single("[{linear: {outt: 4}}]", "solver: {max_iter: 3}\nencodr: {a: $x}")
    problems = Problems()
    validate(load(text, "m"), problems)
    told = [(d.code, d.message, d.hint, marked(text, d)) for d in problems.sorted()]
    assert told == [
        ("E020", "linear has no field 'outt'", "did you mean 'out'?", "outt"),
        ("E020", "solver has no setting 'max_iter'", "did you mean 'max_steps'?", "max_iter"),
        ("E020", "a spec has no section 'encodr'", "did you mean 'encoder'?", "encodr"),
    ]


def test_without_a_guess_the_choice_is_shown() -> None:
    told = only(single("[{linear: {out: 4, colour: 3}}]"))
    assert told.expected is not None
    assert told.expected.startswith("one of out, bias, weight, ")
    assert told.hint is None


def test_missing_keys_are_told_at_the_key_of_their_section() -> None:
    text = single("[{conv2d: {out: 3}}, {linear: {}}]")
    problems = Problems()
    validate(load(text, "m"), problems)
    told = [(d.code, d.message, d.hint, marked(text, d)) for d in problems.sorted()]
    assert told == [
        ("E021", "conv2d needs 'kernel'", "write `{conv2d: {out: …, kernel: …}}`", "conv2d"),
        ("E021", "linear needs 'out'", "write `{linear: {out: …}}`", "linear"),
    ]


def test_missing_sections() -> None:
    assert sorted(message for _, message in found("deqc: 1\n")) == [
        "a spec needs 'input'",
        "a spec needs 'main_layers'",
        "a spec needs 'name'",
        "a spec needs 'scale' or 'scales'",
    ]


def test_a_misspelt_section_is_not_also_missing() -> None:
    told = only(f"{HEAD}scale: [4]\nmain_layer: [tanh]\n")
    assert (told.message, told.hint) == ("a spec has no section 'main_layer'", "did you mean 'main_layers'?")
    told = only(f"{HEAD}scal: [4]\nmain_layers: [tanh]\n")
    assert (told.message, told.hint) == ("a spec has no section 'scal'", "did you mean 'scale'?")


def test_a_mapping_never_is_the_principal_field() -> None:
    told = only(single("[{residual: {linear: 4}}]"))
    assert (told.message, told.hint) == ("residual has no field 'linear'", "write `[{linear: …}]`")
    told = only(single("[{sum: {linear: 4}}]"))
    assert (told.message, told.hint) == ("sum has no field 'linear'", "write `[{linear: …}, …]`")


def test_steps_run_together() -> None:
    told = only(single("[{linear: 4, tanh: null}]"))
    assert (told.message, told.code) == ("a step has one name, found 'linear', 'tanh'", "E029")
    told = only(single("- linear: null\n  out: 4"))
    assert told.hint == "the fields of 'linear' have to be indented further than its name"
    told = only(single("[{linear: 4, bias: false}]"))
    assert told.hint == "write the fields inside: {linear: {out: …, bias: …}}"


def test_scale_and_scales() -> None:
    text = f"{HEAD}scale: [4]\nscales: [[4]]\nmain_layers: [[tanh]]\n"
    told = only(text)
    assert (told.code, marked(text, told), told.related[0].span.line) == ("E031", "scale", 5)
    assert only(f"{HEAD}main_layers: [tanh]\n").message == "a spec needs 'scale' or 'scales'"


@pytest.mark.parametrize("section", ["mapping_layers: [[identity]]", "post_fuse_layers: [tanh]"])
def test_sections_of_several_scales(section: str) -> None:
    assert "must be absent with `scale`" in only(single("[tanh]", section)).message
    assert not found(single("[tanh]", f"{section.split(':')[0]}: null"))


def test_positions_with_scales() -> None:
    told = only(several("{linear: 4}"))
    assert (told.code, told.message) == ("E020", "main_layers has no key 'linear'")
    assert "must be 'zeros', 'step' or a list" in only(several("[tanh, tanh]", "init: identity")).message
    assert only(several("[tanh, null]")).message.endswith("found null")
    assert only(several("[tanh, tanh]", "mapping_layers: {down: tanh}")).message == "mapping_layers needs 'up'"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (single("[tanh]", "solver: peaceman_rachford"), "peaceman_rachford"),
        (single("[tanh]", "solver: {method: forward_backward, max_steps: 9}"), "forward_backward"),
        (single("[tanh]", "adjoint: {linear_solver: forward_backward}"), "forward_backward"),
    ],
)
def test_what_is_not_available_is_not_called_unknown(text: str, name: str) -> None:
    told = only(text)
    assert told.code == "E025"
    assert told.message.startswith(f"'{name}' is not available in deqc ")


def test_what_is_available_instead() -> None:
    message = only(single("[tanh]", "solver: peaceman_rachford")).message
    assert message.endswith(f"; available: {', '.join(SOLVERS)}")


def test_a_step_is_no_name_of_an_output() -> None:
    assert "one output is a list: `[{linear: 10}]`" in only(single("[tanh]", "head: {linear: 10}")).message


def test_a_value_that_the_loader_refused_is_not_told_of_again() -> None:
    problems = Problems()
    tree = load(single("[tanh]", "solver: {atol: 1}"), "m")
    solver = tree.get("solver")
    assert isinstance(solver, Mapping)
    atol = solver.get("atol")
    assert isinstance(atol, Scalar)
    problems.add("E014", atol.span, "the number is too large")
    object.__setattr__(atol, "value", None)
    validate(tree, problems)
    assert [d.code for d in problems.found] == ["E014"]
