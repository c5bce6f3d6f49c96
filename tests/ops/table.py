"""One row a use of a step: the text of the step, the shapes, and torch's own function for the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Params = Mapping[str, Tensor]
Oracle = Callable[[Params, Tensor, Tensor], Tensor]  # of the parameters, the incoming value and the input x


@dataclass(frozen=True)
class Row:
    """A step that makes a value of shape `to` out of one of shape `of`, and what torch makes of it."""

    op: str
    step: str
    of: tuple[int, ...]
    to: tuple[int, ...]
    oracle: Oracle
    x: tuple[int, ...] = (3,)
    autograd: bool = False  # whether it has no rule, so that torch differentiates it
    free: bool = False  # whether it costs no arithmetic

    @property
    def id(self) -> str:
        """A name for the test."""
        return f"{self.op}: {self.step} on {list(self.of)}"


def _layer(layer: nn.Module, path: str) -> Oracle:
    """Torch's own layer with the parameters at a path."""

    def call(p: Params, h: Tensor, x: Tensor) -> Tensor:
        own = {name: p[f"{path}.{name}"] for name, _ in layer.named_parameters()}
        result: Tensor = torch.func.functional_call(layer, own, (h,))
        return result

    return call


def _activation(op: str, oracle: Callable[[Tensor], Tensor], step: str | None = None) -> list[Row]:
    return [Row(op, step or op, of, of, lambda p, h, x: oracle(h)) for of in ((5,), (3, 2), (2, 3, 2))]


def _conv(
    options: str, layer: nn.Module, to: tuple[int, ...], of: tuple[int, ...] = (4, 5, 6), autograd: bool = False
) -> Row:
    return Row("conv2d", f"{{conv2d: {{{options}}}}}", of, to, _layer(layer, "conv2d"), autograd=autograd)


def _of(
    op: str,
    step: str,
    of: tuple[int, ...],
    to: tuple[int, ...],
    oracle: Callable[[Tensor], Tensor],
    *,
    autograd: bool = False,
    free: bool = False,
) -> Row:
    return Row(op, step, of, to, lambda p, h, x: oracle(h), autograd=autograd, free=free)


ACTIVATIONS = [
    *_activation("tanh", torch.tanh),
    *_activation("sigmoid", torch.sigmoid),
    *_activation("relu", F.relu),
    *_activation("gelu", F.gelu),
    *_activation("silu", F.silu),
    *_activation("softplus", F.softplus),
    *_activation("elu", F.elu),
    *_activation("mish", F.mish),
    *_activation("softsign", F.softsign),
    *_activation("hardtanh", F.hardtanh),
    *_activation("sin", torch.sin),
    *_activation("cos", torch.cos),
    *_activation("exp", torch.exp),
    *_activation("square", torch.square),
    *_activation("abs", torch.abs),
    *_activation("leaky_relu", F.leaky_relu),
    *_activation("leaky_relu", lambda h: F.leaky_relu(h, 0.3), "{leaky_relu: 0.3}"),
    *_activation("leaky_relu", lambda h: F.leaky_relu(h, 0), "{leaky_relu: 0}"),
    *_activation("leaky_relu", lambda h: F.leaky_relu(h, 1.5), "{leaky_relu: {slope: 1.5}}"),
    *_activation("softshrink", F.softshrink),
    *_activation("softshrink", lambda h: F.softshrink(h, 0.1), "{softshrink: 0.1}"),
    *_activation("clamp", lambda h: torch.clamp(h, -0.5, 0.7), "{clamp: {min: -0.5, max: 0.7}}"),
    *_activation("clamp", lambda h: torch.clamp(h, min=-1), "{clamp: {min: -1}}"),
    *_activation("clamp", lambda h: torch.clamp(h, max=0.25), "{clamp: {max: 0.25}}"),
    *_activation("times", lambda h: -2.5 * h, "{times: -2.5}"),
    *_activation("times", lambda h: 0 * h, "{times: 0}"),
    *_activation("times", lambda h: h, "{times: 1}"),
    *_activation("plus", lambda h: h - 3, "{plus: -3}"),
    *_activation("plus", lambda h: h + 0.5, "{plus: 0.5}"),
]

# Of a value without the state: where nothing is hoisted, the derivative is that of a field of Weights.
INVARIANT = [
    Row("hardtanh", "{mul: [identity, [$x, hardtanh]]}", (3,), (3,), lambda p, h, x: h * F.hardtanh(x)),
    Row("clamp", "{mul: [identity, [$x, {clamp: {min: 0.1}}]]}", (3,), (3,), lambda p, h, x: h * x.clamp(min=0.1)),
    Row("leaky_relu", "{sum: [identity, [$x, leaky_relu]]}", (3,), (3,), lambda p, h, x: h + F.leaky_relu(x)),
    Row("softshrink", "{sum: [identity, [$x, softshrink]]}", (3,), (3,), lambda p, h, x: h + F.softshrink(x)),
    Row("gelu", "{sum: [identity, [$x, gelu]]}", (3,), (3,), lambda p, h, x: h + F.gelu(x)),
    Row("softmax", "{mul: [identity, [$x, softmax]]}", (3,), (3,), lambda p, h, x: h * torch.softmax(x, 1)),
    Row(
        "layer_norm",
        "{mul: [identity, [$x, {layer_norm: false}]]}",
        (3,),
        (3,),
        lambda p, h, x: h * F.layer_norm(x, (3,)),
    ),
]

