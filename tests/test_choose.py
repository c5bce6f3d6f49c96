"""What `auto` becomes, and which dense methods are refused."""

from __future__ import annotations

import pytest

from deqc.choose import LARGEST_DENSE, REUSED, SMALL
from deqc.chosen import adjoint_plan, solver_plan
from deqc.compiler import Compilation, compile_text
from deqc.diagnostics import Diagnostic, Severity
from deqc.front import check_text


def spec(scale: str, main: str = "tanh", tail: str = "") -> str:
    key = "scales" if scale.startswith("[[") else "scale"
    layers = f"{{each: {main}}}" if key == "scales" else f"[{main}]"
    return f"deqc: 1\nname: Model\ninput: {{x: [2]}}\n{key}: {scale}\nmain_layers: {layers}\n{tail}"


def errors(text: str) -> list[Diagnostic]:
    return [d for d in check_text(text, "m.yaml") if d.severity is Severity.ERROR]


def chosen(compilation: Compilation) -> tuple[str, str | None]:
    linear = compilation.adjoint.linear_solver
    return compilation.solver.method.name, linear.name if linear else None


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("[1]", ("newton", "lu")),
        (f"[{SMALL}]", ("newton", "lu")),
        (f"[{SMALL + 1}]", ("anderson", "gmres")),
        ("[[32], [32]]", ("newton", "lu")),
        ("[[32], [33]]", ("anderson", "gmres")),  # together
        ("[4, 4, 4]", ("anderson", "lu")),  # an image, of 64 numbers
        ("[4, 16]", ("anderson", "lu")),  # tokens
        ("[[8], [2, 4]]", ("anderson", "lu")),  # one scale that is not dense
        ("[5, 4, 4]", ("anderson", "gmres")),
    ],
)
def test_auto(scale: str, expected: tuple[str, str]) -> None:
    assert chosen(compile_text(spec(scale), "m.yaml")) == expected


@pytest.mark.parametrize("solver", ["newton", "anderson", "picard"])
@pytest.mark.parametrize("linear", ["lu", "gmres", "picard", "anderson"])
@pytest.mark.parametrize("scale", ["[2]", "[100]"])
def test_what_is_written_stays(scale: str, solver: str, linear: str) -> None:
    tail = f"solver: {solver}\nadjoint: {{method: implicit, linear_solver: {linear}}}\n"
    assert chosen(compile_text(spec(scale, tail=tail), "m.yaml")) == (solver, linear)


def test_auto_is_chosen_for_each_by_itself() -> None:
    assert chosen(compile_text(spec("[2]", tail="solver: picard\n"), "m.yaml")) == ("picard", "lu")
    tail = "adjoint: {method: implicit, linear_solver: gmres}\n"
    assert chosen(compile_text(spec("[2]", tail=tail), "m.yaml")) == ("newton", "gmres")


@pytest.mark.parametrize("linear", ["auto", "{method: auto, rtol: 1.0e-6}"])
@pytest.mark.parametrize(
    ("size", "solver", "reuses"),
    [
        (REUSED - 1, "newton", False),
        (REUSED, "newton", True),
        (REUSED, "auto", True),
        (SMALL, "halley", True),
        (SMALL + 1, "newton", False),
        (SMALL, "picard", False),
        (SMALL, "trust_region", False),
    ],
)
def test_auto_reuses_the_factors_that_a_solver_leaves(size: int, solver: str, linear: str, reuses: bool) -> None:
    tail = f"solver: {solver}\nadjoint: {{linear_solver: {linear}}}\n"
    adjoint = adjoint_plan(compile_text(spec(f"[{size}]", tail=tail), "m.yaml").adjoint)
    assert adjoint.reuses == reuses
    assert adjoint.rtol == ("1e-3" if linear == "auto" else "1e-6")


def test_lu_that_is_written_factorises_at_the_solution() -> None:
    tail = "solver: newton\nadjoint: {linear_solver: lu}\n"
    assert not adjoint_plan(compile_text(spec(f"[{SMALL}]", tail=tail), "m.yaml").adjoint).reuses


