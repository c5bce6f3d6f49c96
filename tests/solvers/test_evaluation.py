"""Settings of the solve that are others in eval mode."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
import torch

import deqc
from deqc.compiler import compile_text
from deqc.diagnostics import Problems, SpecError
from deqc.explain import explain
from deqc.loading import import_source
from deqc.spec.canonical import sha256
from deqc.spec.overlay import named

SPEC = """\
deqc: 1
name: Model
input: {x: [3]}
scale: [4]
main_layers: [{sum: [{linear: 4}, [$x, {linear: 4}]]}, tanh, {times: 0.7}]
"""
X = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)


def spec(overlay: object = None, adjoint: object = "implicit", **settings: object) -> str:
    """A spec, with `eval` unless that is None."""
    solver = {**settings, **({} if overlay is None else {"eval": overlay})}
    return f"{SPEC}solver: {json.dumps(solver)}\nadjoint: {json.dumps(adjoint)}\n"


def made(*arguments: Any, **settings: Any) -> Any:
    """The module of such a spec."""
    return import_source(compile_text(spec(*arguments, **settings), "m").source, "made")


def model(*arguments: Any, **settings: Any) -> Any:
    """Its model, with the same weights at every call."""
    torch.manual_seed(0)
    return made(*arguments, **settings).Model().double()


OVERLAYS = [
    ("picard", {}, {"atol": 1e-7, "max_steps": 200}),
    ("picard", {}, {"damping": 0.5, "max_steps": 100}),
    ("anderson", {"atol": 1e-9}, {"history": 2, "ridge": 1e-8}),
    ("anderson", {"termination": "norm"}, {"rtol": 1e-6}),
    ("anderson", {"termination": "rel_norm_safe_best", "coupling": "batch"}, {"rtol": 1e-6}),
    ("newton", {"termination": {"mode": "abs_norm_safe", "norm": "rms"}}, {"atol": 1e-10}),
    ("cascade", {}, {"atol": 1e-9, "max_steps": 5}),
    ("trust_region", {}, {"max_steps": 2, "on_failure": "ignore"}),
    (
        "newton_krylov",
        {"linear_solver": {"method": "gmres", "rtol": 0.1, "max_steps": 2}},
        {"linear_solver": {"rtol": 1e-6, "max_steps": 4, "memory": 3}},
    ),
]


@pytest.mark.parametrize(("method", "settings", "overlay"), OVERLAYS)
@pytest.mark.parametrize("adjoint", ["implicit", "unroll", "jfb"])
def test_each_mode_is_the_model_of_its_settings(
    method: str, settings: dict[str, Any], overlay: dict[str, Any], adjoint: str
) -> None:
    """Values, records and gradients."""
    settings = {"on_failure": "ignore", "method": method, **settings}
    both = model(overlay, adjoint, **settings)
    for mode, alone in ((True, settings), (False, {**settings, **overlay})):
        other = model(None, adjoint, **alone)
        found = [one.train(mode).solve(X) for one in (both, other)]
        assert torch.equal(found[0].z_star, found[1].z_star)
        for name in ("status", "steps", "nfe", "residual_norm"):
            assert torch.equal(getattr(found[0].original, name), getattr(found[1].original, name))
        assert torch.equal(both(X), found[1].output)
        at_two = [one.solve(X, depth=2).original.status for one in (both, other)]
        assert torch.equal(*at_two)
        if mode or adjoint != "implicit":  # in eval mode the backward solve keeps the tolerances of training
            grads = [
                torch.autograd.grad(one.z_star.sum(), list(m.parameters()))
                for one, m in zip(found, (both, other), strict=True)
            ]
            assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_fixed_point_takes_the_settings_of_training() -> None:
    module = made({"max_steps": 7}, method="picard", max_steps=3, atol=0, on_failure="ignore")
    f, z0 = torch.cos, torch.zeros(2, 1)
    assert module.fixed_point(f, z0)[1].steps.tolist() == [3, 3]
    assert module.fixed_point(f, z0, settings=module.EVALUATION)[1].steps.tolist() == [7, 7]


def test_what_happens_on_failure() -> None:
    one = model({"on_failure": "raise"}, method="picard", max_steps=1)
    with pytest.warns(UserWarning, match="in 1 steps on 5 of 5 samples"):
        one(X)
    with pytest.raises(RuntimeError, match="the solve missed"):
        one.eval()(X)
    silent = model({"on_failure": "ignore", "max_steps": 2}, method="picard", max_steps=1, on_failure="raise")
    with pytest.raises(RuntimeError, match="in 1 steps"):
        silent(X)
    silent.eval()(X)


def test_it_is_told() -> None:
    compilation = compile_text(spec({"max_steps": 60, "rtol": 1e-5}, method="picard"), "m")
    assert "at most 32 steps (in eval mode max_steps 60)" in compilation.source
    assert "rtol 1e-05 of eval is not used by the stop test abs_norm" in explain(compilation)
    assert "in eval mode max_steps 60" in repr(model({"max_steps": 60}, method="picard"))


def test_what_is_the_same_changes_nothing() -> None:
    plain, same = (compile_text(spec(one, method="picard"), "m") for one in (None, {"max_steps": 32, "atol": 1e-3}))
    assert plain.source == same.source
    other, turned = (
        compile_text(spec(one, method="picard"), "m")
        for one in ({"atol": 1e-4, "max_steps": 9}, {"max_steps": 9, "atol": 1e-4})
    )
    assert other.source == turned.source
    assert sha256(other.spec) != sha256(plain.spec)


@pytest.mark.parametrize(
    ("method", "overlay", "code"),
    [
        ("newton", {"history": 3}, "E080"),
        ("picard", {"coupling": "batch"}, "E020"),
        ("picard", {"method": "newton"}, "E020"),
        ("newton", {"line_search": "backtracking"}, "E020"),
        ("picard", {"max_steps": 0}, "E023"),
        ("picard", {"atol": None}, "E022"),
        ("picard", {"on_failure": "shout"}, "E024"),
        ("picard", {"damping": 3}, "E023"),
        ("picard", {}, "E026"),
        ("picard", 60, "E022"),
    ],
)
def test_what_cannot_be_another_is_refused(method: str, overlay: object, code: str) -> None:
    with pytest.raises(SpecError) as fault:
        deqc.compile(spec(overlay, method=method))
    assert [one.code for one in fault.value.diagnostics] == [code]
    assert fault.value.diagnostics[0].span.line == 6


@pytest.mark.slow
def test_compiled() -> None:
    """Each mode in its own graph."""
    one = model({"max_steps": 60, "atol": 1e-8}, method="picard", atol=1e-4)
    compiled = cast(Any, torch.compile(one, fullgraph=True))
    for mode in (True, False, True):
        one.train(mode)
        compiled.train(mode)
        torch.testing.assert_close(compiled(X), one(X), rtol=1e-12, atol=1e-12)
    assert float((one.eval()(X) - one.train()(X)).detach().abs().amax()) > 1e-6


def test_what_a_call_sets_goes_before_the_settings_of_eval_mode() -> None:
    """As `deqc solve --solver` sets it; what belongs to another method goes."""
    text = spec({"history": 3, "max_steps": 60, "atol": 1e-7}, method="anderson")
    for call, left in (
        ("anderson:max_steps=9", {"history": 3, "atol": 1e-7}),
        ("picard", {"max_steps": 60, "atol": 1e-7}),
        ("picard:max_steps=9:atol=1e-2", {}),
    ):
        tree = named(call, "call", 1, Problems())
        assert tree is not None
        assert compile_text(text, "m", settings=tree).solver.evaluation == left