STRUCTURE = [
    Row("identity", "identity", (3,), (3,), lambda p, h, x: h, free=True),
    Row(
        "as", "[{as: a}, tanh, {as: b}, $a, {mul: [identity, $b]}]", (3,), (3,), lambda p, h, x: h * h.tanh(), free=True
    ),
    Row("residual", "{residual: tanh}", (3,), (3,), lambda p, h, x: h + h.tanh()),
    Row(
        "residual",
        "{residual: [{residual: [{linear: 3}]}, sin]}",
        (3,),
        (3,),
        lambda p, h, x: (
            h + (h + F.linear(h, p["residual.residual.linear.weight"], p["residual.residual.linear.bias"])).sin()
        ),
    ),
    Row("repeat", "{repeat: {times: 0, body: tanh}}", (3,), (3,), lambda p, h, x: h, free=True),
    Row("repeat", "{repeat: {times: 3, body: sin}}", (3,), (3,), lambda p, h, x: h.sin().sin().sin()),
    Row(
        "repeat",
        '{repeat: {times: 2, body: [{linear: {out: 3, bias: false}}, {times: "${k + 1}"}, tanh], index: k}}',
        (3,),
        (3,),
        lambda p, h, x: (
            2 * F.linear(F.linear(h, p["repeat.0.linear.weight"]).tanh(), p["repeat.1.linear.weight"])
        ).tanh(),
    ),
]

BRANCHES = [
    Row("sum", "{sum: [identity, tanh]}", (4,), (4,), lambda p, h, x: h + h.tanh()),
    Row("sum", "{sum: [identity, identity, $x]}", (3,), (3,), lambda p, h, x: 2 * h + x),
    Row("sum", "{sum: [$x, [$x, sin]]}", (3,), (3,), lambda p, h, x: x + x.sin()),
    Row("sum", "{sum: [sin, $x]}", (2, 3), (2, 3), lambda p, h, x: h.sin() + x, x=(2, 3)),
    Row("mul", "{mul: [identity, identity]}", (4,), (4,), lambda p, h, x: h * h),
    Row("mul", "{mul: [sin, [{plus: 2}, cos], $x]}", (3,), (3,), lambda p, h, x: h.sin() * (h + 2).cos() * x),
    Row("mul", "{mul: [sin, identity, $x]}", (2, 2, 3), (2, 2, 3), lambda p, h, x: h.sin() * h * x, x=(2, 2, 3)),
    Row(
        "mul",
        "{mul: [identity, $x, [tanh, {sum: [identity, $x]}]]}",
        (3,),
        (3,),
        lambda p, h, x: h * x[:, None] * (h.tanh() + x[:, None]),
        x=(),
    ),
    Row("mul", "{mul: [identity, $x]}", (2, 2, 3), (2, 2, 3), lambda p, h, x: h * x[:, None, None, None], x=()),
    Row("sum", "{sum: [$x, identity]}", (2, 3), (2, 3), lambda p, h, x: h + x[:, None, None], x=()),
    Row("mul", "{mul: [$x, [$x, relu]]}", (3,), (3,), lambda p, h, x: x * x.relu()),
    *(
        Row("concat", f"{{concat: {{of: [identity, $x, tanh]{extra}}}}}", of, to, oracle, x=of, free=True)
        for of, dim, extra, to in [
            ((3,), 1, "", (9,)),
            ((3,), 1, ", dim: -1", (9,)),
            ((2, 3), 1, ", dim: 0", (6, 3)),
            ((2, 3), 2, ", dim: 1", (2, 9)),
            ((2, 3), 2, ", dim: -1", (2, 9)),
            ((2, 3), 1, ", dim: -2", (6, 3)),
            ((2, 3, 4), 1, "", (6, 3, 4)),
            ((2, 3, 4), 2, ", dim: 1", (2, 9, 4)),
            ((2, 3, 4), 3, ", dim: 2", (2, 3, 12)),
            ((2, 3, 4), 3, ", dim: -1", (2, 3, 12)),
        ]
        for oracle in [lambda p, h, x, dim=dim: torch.cat([h, x, h.tanh()], dim)]
    ),
    Row(
        "concat",
        "{concat: [$x, {linear: 2}]}",
        (3,),
        (5,),
        lambda p, h, x: torch.cat([x, F.linear(h, p["concat.1.linear.weight"], p["concat.1.linear.bias"])], 1),
        free=True,
    ),
]

VIEWS = [
    _of("flatten", "flatten", (2, 1, 2, 3), (12,), lambda h: h.flatten(1), free=True),
    _of("flatten", "flatten", (3,), (3,), lambda h: h, free=True),
    _of("flatten", "flatten", (2, 3), (6,), lambda h: h.flatten(1), free=True),
    _of("flatten", "flatten", (2, 3, 4), (24,), lambda h: h.flatten(1), free=True),
    _of("reshape", "{reshape: [6]}", (2, 3), (6,), lambda h: h.reshape(-1, 6), free=True),
    _of("reshape", "{reshape: [3, 2]}", (6,), (3, 2), lambda h: h.reshape(-1, 3, 2), free=True),
    _of("reshape", "{reshape: [3, 2, 2]}", (2, 6), (3, 2, 2), lambda h: h.reshape(-1, 3, 2, 2), free=True),
    _of("reshape", "{reshape: [2, 6]}", (3, 2, 2), (2, 6), lambda h: h.reshape(-1, 2, 6), free=True),
    _of("reshape", "{reshape: [6, 1, 2]}", (3, 2, 2), (6, 1, 2), lambda h: h.reshape(-1, 6, 1, 2), free=True),
    _of("slice", "slice", (5,), (5,), lambda h: h, free=True),
    _of("slice", "{slice: {stop: 2}}", (5,), (2,), lambda h: h[:, :2], free=True),
    _of("slice", "{slice: {start: 3}}", (5,), (2,), lambda h: h[:, 3:], free=True),
    _of("slice", "{slice: {dim: 0, start: 1, stop: 3}}", (5,), (2,), lambda h: h[:, 1:3], free=True),
    _of("slice", "{slice: {dim: 0, start: 1}}", (3, 4), (2, 4), lambda h: h[:, 1:], free=True),
    _of("slice", "{slice: {dim: 1, start: 1, stop: 3}}", (3, 4), (3, 2), lambda h: h[:, :, 1:3], free=True),
    _of("slice", "{slice: {dim: -2, stop: 2}}", (3, 4), (2, 4), lambda h: h[:, :2], free=True),
    _of("slice", "{slice: {dim: 0, stop: 2}}", (3, 4, 2), (2, 4, 2), lambda h: h[:, :2], free=True),
    _of("slice", "{slice: {dim: 1, start: 2}}", (3, 4, 2), (3, 2, 2), lambda h: h[:, :, 2:], free=True),
    _of("slice", "{slice: {dim: 2, start: 1}}", (3, 4, 2), (3, 4, 1), lambda h: h[..., 1:], free=True),
    _of("slice", "{slice: {dim: -3, start: 1, stop: 2}}", (3, 4, 2), (1, 4, 2), lambda h: h[:, 1:2], free=True),
    _of(
        "slice",
        "[{slice: {start: 1, stop: 5}}, {slice: {start: 1, stop: 3}}]",
        (6,),
        (2,),
        lambda h: h[:, 2:4],
        free=True,
    ),
    _of(
        "slice",
        "{sum: [{slice: {stop: 3}}, {slice: {start: 2}}]}",
        (5,),
        (3,),
        lambda h: h[:, :3] + h[:, 2:],
        free=True,
    ),
    _of(
        "slice",
        "{sum: [{slice: {stop: 2}}, {slice: {start: 3}}]}",
        (5,),
        (2,),
        lambda h: h[:, :2] + h[:, 3:],
        free=True,
    ),
    _of(
        "slice",
        "{sum: [[{slice: {stop: 2}}, sin], [{slice: {stop: 2}}, cos]]}",
        (5,),
        (2,),
        lambda h: h[:, :2].sin() + h[:, :2].cos(),
        free=True,
    ),
    Row(
        "slice",
        "{sum: [{slice: {dim: 0, stop: 2}}, [{slice: {stop: 2}}, {slice: {dim: 0, start: 1}}, {linear: 3}]]}",
        (3, 3),
        (2, 3),
        lambda p, h, x: h[:, :2] + F.linear(h[:, 1:, :2], p["sum.1.linear.weight"], p["sum.1.linear.bias"]),
        free=True,
    ),
]