@pytest.mark.parametrize("method", ["jfb", "phantom", "unroll", "none"])
def test_adjoints_without_a_linear_system_have_no_solver_of_one(method: str) -> None:
    compilation = compile_text(spec("[2]", tail=f"adjoint: {method}\n"), "m.yaml")
    assert chosen(compilation) == ("newton", None)
    assert adjoint_plan(compilation.adjoint).linear_solver is None


def test_options_of_auto_go_to_what_is_chosen() -> None:
    compilation = compile_text(spec("[100]", tail="solver: {method: auto, max_steps: 7, atol: 2e-4}\n"), "m.yaml")
    plan = solver_plan(compilation.solver)
    assert (plan.method, plan.max_steps, plan.atol) == ("anderson", "7", "2e-4")
    assert plan.options == {"history": "5", "ridge": "1e-4", "damping": "1.0", "type": "ii", "safeguard": "True"}


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ("solver: newton\n", ("newton builds a 4097 x 4097 matrix", "use anderson")),
        ("adjoint: {linear_solver: lu}\n", ("lu builds a 4097 x 4097 matrix", "use gmres")),
    ],
)
def test_a_dense_method_on_a_large_state_is_refused_where_it_is_written(tail: str, words: tuple[str, str]) -> None:
    text = spec(f"[{LARGEST_DENSE + 1}]", tail=tail)
    (found,) = errors(text)
    assert found.code == "E081"
    assert words[0] in found.message
    assert found.hint == words[1]
    assert text.splitlines()[found.span.line - 1][found.span.column - 1 :].startswith(("newton", "lu"))
    assert not errors(spec(f"[{LARGEST_DENSE}]", tail=tail))


def test_both_at_once() -> None:
    tail = "solver: newton\nadjoint: {linear_solver: lu}\n"
    assert [d.code for d in errors(spec("[5000]", tail=tail))] == ["E081", "E081"]


def test_auto_is_never_refused() -> None:
    assert not errors(spec("[50000]"))


@pytest.mark.parametrize(
    ("value", "text"), [("1e-3", "1e-3"), ("0.001", "1e-3"), ("2.5e-7", "2.5e-7"), ("0.01", "0.01"), ("0", "0.0")]
)
def test_numbers_are_written_as_people_do(value: str, text: str) -> None:
    compilation = compile_text(spec("[2]", tail=f"solver: {{method: picard, rtol: {value}}}\n"), "m.yaml")
    assert solver_plan(compilation.solver).rtol == text
    assert float(text) == float(value)


@pytest.mark.parametrize("kind", ["deq", "neural_ode"])
@pytest.mark.parametrize(
    ("method", "written", "none"),
    [
        ("tsit5", "step_rtol: 0, step_atol: 0", True),
        ("rosenbrock23", "step_rtol: 0, step_atol: 0", True),
        ("tsit5", "step_rtol: 0, step_atol: 1e-9", False),
        ("tsit5", "step_atol: 0, rtol: 1e-9, atol: 0", False),
        ("torchdiffeq.bosh3", "step_rtol: 0, step_atol: 0", True),
        ("torchdiffeq.scipy_solver", "step_rtol: 0, step_atol: 0", True),
        ("torchdiffeq.scipy_solver", "algorithm: BDF, step_rtol: 0, step_atol: 0", False),
        ("torchdiffeq.implicit_adams", "step_rtol: 0, step_atol: 0", False),
        ("rk4", "rtol: 0, atol: 0", False),
    ],
)
def test_steps_that_are_held_to_nothing_are_refused(kind: str, method: str, written: str, none: bool) -> None:
    text = spec("[4]", tail=f"kind: {kind}\nsolver: {{method: {method}, {written}}}\nadjoint: none\n")
    assert [one.code for one in errors(text)] == ["E023"] * none


@pytest.mark.parametrize(("kind", "none"), [("deq", False), ("neural_ode", True)])
def test_the_tolerances_of_auto_are_those_of_what_it_becomes(kind: str, none: bool) -> None:
    """Of an equilibrium they are those of its stop test, and relaxed steps are held to others."""
    for method in ("auto", "tsit5"):
        text = spec("[4]", tail=f"kind: {kind}\nsolver: {{method: {method}, atol: 0, rtol: 0}}\n")
        assert [one.code for one in errors(text)] == ["E023"] * none
