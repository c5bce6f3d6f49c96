"""Modules of the user's: where they are called, what is checked, and that they are left as they were."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import deqc
from deqc import reference
from deqc.compiler import compile_text
from deqc.loading import import_model
from tests.own_modules import Mixed, own_modules
from tests.properties import apart, constants, gradients, pieces

HEAD = "deqc: 1\nname: Own\ninput: {x: [4]}\n"
EVERYWHERE = (
    HEAD
    + """
scales: [[3], [2]]
modules: {first: {out: [3]}, second: same, outside: {out: [5], deterministic: false}}
blocks: {twice: [second, {times: 0.5}, second]}
encoder: {e: [$x, outside]}
init: [[$e, {linear: 3}], null]
main_layers:
  - {first: [$z, $e, [$z.1, {linear: 2}]]}
  - [{linear: 2}, tanh]
mapping_layers: [[twice, {linear: 2}], [null, identity]]
head: {a: [$z.0, {linear: 4}, outside], b: [$z.1]}
solver: {method: anderson, atol: 1.0e-13, max_steps: 200}
adjoint: {method: implicit, linear_solver: {method: gmres, rtol: 1.0e-13, max_steps: 100}}
"""
)


class Outside(nn.Module):
    """Takes anything, which deqc does not look into."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x.sum(1, keepdim=True)], 1).sin()


def test_called_in_every_section_they_compute_what_the_spec_means() -> None:
    compilation = compile_text(EVERYWHERE, "own")
    torch.manual_seed(0)
    modules = {**own_modules(compilation), "outside": Outside()}
    model = import_model(compilation)(**modules).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    x = torch.randn(3, 4, dtype=torch.float64)

    def expected(*given: Tensor) -> tuple[Tensor, ...]:
        found = reference.solve(compilation.lowered, dict(model.named_parameters()), given, modules=modules)
        assert found.residual < 1e-12
        return found.output

    assert apart(pieces(model(x)), expected(x)) < 1e-11
    assert apart(gradients(model, (x,), model), gradients(model, (x,), expected)) < 1e-9
    assert [name for name, _ in model.named_children()][:3] == ["first", "second", "outside"]


def test_a_result_of_another_shape_is_refused() -> None:
    model = deqc.load(HEAD + "scale: [4]\nmodules: {cell: same}\nmain_layers: [cell]\nhead: [cell]\n")
    with pytest.raises(ValueError, match=r"the result of cell must have the shape \(B, 4\), found \(2, 1\)"):
        model(cell=nn.Linear(4, 1))(torch.randn(2, 4))


def test_the_module_itself_is_as_it_was_after_a_training_step() -> None:
    compilation = compile_text(HEAD + "scale: [4]\nmodules: {cell: same}\nmain_layers: {cell: [$z, $x]}\n", "own")
    cell = Mixed((4, 4), (4,))
    cell.again = cell.layers  # torch's functional_call swaps the parameters of a submodule of two names twice
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(0.3)
    before = copy.deepcopy(cell)
    own = {name: id(parameter) for name, parameter in cell.named_parameters(remove_duplicate=False)}
    model = import_model(compilation)(cell)
    model(torch.randn(2, 4)).sum().backward()
    assert own == {name: id(parameter) for name, parameter in cell.named_parameters(remove_duplicate=False)}
    assert apart(cell.parameters(), before.parameters()) == 0
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in cell.parameters())


@pytest.mark.parametrize("cell", [nn.Tanh(), nn.Identity()], ids=["without parameters", "the identity"])
def test_a_module_without_parameters(cell: nn.Module) -> None:
    model: Any = deqc.load(
        HEAD + "scale: [4]\nmodules: {cell: same}\nmain_layers: [{sum: [identity, $x]}, {times: 0.5}, cell]\n"
    )(cell)
    x = torch.randn(2, 4, requires_grad=True)
    model(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.any())


def test_a_frozen_module_gets_no_gradient() -> None:
    model: Any = deqc.load(HEAD + "scale: [4]\nmodules: {cell: same}\nmain_layers: {cell: [$z, $x]}\n")
    cell = Mixed((4, 4), (4,)).requires_grad_(False)
    x = torch.randn(2, 4, requires_grad=True)
    with constants(__import__("sys").modules[model.__module__], MAX_STEPS=200):
        model(cell)(x).sum().backward()
    assert x.grad is not None
    assert all(parameter.grad is None for parameter in cell.parameters())


def test_explain_says_what_the_derivative_costs() -> None:
    from deqc.explain import explain

    text = explain(compile_text(HEAD + "scale: [4]\nmodules: {cell: same}\nmain_layers: {cell: [$z, $x]}\n", "own"))
    assert "by torch.func: f calls cell, which deqc does not see into" in text


def test_a_module_nobody_calls_is_doubted() -> None:
    found = deqc.check(HEAD + "scale: [4]\nmodules: {cell: same}\nmain_layers: [{sum: [identity, $x]}, tanh]\n")
    assert [(d.code, d.message) for d in found] == [("N105", "nothing calls the module cell")]