EXPANSIONS = [
    Row("expand", f"{{expand: {like}}}", of, to, oracle, x=x, free=True)
    for like, of, to, x, oracle in [
        ("$x", (3,), (2, 3), (2, 3), lambda p, h, x: h[:, None].expand(-1, 2, 3)),
        ("$x", (2, 1), (2, 3), (2, 3), lambda p, h, x: h.expand(-1, 2, 3)),
        ("{like: $x}", (1, 3), (2, 2, 3), (2, 2, 3), lambda p, h, x: h[:, None].expand(-1, 2, 2, 3)),
        ("identity", (2, 3), (2, 3), (3,), lambda p, h, x: h),
        ("[{concat: [identity, identity]}, {linear: 4}]", (1,), (4,), (3,), lambda p, h, x: h.expand(-1, 4)),
    ]
]

TURNS = [
    _of("permute", "{permute: [1, 0]}", (3, 2), (2, 3), lambda h: h.mT, free=True),
    _of("permute", "{permute: [2, 0, 1]}", (2, 3, 4), (4, 2, 3), lambda h: h.permute(0, 3, 1, 2), free=True),
    _of("permute", "{permute: {dims: [0, -1, 1]}}", (2, 3, 4), (2, 4, 3), lambda h: h.mT, free=True),
    _of("permute", "{permute: [0, 1]}", (3, 3), (3, 3), lambda h: h, free=True),
    _of("permute", "[sin, {permute: [1, 0]}, tanh]", (3, 3), (3, 3), lambda h: h.sin().mT.tanh(), free=True),
    _of("permute", "{permute: 0}", (3,), (3,), lambda h: h, free=True),
    _of("detach", "detach", (3,), (3,), lambda h: h.detach(), free=True),
    _of(
        "detach",
        "{sum: [sin, [detach, {times: 2}], [cos, detach]]}",
        (3, 2),
        (3, 2),
        lambda h: h.sin() + 2 * h.detach() + h.cos().detach(),
        free=True,
    ),
    Row("last", "{last: {dim: 0, like: $x}}", (5,), (3,), lambda p, h, x: h[:, 2:], free=True),
    Row("last", "{last: {dim: -2, like: $x}}", (4, 2), (3, 2), lambda p, h, x: h[:, 1:], x=(3, 5), free=True),
    Row("last", "{last: {dim: 1, like: [$x, sin]}}", (4, 5), (4, 5), lambda p, h, x: h, x=(3, 5), free=True),
]

REDUCTIONS = [
    *(
        _of("reduce", f"{{reduce: {{op: {op}, dim: {dim}{keep}}}}}", of, to, oracle)
        for op, torch_op in (("sum", torch.sum), ("mean", torch.mean), ("max", torch.amax), ("min", torch.amin))
        for dim, keep, of, to, dims in [
            ("-1", "", (2, 3), (2,), 2),
            ("0", "", (2, 3), (3,), 1),
            ("-1", ", keep: true", (3,), (1,), 1),
            ("[0, 2]", "", (2, 3, 4), (3,), (1, 3)),
            ("[-1, 1]", ", keep: true", (2, 3, 4), (2, 1, 1), (2, 3)),
            ("[0]", ", keep: true", (1, 2), (1, 2), 1),
        ]
        for oracle in [lambda h, f=torch_op, d=dims, k=bool(keep): f(h, d, keepdim=k)]
    ),
    _of(
        "reduce",
        "[{reduce: {op: mean, dim: 0}}, {sum: [identity, [$x, {times: 0}]]}]",
        (4,),
        (3,),
        lambda h: h.mean(1, True).expand(-1, 3),
    ),
    _of("reduce", "[relu, {reduce: {op: max, dim: -1}}]", (2, 5), (2,), lambda h: h.relu().amax(2)),
    Row(
        "reduce",
        "{mul: [identity, [$x, {reduce: {op: max, dim: 0}}]]}",
        (4,),
        (4,),
        lambda p, h, x: h * x.amax(1, keepdim=True),
    ),
]

