"""The reference interpreter against closed forms and against models written by hand in torch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deqc import reference
from tests.ops.compiled import Compiled, build, gap

AFFINE = """
deqc: 1
name: Affine
input: {x: [4]}
scale: [4]
main_layers: [{sum: [{linear: {out: 4, bias: false}}, [$x, {linear: 4}]]}]
"""
TANH = """
deqc: 1
name: Tanh
input: {x: [3]}
encoder: {e: [$x, {linear: 5}, relu]}
scale: [5]
main_layers: [{sum: [{linear: 5}, $e]}, tanh]
head: [{linear: 2}]
"""
IMAGES = """
deqc: 1
name: Images
input: {image: [3, 4, 4]}
scales: [[2, 4, 4], [4, 2, 2], [3]]
main_layers:
  - [{sum: [{conv2d: {out: 2, kernel: 3}}, [$image, {conv2d: {out: 2, kernel: 1}}]]}, tanh]
  - [{group_norm: 2}, {times: 0.2}]
  - sin
mapping_layers:
  - [identity, {conv2d: {out: 4, kernel: 3, stride: 2}}, [global_avg_pool, {linear: 3}]]
  - [[{conv2d: {out: 2, kernel: 1, bias: false}}, {upsample: 2}], identity, null]
  - [null, null, {times: 0.5}]
post_fuse_layers: [tanh, null, null]
"""


def solved(case: Compiled) -> reference.Reference:
    return reference.solve(case.compilation.lowered, case.parameters, case.inputs)


def gradients(case: Compiled, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    loss = torch.stack([v.square().sum() for v in outputs]).sum()
    return torch.autograd.grad(loss, (*case.inputs, *case.model.parameters()), retain_graph=True)


def same_gradients(case: Compiled, mine: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> None:
    for a, b in zip(gradients(case, mine), gradients(case, theirs), strict=True):
        assert gap(a, b) < 1e-9


@pytest.mark.parametrize("damping", [1.0, 0.7])
def test_a_linear_map_has_a_closed_form(damping: float) -> None:
    """z = W z + U x + b: z* = (I - W)^-1 (U x + b), and so do its derivatives."""
    case = build(AFFINE, scale=0.2)
    p, (x,) = case.parameters, case.inputs
    found = reference.solve(case.compilation.lowered, p, case.inputs, damping)
    matrix = torch.eye(4, dtype=torch.float64) - p["main_layers.0.sum.0.linear.weight"]
    b = F.linear(x, p["main_layers.0.sum.1.linear.weight"], p["main_layers.0.sum.1.linear.bias"])
    z = torch.linalg.solve(matrix, b.mT).mT
    assert found.residual <= reference.CONVERGED
    assert gap(found.z_star, z) < 1e-12
    same_gradients(case, found.output, (z,))
    u = 2 * z.detach() @ torch.linalg.inv(matrix.detach())  # (I - W)^-T dL/dz, row by row
    by_hand = u.mT @ z.detach()
    (found_gradient,) = torch.autograd.grad(found.z_star.square().sum(), p["main_layers.0.sum.0.linear.weight"])
    assert gap(found_gradient, by_hand) < 1e-9


def test_a_dense_model_with_encoder_and_head() -> None:
    case = build(TANH, scale=0.15)
    p, (x,) = case.parameters, case.inputs

    def linear(path: str, v: Tensor) -> Tensor:
        return F.linear(v, p[f"{path}.linear.weight"], p[f"{path}.linear.bias"])

    e = linear("encoder.e", x).relu()
    z = torch.zeros_like(e)
    for _ in range(100):
        z = torch.tanh(linear("main_layers.0.sum.0", z) + e)
    found = solved(case)
    assert gap(found.z_star, z) < 1e-12
    assert gap(found.output[0], linear("head", z)) < 1e-12
    same_gradients(case, found.output, (linear("head", z),))


def test_images_of_two_sizes_and_a_vector() -> None:
    case = build(IMAGES, scale=0.15)
    p, (image,) = case.parameters, case.inputs

    def conv(path: str, v: Tensor, **options: int) -> Tensor:
        return F.conv2d(v, p[f"{path}.conv2d.weight"], p.get(f"{path}.conv2d.bias"), **options)

    z0, z1, z2 = image.new_zeros(3, 2, 4, 4), image.new_zeros(3, 4, 2, 2), image.new_zeros(3, 3)
    for _ in range(100):
        h0 = torch.tanh(conv("main_layers.0.sum.0", z0, padding=1) + conv("main_layers.0.sum.1", image))
        norm = "main_layers.1.group_norm."
        h1 = 0.2 * F.group_norm(z1, 2, p[norm + "weight"], p[norm + "bias"])
        h2 = z2.sin()
        up = F.interpolate(conv("mapping_layers.1.0", h1), scale_factor=2)
        pooled = h0.mean((2, 3))
        z0 = torch.tanh(h0 + up)
        z1 = h1 + conv("mapping_layers.0.1", h0, stride=2, padding=1)
        z2 = 0.5 * h2 + F.linear(pooled, p["mapping_layers.0.2.linear.weight"], p["mapping_layers.0.2.linear.bias"])
    found = solved(case)
    for mine, theirs in zip(found.output, (z0, z1, z2), strict=True):
        assert gap(mine, theirs) < 1e-12
    packed = torch.cat([z0.permute(0, 2, 3, 1).flatten(1), z1.permute(0, 2, 3, 1).flatten(1), z2], 1)
    assert gap(found.z_star, packed) < 1e-12
    same_gradients(case, found.output, (z0, z1, z2))


def test_values_of_any_node_can_be_given() -> None:
    """`evaluate` does not look behind what is known."""
    case = build(TANH, scale=0.15)
    program = case.compilation.lowered
    (e,) = program.encoded
    z = torch.zeros(3, 5, dtype=torch.float64)
    given = {**case.leaves(), e: torch.full((3, 5), 2.0, dtype=torch.float64), program.state: z}
    del given[program.inputs[0]]
    (value,) = reference.evaluate(program, (program.f,), given)
    assert gap(value, torch.tanh(2 + case.parameters["main_layers.0.sum.0.linear.bias"]).expand(3, 5)) < 1e-15


def test_what_does_not_converge_says_so() -> None:
    """z = -3 z + …: the residual that is left is not small."""
    case = build(AFFINE.replace("[{sum", "[{times: -3}, {sum"), scale=1.0)
    with torch.no_grad():
        found = solved(case)
    assert not found.residual < 1
