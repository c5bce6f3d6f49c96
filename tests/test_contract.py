"""What holds for every module, whatever its solver and adjoint: nothing unused, shapes checked, no autocast."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch

import deqc
from deqc.compiler import compile_text

EXAMPLES = sorted(Path("examples/specs").glob("*.yaml"))
HEAD = "deqc: 1\nname: Model\n"
DENSE = HEAD + "input: {x: [6]}\nscale: [5]\nmain_layers: [{linear: 5}, {sum: [identity, [$x, {linear: 5}]]}, tanh]\n"
NORMS = (
    HEAD
    + "input: {x: [6]}\nscale: [6]\nmain_layers: [layer_norm, {linear: 6}, rms_norm, {sum: [identity, $x]}, tanh]\n"
)
POOL = "{max_pool2d: {kernel: 3, stride: 1, padding: 1}}"  # an op without a rule
IMAGE = HEAD + "input: {x: [4, 6, 6]}\nscale: [4, 6, 6]\n"
IMAGE += f"main_layers: [{POOL}, {{group_norm: 2}}, {{sum: [identity, $x]}}, tanh]\n"
START = HEAD + "input: {x: [4]}\nscale: [4]\ninit: [zeros, {plus: 1}]\n"
START += "main_layers: [tanh, {times: 0.5}, {sum: [identity, $x]}]\n"
NULL = (
    HEAD
    + """\
input: {x: [4]}
scale: [4]
blocks:
  inner: {params: {u: {default: null, type: value}}, body: [{linear: 4}, {sum: [identity, $u]}]}
  outer: {params: {v: {default: null, type: value}}, body: [{inner: {u: $v}}]}
main_layers: [outer, {sum: [identity, $x]}, tanh]
"""
)
LINEAR = [f"{{linear_solver: {name}}}" for name in ("lu", "gmres", "picard", "anderson")]
METHODS = [
    f"solver: {solver}\nadjoint: {adjoint}\n"
    for solver in ("picard", "anderson", "newton")
    for adjoint in ("jfb", "phantom", "unroll", "none", *LINEAR)
]


def unused(source: str) -> set[str]:
    """Module-level names that the module defines and nothing reads."""
    tree = ast.parse(source)
    public = {"fixed_point", "equilibrium", "Status", "Record", "DeepEquilibriumSolution", "Weights"}
    defined = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    imported = {
        (a.asname or a.name).split(".")[0]
        for n in tree.body
        if isinstance(n, (ast.Import, ast.ImportFrom))
        for a in n.names
    }
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    quoted = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return {name for name in defined | imported if name not in read | public and not any(name in q for q in quoted)}


@pytest.mark.parametrize("methods", METHODS)
@pytest.mark.parametrize("text", [DENSE, NORMS, IMAGE, START], ids=["dense", "norms", "image", "start"])
def test_nothing_is_unused(text: str, methods: str) -> None:
    compilation = compile_text(text + methods, "m.yaml")
    assert unused(compilation.source) <= {compilation.spec.name}


@pytest.mark.parametrize("path", EXAMPLES, ids=[p.stem for p in EXAMPLES])
def test_nothing_is_unused_in_an_example(path: Path) -> None:
    compilation = compile_text(path.read_text(encoding="utf-8"), path.name)
    assert unused(compilation.source) <= {compilation.spec.name}


@pytest.mark.parametrize("solver", ["picard", "anderson", "newton"])
def test_autocast_stays_outside(solver: str) -> None:
    torch.manual_seed(0)
    model: Any = deqc.load(DENSE + f"solver: {solver}\nadjoint: {{linear_solver: gmres}}\n")()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(0.5)
    x = torch.randn(7, 6)
    plain = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = model(x.bfloat16())
        solution = model.solve(x)
    assert under.dtype == solution.z_star.dtype == torch.float32
    torch.testing.assert_close(solution.z_star, plain)
    torch.testing.assert_close(under, model(x.bfloat16().float()))
    under.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_missing_batch_dimension_is_an_error() -> None:
    model: Any = deqc.load(DENSE)()
    with pytest.raises(ValueError, match=r"x must have the shape \(B, 6\), found \(6,\)"):
        model(torch.randn(6))
    with pytest.raises(ValueError, match=r"z must have the shape \(B, 5\), found \(2, 6\)"):
        model(torch.randn(2, 6), z0=torch.randn(2, 6))
    with pytest.raises(ValueError, match="depth must not be negative"):
        model(torch.randn(2, 6), depth=-1)


def test_zeros_start_a_chain() -> None:
    model: Any = deqc.load(START)()
    assert torch.equal(model.solve(torch.zeros(3, 4)).u0, torch.ones(3, 4))


def test_a_null_value_is_passed_on() -> None:
    with_null, plain = deqc.compile(NULL), deqc.compile(NULL.replace("{u: $v}", "{}"))
    assert with_null.split("sha256")[1][70:] == plain.split("sha256")[1][70:]