SINUSOIDS = [
    Row("sinusoidal", step, (3, 4), (3, 4), oracle, x=(2, 4))
    for step, oracle in [
        ("{sum: [identity, {sinusoidal: 4}]}", lambda p, h, x: h + _sinusoid(range(3), 4, h)),
        (
            "{sum: [identity, {sinusoidal: {out: 4, order: descending}}]}",
            lambda p, h, x: h + _sinusoid((2, 1, 0), 4, h),
        ),
        (
            "{sum: [identity, [{sinusoidal: {out: 6}}, {linear: 4}]]}",
            lambda p, h, x: h + F.linear(_sinusoid(range(3), 6, h), p["sum.1.linear.weight"], p["sum.1.linear.bias"]),
        ),
        (
            "{sum: [identity, [$x, {mul: [identity, {sinusoidal: {out: 4, length_of: $x}}]}, {concat: {of: [identity, "
            "{slice: {dim: 0, stop: 1}}], dim: 0}}]]}",
            lambda p, h, x: h + (x * _sinusoid(range(2), 4, h))[:, [0, 1, 0]],
        ),
    ]
]


def _sinusoid(positions: Iterable[int], out: int, like: Tensor) -> Tensor:
    return torch.tensor(
        [[f(p * 10000 ** (-2 * k / out)) for f in (math.sin, math.cos) for k in range(out // 2)] for p in positions],
        dtype=like.dtype,
    )


LINEAR = [
    Row("linear", "{linear: 5}", (4,), (5,), _layer(nn.Linear(4, 5), "linear")),
    Row("linear", "{linear: {out: 5, bias: false}}", (4,), (5,), _layer(nn.Linear(4, 5, bias=False), "linear")),
    Row("linear", "{linear: 1}", (1,), (1,), _layer(nn.Linear(1, 1), "linear")),
    Row("linear", "{linear: 2}", (3, 4), (3, 2), _layer(nn.Linear(4, 2), "linear")),
    Row("linear", "{linear: {out: 4, bias: false}}", (3, 4), (3, 4), _layer(nn.Linear(4, 4, bias=False), "linear")),
    Row("linear", "{linear: 2}", (2, 3, 4), (2, 3, 2), _layer(nn.Linear(4, 2), "linear")),
    Row("linear", "{linear: 2}", (2, 1, 2, 3), (2, 1, 2, 2), _layer(nn.Linear(3, 2), "linear")),
    Row(
        "linear",
        "[{linear: 3}, tanh, {linear: 2}]",
        (4,),
        (2,),
        lambda p, h, x: F.linear(
            F.linear(h, p["linear.weight"], p["linear.bias"]).tanh(), p["linear_1.weight"], p["linear_1.bias"]
        ),
    ),
    Row(
        "linear",
        "{sum: [{linear: 2}, [sin, {linear: 2}], [$x, {linear: 2}]]}",
        (4,),
        (2,),
        lambda p, h, x: sum(
            (
                F.linear(v, p[f"sum.{k}.linear.weight"], p[f"sum.{k}.linear.bias"])
                for k, v in enumerate((h, h.sin(), x))
            ),
            torch.zeros(()),
        ),
    ),
    Row(
        "linear",
        "{sum: [{linear: 2}, [sin, {linear: 2}], [$x, {linear: 2}]]}",
        (3, 4),
        (3, 2),
        lambda p, h, x: sum(
            (
                F.linear(v, p[f"sum.{k}.linear.weight"], p[f"sum.{k}.linear.bias"])
                for k, v in enumerate((h, h.sin(), x))
            ),
            torch.zeros(()),
        ),
        x=(3, 5),
    ),
]


def _bilinear(p: Params, a: Tensor, b: Tensor, bias: bool = True) -> Tensor:
    return F.bilinear(a, b, p["bilinear.weight"], p["bilinear.bias"] if bias else None)


BILINEAR = [
    Row("bilinear", "{bilinear: {of: [sin, cos], out: 3}}", (4,), (3,), lambda p, h, x: _bilinear(p, h.sin(), h.cos())),
    Row("bilinear", "{bilinear: {of: [identity, $x], out: 2}}", (4,), (2,), lambda p, h, x: _bilinear(p, h, x)),
    Row(
        "bilinear",
        "{bilinear: {of: [$x, identity], out: 2, bias: false}}",
        (2, 4),
        (2, 2),
        lambda p, h, x: _bilinear(p, x, h, bias=False),
        x=(2, 3),
    ),
    Row(
        "bilinear",
        "{bilinear: {of: [{linear: 2}, {linear: 3}], out: 1}}",
        (4,),
        (1,),
        lambda p, h, x: _bilinear(
            p,
            F.linear(h, p["bilinear.0.linear.weight"], p["bilinear.0.linear.bias"]),
            F.linear(h, p["bilinear.1.linear.weight"], p["bilinear.1.linear.bias"]),
        ),
    ),
]


def _fourier(p: Params, h: Tensor, path: str = "fourier_features") -> Tensor:
    angles = 2 * math.pi * F.linear(h, p[f"{path}.weight"])
    return torch.cat([angles.sin(), angles.cos()], -1)


FOURIER = [
    Row("fourier_features", "{fourier_features: 4}", (3,), (4,), lambda p, h, x: _fourier(p, h)),
    Row(
        "fourier_features",
        "{fourier_features: {out: 6, sigma: 0.1, trainable: true, name: waves}}",
        (2, 3),
        (2, 6),
        lambda p, h, x: _fourier(p, h, "waves"),
    ),
    Row(
        "fourier_features",
        "{sum: [identity, [$x, {fourier_features: {out: 4, sigma: 10}}]]}",
        (4,),
        (4,),
        lambda p, h, x: h + _fourier(p, x, "sum.1.fourier_features"),
    ),
]

CONVOLUTIONS = [
    _conv("out: 3, kernel: 3", nn.Conv2d(4, 3, 3, padding=1), (3, 5, 6)),
    _conv("out: 3, kernel: 1", nn.Conv2d(4, 3, 1), (3, 5, 6)),
    _conv("out: 3, kernel: 3, bias: false", nn.Conv2d(4, 3, 3, padding=1, bias=False), (3, 5, 6)),
    _conv("out: 3, kernel: 3, padding: 0", nn.Conv2d(4, 3, 3), (3, 3, 4)),
    _conv("out: 3, kernel: 3, padding: [2, 0]", nn.Conv2d(4, 3, 3, padding=(2, 0)), (3, 7, 4)),
    _conv("out: 3, kernel: 2, padding: 1", nn.Conv2d(4, 3, 2, padding=1), (3, 6, 7)),
    _conv("out: 3, kernel: [3, 1]", nn.Conv2d(4, 3, (3, 1), padding=(1, 0)), (3, 5, 6)),
    _conv("out: 3, kernel: [1, 5]", nn.Conv2d(4, 3, (1, 5), padding=(0, 2)), (3, 5, 6)),
    _conv("out: 3, kernel: 3, stride: 2", nn.Conv2d(4, 3, 3, stride=2, padding=1), (3, 3, 3)),
    _conv("out: 2, kernel: 3, stride: 2, padding: 0", nn.Conv2d(4, 2, 3, stride=2), (2, 2, 2)),
    _conv("out: 2, kernel: 2, stride: 3, padding: 0", nn.Conv2d(4, 2, 2, stride=3), (2, 2, 2)),
    _conv("out: 2, kernel: 3, stride: [1, 2]", nn.Conv2d(4, 2, 3, stride=(1, 2), padding=1), (2, 5, 3)),
    _conv(
        "out: 2, kernel: [2, 3], stride: [3, 2], padding: [1, 0]",
        nn.Conv2d(4, 2, (2, 3), stride=(3, 2), padding=(1, 0)),
        (2, 2, 2),
    ),
    _conv("out: 2, kernel: 3, dilation: 2", nn.Conv2d(4, 2, 3, dilation=2, padding=2), (2, 5, 6)),
    _conv("out: 2, kernel: 2, dilation: 2", nn.Conv2d(4, 2, 2, dilation=2, padding=1), (2, 5, 6)),
    _conv(
        "out: 2, kernel: [3, 2], dilation: [1, 2], stride: 2, padding: 1",
        nn.Conv2d(4, 2, (3, 2), dilation=(1, 2), stride=2, padding=1),
        (2, 3, 3),
    ),
    _conv("out: 6, kernel: 3, groups: 2", nn.Conv2d(4, 6, 3, groups=2, padding=1), (6, 5, 6)),
    _conv("out: 4, kernel: 3, groups: 4, bias: false", nn.Conv2d(4, 4, 3, groups=4, padding=1, bias=False), (4, 5, 6)),
    _conv("out: 2, kernel: 3, groups: 2, stride: 2", nn.Conv2d(4, 2, 3, groups=2, stride=2, padding=1), (2, 3, 3)),
    *(
        _conv(
            f"out: 2, kernel: [3, 5], padding_mode: {mode}",
            nn.Conv2d(4, 2, (3, 5), padding=(1, 2), padding_mode=mode),
            (2, 5, 6),
            autograd=True,
        )
        for mode in ("reflect", "replicate", "circular")
    ),
    _conv(
        "out: 2, kernel: 3, padding_mode: circular, groups: 2, stride: 2, bias: false",
        nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular", groups=2, stride=2, bias=False),
        (2, 3, 3),
        autograd=True,
    ),
    _conv(
        "out: 2, kernel: 1, padding_mode: circular",
        nn.Conv2d(4, 2, 1, padding_mode="circular"),
        (2, 5, 6),
        autograd=True,
    ),
]


MATRICES = [
    Row("matmul", f"{{matmul: {{{fields}}}}}", of, to, oracle, x=x)
    for fields, of, to, x, oracle in [
        ("left: $x", (3, 2), (4, 2), (4, 3), lambda p, h, x: x @ h),
        ("left: $x, transpose: true", (3, 2), (4, 2), (3, 4), lambda p, h, x: x.mT @ h),
        ("right: $x", (3,), (2,), (3, 2), lambda p, h, x: torch.einsum("bi,bij->bj", h, x)),
        ("right: $x, transpose: true", (3,), (2,), (2, 3), lambda p, h, x: torch.einsum("bi,bji->bj", h, x)),
        ("right: $x", (2, 3), (2, 4), (3, 4), lambda p, h, x: h @ x),
        ("right: $x, transpose: true", (2, 3), (2, 4), (4, 3), lambda p, h, x: h @ x.mT),
        ("left: [{linear: 2}, {permute: [1, 0]}]", (3, 3), (2, 3), (3,), lambda p, h, x: _left(p, h).mT @ h),
        ("right: [{permute: [1, 0]}, sin]", (2, 3), (2, 2), (3,), lambda p, h, x: h @ h.mT.sin()),
        ("left: sin, transpose: true", (3, 2), (2, 2), (3,), lambda p, h, x: h.sin().mT @ h),
        # a matrix that is the same for all samples
        ("left: [$x, {sinusoidal: 4}]", (4, 2), (3, 2), (3, 1), lambda p, h, x: _sinusoid(range(3), 4, h) @ h),
        ("right: [$x, {sinusoidal: 4}, {linear: 2}]", (3,), (2,), (3, 1), lambda p, h, x: h @ _right(p, h)),
        ("right: [$x, {sinusoidal: 4}]", (2, 1, 3), (2, 1, 4), (3, 1), lambda p, h, x: h @ _sinusoid(range(3), 4, h)),
    ]
]


def _attention(
    options: str,
    q: Oracle,
    k: Oracle,
    v: Oracle,
    of: tuple[int, int],
    to: tuple[int, int],
    heads: int = 1,
    x: tuple[int, ...] = (3,),
    mask: Oracle | None = None,
    causal: bool = False,
) -> Row:
    def call(p: Params, h: Tensor, x: Tensor) -> Tensor:
        query, key, value = (o(p, h, x).unflatten(-1, (heads, -1)).transpose(1, 2) for o in (q, k, v))
        added = None if mask is None else mask(p, h, x)[:, None]
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return F.scaled_dot_product_attention(query, key, value, added, is_causal=causal).transpose(1, 2).flatten(2)

    return Row("attention", f"{{attention: {{{options}}}}}", of, to, call, x=x)


def _own(p: Params, h: Tensor, x: Tensor) -> Tensor:
    return h


def _given(p: Params, h: Tensor, x: Tensor) -> Tensor:
    return x


def _field(name: str, of: Oracle = _own) -> Oracle:
    path = f"attention.{name}.linear"
    return lambda p, h, x: F.linear(of(p, h, x), p[f"{path}.weight"], p[f"{path}.bias"])


_THREE = "query: {linear: 4}, key: {linear: 4}, value: {linear: 6}"
_FIELDS = (_field("query"), _field("key"), _field("value"))

ATTENTION = [
    _attention(f"heads: 2, {_THREE}", *_FIELDS, (3, 2), (3, 6), heads=2),
    _attention("", _own, _own, _own, (3, 2), (3, 2)),
    _attention(_THREE, *_FIELDS, (3, 2), (3, 6)),
    _attention(f"heads: 2, causal: true, {_THREE}", *_FIELDS, (3, 2), (3, 6), heads=2, causal=True),
    _attention("causal: true", _own, _own, _own, (3, 2), (3, 2), causal=True),
    _attention("key: $x, value: $x", _own, _given, _given, (2, 3), (2, 3), x=(4, 3)),
    _attention(
        "query: [$x, {linear: 2}], value: [{linear: 2}, tanh]",
        _field("query", _given),
        _own,
        lambda p, h, x: _field("value")(p, h, x).tanh(),
        (2, 2),
        (4, 2),
        x=(4, 3),
    ),
    _attention("mask: $x", _own, _own, _own, (2, 3), (2, 3), x=(2, 2), mask=_given),
    _attention(
        "heads: 2, mask: [{matmul: {right: {permute: [1, 0]}}}, sin]",
        _own,
        _own,
        _own,
        (2, 4),
        (2, 4),
        heads=2,
        mask=lambda p, h, x: (h @ h.mT).sin(),
    ),
]


def _relative(p: Params, h: Tensor, x: Tensor, causal: bool = True, window: int = 99) -> Tensor:
    """One query, key and head after the other; keys and distances are rows of x, biases its last two rows."""
    q, (k, r, biases) = h, x.split([3, x.shape[1] - 5, 2], 1)
    u, w = biases.unbind(1)
    length, keys, out = h.shape[1], 3, torch.zeros_like(h)
    for head in (slice(0, 2), slice(2, 4)):
        for i in range(length):
            seen = range(keys) if not causal else [j for j in range(keys) if 0 <= i + keys - length - j < window]
            scores = [
                (
                    ((q[:, i, head] + u[:, head]) * k[:, j, head]).sum(1)
                    + ((q[:, i, head] + w[:, head]) * r[:, keys - 1 - (i + keys - length - j), head]).sum(1)
                )
                / math.sqrt(2)
                for j in seen
            ]
            weights = torch.softmax(torch.stack(scores, 1), 1)
            value = (weights[:, :, None] * k[:, seen].tanh()[:, :, head]).sum(1)
            out = torch.cat(
                [
                    out[:, :i],
                    torch.cat([out[:, i : i + 1, : head.start], value[:, None], out[:, i : i + 1, head.stop :]], 2),
                    out[:, i + 1 :],
                ],
                1,
            )
    return out


def _relative_row(options: str, length: int, rows: int, **seen: Any) -> Row:
    x = 3 + rows + 2
    stretches = {"key": (0, 3), "positions": (3, 3 + rows)}
    fields = [f"{n}: [$x, {{slice: {{dim: 0, start: {a}, stop: {b}}}}}]" for n, (a, b) in stretches.items()]
    fields.append("value: [$x, {slice: {dim: 0, stop: 3}}, tanh]")
    for name, at in (("content_bias", x - 2), ("position_bias", x - 1)):
        fields.append(f"{name}: [$x, {{slice: {{dim: 0, start: {at}, stop: {at + 1}}}}}, {{reshape: [2, 2]}}]")
    step = f"{{relative_attention: {{heads: 2, query: identity, {', '.join(fields)}{options}}}}}"
    return Row(
        "relative_attention", step, (length, 4), (length, 4), lambda p, h, x: _relative(p, h, x, **seen), x=(x, 4)
    )


RELATIVE = [
    _relative_row("", 3, 3),
    _relative_row("", 2, 3),
    _relative_row(", window: 2", 3, 3, window=2),
    _relative_row(", window: 1", 2, 3, window=1),
    _relative_row(", causal: false", 3, 5, causal=False),
    _relative_row(", causal: false", 2, 4, causal=False),
]


def _left(p: Params, h: Tensor) -> Tensor:
    return F.linear(h, p["matmul.left.linear.weight"], p["matmul.left.linear.bias"])


def _right(p: Params, h: Tensor) -> Tensor:
    return F.linear(_sinusoid(range(3), 4, h), p["matmul.right.linear.weight"], p["matmul.right.linear.bias"])


def _like(
    op: str, options: str, layer: nn.Module, of: tuple[int, ...], to: tuple[int, ...], autograd: bool = False
) -> Row:
    return Row(op, f"{{{op}: {{{options}}}}}", of, to, _layer(layer, op), autograd=autograd)


OTHER_CONVOLUTIONS = [
    _like("conv1d", "out: 3, kernel: 3", nn.Conv1d(2, 3, 3, padding=1), (2, 5), (3, 5)),
    _like("conv1d", "out: 2, kernel: 1, bias: false", nn.Conv1d(2, 2, 1, bias=False), (2, 5), (2, 5)),
    _like("conv1d", "out: 4, kernel: [5], stride: 2", nn.Conv1d(2, 4, 5, 2, 2), (2, 6), (4, 3)),
    _like("conv1d", "out: 2, kernel: 2, padding: 0, stride: 2", nn.Conv1d(2, 2, 2, 2), (2, 5), (2, 2)),
    _like(
        "conv1d",
        "out: 4, kernel: 3, dilation: 2, groups: 2",
        nn.Conv1d(2, 4, 3, padding=2, dilation=2, groups=2),
        (2, 5),
        (4, 5),
    ),
    _like(
        "conv1d",
        "out: 2, kernel: 3, padding_mode: circular",
        nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"),
        (2, 5),
        (2, 5),
        autograd=True,
    ),
    _like("conv3d", "out: 3, kernel: 3", nn.Conv3d(2, 3, 3, padding=1), (2, 2, 3, 2), (3, 2, 3, 2)),
    _like(
        "conv3d",
        "out: 2, kernel: [1, 2, 3], stride: [1, 2, 1], padding: [0, 0, 1], bias: false",
        nn.Conv3d(2, 2, (1, 2, 3), (1, 2, 1), (0, 0, 1), bias=False),
        (2, 2, 3, 2),
        (2, 2, 1, 2),
    ),
    _like(
        "conv3d",
        "out: 2, kernel: [1, 3, 1], padding_mode: replicate, groups: 2",
        nn.Conv3d(2, 2, (1, 3, 1), padding=(0, 1, 0), padding_mode="replicate", groups=2),
        (2, 2, 3, 2),
        (2, 2, 3, 2),
        autograd=True,
    ),
    _like("conv_transpose2d", "out: 3, kernel: 3", nn.ConvTranspose2d(2, 3, 3, padding=1), (2, 3, 4), (3, 3, 4)),
    _like(
        "conv_transpose2d",
        "out: 3, kernel: 4, stride: 2, padding: 1",
        nn.ConvTranspose2d(2, 3, 4, 2, 1),
        (2, 2, 3),
        (3, 4, 6),
    ),
    _like(
        "conv_transpose2d",
        "out: 4, kernel: [2, 3], stride: [1, 2], padding: 0, output_padding: [0, 1], bias: false",
        nn.ConvTranspose2d(2, 4, (2, 3), (1, 2), 0, (0, 1), bias=False),
        (2, 2, 2),
        (4, 3, 6),
    ),
    _like(
        "conv_transpose2d",
        "out: 4, kernel: 3, stride: 2, output_padding: 1, groups: 2, dilation: [1, 3]",
        nn.ConvTranspose2d(2, 4, 3, 2, (1, 3), 1, 2, dilation=(1, 3)),
        (2, 2, 2),
        (4, 4, 4),
    ),
]

NORMALISATIONS = [
    Row("group_norm", "{group_norm: 2}", (4, 2, 3), (4, 2, 3), _layer(nn.GroupNorm(2, 4), "group_norm")),
    Row(
        "group_norm",
        "{group_norm: {groups: 4, eps: 0.01}}",
        (4, 2, 3),
        (4, 2, 3),
        _layer(nn.GroupNorm(4, 4, eps=0.01), "group_norm"),
    ),
    Row("group_norm", "{group_norm: {groups: 1}}", (4, 3, 3), (4, 3, 3), _layer(nn.GroupNorm(1, 4), "group_norm")),
    _of(
        "group_norm",
        "{group_norm: {groups: 2, affine: false, eps: 1e-3}}",
        (4, 2, 3),
        (4, 2, 3),
        lambda h: F.group_norm(h, 2, eps=1e-3),
    ),
    *(
        row
        for of in ((5,), (3, 5), (2, 3, 5))
        for row in (
            Row("layer_norm", "layer_norm", of, of, _layer(nn.LayerNorm(5), "layer_norm")),
            Row("layer_norm", "{layer_norm: {eps: 0.1}}", of, of, _layer(nn.LayerNorm(5, eps=0.1), "layer_norm")),
            _of("layer_norm", "{layer_norm: false}", of, of, lambda h: F.layer_norm(h, (5,))),
            Row("rms_norm", "rms_norm", of, of, _layer(nn.RMSNorm(5, eps=1e-5), "rms_norm")),
            _of("rms_norm", "{rms_norm: {affine: false, eps: 0.1}}", of, of, lambda h: F.rms_norm(h, (5,), eps=0.1)),
        )
    ),
    _of("instance_norm", "instance_norm", (3, 2, 3), (3, 2, 3), F.instance_norm),
    Row(
        "instance_norm",
        "{instance_norm: {affine: true, eps: 0.1}}",
        (3, 2, 3),
        (3, 2, 3),
        _layer(nn.InstanceNorm2d(3, eps=0.1, affine=True), "instance_norm"),
    ),
    *(
        _of("normalize", step, of, of, partial(F.normalize, dim=dim))
        for of, step, dim in [
            ((5,), "normalize", 1),
            ((3, 5), "normalize", 2),
            ((3, 5), "{normalize: 0}", 1),
            ((2, 3, 4), "{normalize: {dim: -2}}", 2),
            ((2, 3, 4), "{normalize: 0}", 1),
        ]
    ),
    *(
        _of("softmax", step, of, of, partial(torch.softmax, dim=dim))
        for of, step, dim in [
            ((5,), "softmax", 1),
            ((5,), "{softmax: 0}", 1),
            ((3, 5), "softmax", 2),
            ((3, 5), "{softmax: 0}", 1),
            ((3, 5), "{softmax: {dim: 1}}", 2),
            ((2, 3, 4), "{softmax: 0}", 1),
            ((2, 3, 4), "{softmax: 1}", 2),
            ((2, 3, 4), "{softmax: -2}", 2),
            ((2, 3, 4), "softmax", 3),
        ]
    ),
    *(
        _of("log_softmax", step, of, of, partial(torch.log_softmax, dim=dim))
        for of, step, dim in [
            ((5,), "log_softmax", 1),
            ((3, 5), "log_softmax", 2),
            ((3, 5), "{log_softmax: 0}", 1),
            ((2, 3, 4), "{log_softmax: {dim: -3}}", 1),
            ((2, 3, 4), "log_softmax", 3),
        ]
    ),
]

RESAMPLING = [
    _of("upsample", "{upsample: 2}", (2, 2, 3), (2, 4, 6), lambda h: F.interpolate(h, scale_factor=2)),
    _of("upsample", "{upsample: 3}", (1, 2, 1), (1, 6, 3), lambda h: F.interpolate(h, scale_factor=3)),
    _of("upsample", "{upsample: 1}", (2, 2, 3), (2, 2, 3), lambda h: h, free=True),
    _of(
        "upsample",
        "{upsample: {factor: 2, mode: bilinear}}",
        (2, 2, 3),
        (2, 4, 6),
        lambda h: F.interpolate(h, scale_factor=2, mode="bilinear"),
        autograd=True,
    ),
    _of(
        "upsample",
        "{upsample: {factor: 3, mode: bilinear}}",
        (1, 2, 2),
        (1, 6, 6),
        lambda h: F.interpolate(h, scale_factor=3, mode="bilinear"),
        autograd=True,
    ),
    _of("avg_pool2d", "{avg_pool2d: 2}", (2, 4, 6), (2, 2, 3), lambda h: F.avg_pool2d(h, 2)),
    _of("avg_pool2d", "{avg_pool2d: [1, 3]}", (2, 4, 6), (2, 4, 2), lambda h: F.avg_pool2d(h, (1, 3))),
    _of("avg_pool2d", "{avg_pool2d: {kernel: 2, stride: 2}}", (2, 4, 6), (2, 2, 3), lambda h: F.avg_pool2d(h, 2)),
    _of("avg_pool2d", "{avg_pool2d: 2}", (2, 5, 6), (2, 2, 3), lambda h: F.avg_pool2d(h, 2), autograd=True),
    _of(
        "avg_pool2d",
        "{avg_pool2d: {kernel: 3, stride: 1, padding: 1}}",
        (2, 4, 5),
        (2, 4, 5),
        lambda h: F.avg_pool2d(h, 3, 1, 1),
        autograd=True,
    ),
    _of(
        "avg_pool2d",
        "{avg_pool2d: {kernel: [3, 2], stride: [2, 1], padding: [1, 0]}}",
        (2, 5, 5),
        (2, 3, 4),
        lambda h: F.avg_pool2d(h, (3, 2), (2, 1), (1, 0)),
        autograd=True,
    ),
    _of("max_pool2d", "{max_pool2d: 2}", (2, 4, 6), (2, 2, 3), lambda h: F.max_pool2d(h, 2), autograd=True),
    _of(
        "max_pool2d",
        "{max_pool2d: {kernel: 3, stride: 1, padding: 1}}",
        (2, 4, 5),
        (2, 4, 5),
        lambda h: F.max_pool2d(h, 3, 1, 1),
        autograd=True,
    ),
    _of(
        "max_pool2d",
        "{max_pool2d: {kernel: [2, 3], stride: [1, 2], padding: [0, 1]}}",
        (2, 4, 5),
        (2, 3, 3),
        lambda h: F.max_pool2d(h, (2, 3), (1, 2), (0, 1)),
        autograd=True,
    ),
    _of("global_avg_pool", "global_avg_pool", (3, 2, 4), (3,), lambda h: h.mean((2, 3))),
    _of("global_avg_pool", "global_avg_pool", (3, 1, 1), (3,), lambda h: h.mean((2, 3))),
]

MASKS = [
    _of("variational_dropout", "{variational_dropout: 0.5}", (4,), (4,), lambda h: h),
    _of("variational_dropout", "{variational_dropout: 0}", (4,), (4,), lambda h: h, free=True),
    _of("variational_dropout", "{variational_dropout: {p: 0.5, per: token}}", (2, 3), (2, 3), lambda h: h),
    _of("variational_dropout", "{variational_dropout: {p: 0.5, per: channel}}", (2, 3, 2), (2, 3, 2), lambda h: h),
    _of("variational_dropout", "{variational_dropout: {p: 0.5, per: channel}}", (2, 3), (2, 3), lambda h: h),
    _of("variational_dropout", "{variational_dropout: 0.2}", (2, 3, 2), (2, 3, 2), lambda h: h),
]

ROWS: list[Row] = [
    *ACTIVATIONS,
    *INVARIANT,
    *STRUCTURE,
    *BRANCHES,
    *VIEWS,
    *EXPANSIONS,
    *TURNS,
    *REDUCTIONS,
    *SINUSOIDS,
    *LINEAR,
    *BILINEAR,
    *FOURIER,
    *CONVOLUTIONS,
    *MATRICES,
    *ATTENTION,
    *RELATIVE,
    *OTHER_CONVOLUTIONS,
    *NORMALISATIONS,
    *RESAMPLING,
    *MASKS,
]


@dataclass(frozen=True)
class Outside:
    """A step of the encoder that f may not hold, in training and in evaluation."""

    op: str
    step: str
    of: tuple[int, ...]
    layer: nn.Module


OUTSIDE: list[Outside] = [
    Outside("batch_norm", "batch_norm", (4,), nn.BatchNorm1d(4)),
    Outside("batch_norm", "batch_norm", (4, 2, 3), nn.BatchNorm2d(4)),
    Outside(
        "batch_norm",
        "{batch_norm: {affine: false, momentum: 0.3}}",
        (4, 2, 3),
        nn.BatchNorm2d(4, affine=False, momentum=0.3),
    ),
    Outside("batch_norm", "{batch_norm: {eps: 0.1}}", (4,), nn.BatchNorm1d(4, eps=0.1)),
    Outside("dropout", "{dropout: 0.5}", (4,), nn.Dropout(0.5)),
    Outside("dropout", "{dropout: {p: 0}}", (4, 2, 3), nn.Dropout(0.0)),
]
