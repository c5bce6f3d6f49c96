"""What conv1d, conv2d, conv3d and conv_transpose2d share: fields, geometry and derivatives.

The cotangent of a convolution's input is the transposed convolution of g, and the other way round; that of the kernel
correlates the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod, sqrt
from typing import Any, ClassVar

from deqc.fields import Field, Kind
from deqc.ops.base import GIVEN, INCOMING, Attributes, Layer, Make, Op, ShapeError, Value, short, spatial, within
from deqc.ops.code import Code, call, literal
from deqc.ops.shapes import AXES, channelled
from deqc.ops.weights import NAME, WEIGHT_FIELDS
from deqc.types import Type, show

_GEOMETRY = ("stride", "padding", "dilation", "groups")
_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def fields(rank: int) -> tuple[Field, ...]:
    """The fields that all convolutions have."""
    one = "one number" if rank == 1 else f"one number or [{', '.join(AXES[rank])}]"
    found = (
        Field("out", Kind.INT, "Channels of the result.", minimum=1, examples=(16,)),
        Field("kernel", Kind.INT, f"Size of the kernel, {one}.", minimum=1, examples=(3,), each=True),
        Field("stride", Kind.INT, f"Step of the kernel, {one}.", default=1, minimum=1, each=True),
        Field(
            "padding",
            Kind.INT,
            f"Entries added on every side, {one}; `half` keeps the size at stride 1.",
            default="half",
            minimum=0,
            choices=("half",),
            each=True,
        ),
        Field("dilation", Kind.INT, "Distance of the kernel's taps.", default=1, minimum=1, each=True),
        Field("groups", Kind.INT, "Groups of channels that do not mix.", default=1, minimum=1),
        Field("bias", Kind.BOOL, "Whether a learned number is added to each channel.", default=True),
        Field(
            "weight",
            Kind.COMPUTATION,
            "A kernel from elsewhere in place of one of its own, of `out` and of `kernel`: most often `$name`, a "
            "parameter.",
            default=None,
            nullable=True,
            examples=("$K",),
        ),
        *WEIGHT_FIELDS,
        NAME,
    )
    return tuple(replace(field, entries=rank) if field.each else field for field in found)


def padding_of(attributes: Attributes, rank: int) -> tuple[int, ...]:
    """`half` keeps the size at stride 1: dilation · (kernel - 1) / 2."""
    if attributes["padding"] != "half":
        return spatial(attributes, "padding", rank)
    kernel, dilation = spatial(attributes, "kernel", rank), spatial(attributes, "dilation", rank)
    if any(d * (k - 1) % 2 for k, d in zip(kernel, dilation, strict=True)):
        raise ShapeError("padding half needs an odd kernel", hint="use an odd kernel or write padding as a number")
    return tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))


def geometry_of(attributes: Attributes, rank: int) -> dict[str, Any]:
    """stride, padding, dilation and groups as torch takes them, without those that are its defaults."""
    values: dict[str, Any] = {
        "stride": short(spatial(attributes, "stride", rank)),
        "padding": short(padding_of(attributes, rank)),
        "dilation": short(spatial(attributes, "dilation", rank)),
        "groups": attributes["groups"],
    }
    return {name: value for name, value in values.items() if value != _DEFAULTS[name]}


def _kept(attributes: Attributes) -> dict[str, Any]:
    """The constants that a convolution and its derivatives have in common."""
    return {name: attributes[name] for name in (*_GEOMETRY, "kernel")}


def _axes(attributes: Attributes, rank: int) -> list[tuple[int, int, int, int]]:
    """kernel, stride, padding and dilation of each spatial dimension."""
    kernel, stride = spatial(attributes, "kernel", rank), spatial(attributes, "stride", rank)
    dilation = spatial(attributes, "dilation", rank)
    return list(zip(kernel, stride, padding_of(attributes, rank), dilation, strict=True))


class Convolved(Op):
    """The cotangent of the input: a convolution, transposed if that of the op is not."""

    step = False
    rows = False

    def __init__(self, of: Convolutional) -> None:
        self.of = of
        self.name = f"{of.name}_input"
        self.summary = f"The cotangent of the input of {of.name}."

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of x."""
        return types[0].with_shape(*attributes["input"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """As many as forward."""
        return 2 * (result if self.of.transposed else types[0]).size * prod(types[1].shape[1:])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.conv_transpose2d(g, w, …)` of conv2d, `F.conv2d(g, w, …)` of conv_transpose2d."""
        rank = self.of.rank
        geometry = geometry_of(attributes, rank)
        if self.of.transposed:
            return call(f"F.conv{rank}d", *operands, **geometry)
        sizes = zip(attributes["input"][1:], attributes["output"][1:], _axes(attributes, rank), strict=True)
        extra = tuple(n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, (k, s, p, d) in sizes)
        if any(extra):
            geometry = {**geometry, "output_padding": short(extra)}
        return call(f"F.conv_transpose{rank}d", *operands, **geometry)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The convolution of the op itself; the kernel is fixed."""
        w = node.operands[1]
        return [make(self.of.name, g, w, **_kept(node.attributes), **self.of.plain(node.attributes)), None]


class Kernel(Op):
    """The cotangent of the kernel: the correlation of the values before and after."""

    step = False
    rows = False

    def __init__(self, of: Convolutional) -> None:
        self.of = of
        self.name = f"{of.name}_weight"
        self.summary = f"The cotangent of the kernel of {of.name}."

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of the kernel."""
        return Type(tuple(attributes["kernel_shape"]), batched=False)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """As many as forward."""
        return int(2 * types[1 if self.of.transposed else 0].size * prod(attributes["kernel_shape"][1:]))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """torch.nn.grad.conv2d_weight; transposed, g and x change places."""
        g, x = operands
        large, small = (g, x) if self.of.transposed else (x, g)
        shape = literal(tuple(attributes["kernel_shape"]))
        rank = self.of.rank
        return call(f"torch.nn.grad.conv{rank}d_weight", large, shape, small, **geometry_of(attributes, rank))


class Convolutional(Op):
    """A convolution, or a transposed one."""

    takes = (INCOMING, "weight")
    source = "weight"
    instead = ("out", "kernel")
    rank: ClassVar[int]  # spatial dimensions
    transposed: ClassVar[bool] = False

    def __init__(self) -> None:
        self.companions = (Convolved(self), Kernel(self))

    def constructor(self, attributes: Attributes) -> tuple[str, dict[str, Any]]:
        """The class of torch's layer, and its arguments beside channels, kernel and bias."""
        raise NotImplementedError(self.name)

    def plain(self, attributes: Attributes) -> dict[str, Any]:
        """Its further constants where it is the transpose of `Convolved` with these."""
        raise NotImplementedError(self.name)

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.Conv2d, or its like."""
        channels, *_ = channelled(self.name, types[0], self.rank)
        groups, bias = attributes["groups"], attributes["bias"]
        if len(types) > 1:
            fan_in = self._fits(types[1], channels, groups)
            out = self.channels_of(attributes, types[1])
            return Layer(None, (("bias", (out,)),), within(1 / sqrt(fan_in))) if bias else None
        out = attributes["out"]
        if channels % groups or out % groups:
            raise ShapeError(
                f"{self.name} with {groups} groups on {channels} channels to {out}", "both divisible by groups"
            )
        name, options = self.constructor(attributes)
        kernel = spatial(attributes, "kernel", self.rank)
        text = "".join(f", {option}={literal(value).text}" for option, value in options.items())
        text = text if bias else f"{text}, bias=False"
        shape = (channels, out // groups) if self.transposed else (out, channels // groups)
        parameters = (("weight", (*shape, *kernel)), ("bias", (out,)))[: 1 + bias]
        return Layer(f"nn.{name}({channels}, {out}, {short(kernel)}{text})", parameters)

    def _fits(self, weight: Type, channels: int, groups: int) -> int:
        """Raises ShapeError where a kernel from elsewhere does not fit; returns what is summed for one output."""
        if weight.batched or weight.rank != self.rank + 2:
            kind = "a value with a batch" if weight.batched else f"a weight of shape {show(weight.shape)}"
            spatial_axes = ", ".join(["kernel"] * self.rank)
            shape = "[in, out / groups" if self.transposed else "[out, in / groups"
            raise ShapeError(
                f"{self.name}'s weight is a kernel, found {kind}", f"a parameter of shape {shape}, {spatial_axes}]"
            )
        read = weight.shape[0] if self.transposed else weight.shape[1] * groups
        if read != channels or weight.shape[0] % groups:
            raise ShapeError(
                f"{self.name} with a kernel of shape {show(weight.shape)} on {channels} channels", f"{read} channels"
            )
        return prod(weight.shape[1:])

    def lowered(self, make: Make, attributes: Attributes, *operands: Any) -> Any:
        """What a kernel from elsewhere brings with it is written out."""
        constants = {name: value for name, value in attributes.items() if name != GIVEN}
        if "weight" in attributes[GIVEN]:
            weight = operands[1].type
            constants |= {"out": self.channels_of(attributes, weight), "kernel": weight.shape[2:]}
        return make(self.name, *operands, **constants)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Sizes by torch's formula; they must stay positive."""
        _, *sizes = channelled(self.name, types[0], self.rank)
        out = self.sizes(attributes, sizes)
        if any(n < 1 for n in out):
            image = f"an image of {' x '.join(map(str, sizes))}" if self.rank > 1 else f"a length of {sizes[0]}"
            raise ShapeError(f"{self.name}'s kernel does not fit into {image}")
        return types[0].with_shape(self.channels_of(attributes, types[1]), *out)

    def channels_of(self, attributes: Attributes, weight: Type) -> int:
        """Channels of the result."""
        return weight.shape[1] * int(attributes["groups"]) if self.transposed else weight.shape[0]

    def sizes(self, attributes: Attributes, sizes: Sequence[int]) -> list[int]:
        """The spatial sizes of the result."""
        axes = zip(sizes, _axes(attributes, self.rank), strict=True)
        return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, (k, s, p, d) in axes]

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add a tap and output."""
        return 2 * (types[0] if self.transposed else result).size * prod(types[1].shape[1:])

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The convolution the other way, the correlation and the sum of g."""
        x, w, *bias = node.operands
        geometry = _kept(node.attributes)
        sums = [make("sum_to", g, shape=b.type.shape, batched=False, channels=True) for b in bias]
        return [
            make(f"{self.name}_input", g, w, input=x.type.shape, output=node.type.shape, **geometry),
            make(f"{self.name}_weight", g, x, kernel_shape=w.type.shape, **geometry),
            *sums,
        ]


class Convolution(Convolutional):
    """y = K * x + b over a number of spatial dimensions; torch's nn.Conv1d, nn.Conv2d, nn.Conv3d."""

    MODE: ClassVar[Field] = Field(
        "padding_mode",
        Kind.CHOICE,
        "What is added outside.",
        default="zeros",
        choices=("zeros", "reflect", "replicate", "circular"),
    )

    def plain(self, attributes: Attributes) -> dict[str, Any]:
        """Zeros around the image."""
        return {"padding_mode": "zeros"}

    def constructor(self, attributes: Attributes) -> tuple[str, dict[str, Any]]:
        """Its padding mode, too."""
        mode = attributes["padding_mode"]
        geometry = geometry_of(attributes, self.rank)
        return f"Conv{self.rank}d", geometry if mode == "zeros" else {**geometry, "padding_mode": mode}

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's convolution, padded explicitly where not by zeros."""
        x, w, *bias = tensors
        geometry = {**_DEFAULTS, **geometry_of(attributes, self.rank)}
        if attributes["padding_mode"] != "zeros":
            x = torch.nn.functional.pad(x, self._widths(attributes), mode=attributes["padding_mode"])
            geometry["padding"] = 0
        convolve = getattr(torch.nn.functional, f"conv{self.rank}d")
        return convolve(x, w, bias[0] if bias else None, **geometry)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.conv2d(x, w, b, …)`."""
        x, geometry = operands[0], geometry_of(attributes, self.rank)
        if attributes["padding_mode"] != "zeros" and "padding" in geometry:
            x = call("F.pad", x, literal(self._widths(attributes)), mode=attributes["padding_mode"])
            del geometry["padding"]
        return call(f"F.conv{self.rank}d", x, *operands[1:], **geometry)

    def _widths(self, attributes: Attributes) -> tuple[int, ...]:
        """Both sides of each spatial dimension, the last first, as torch wants them."""
        return tuple(p for one in reversed(padding_of(attributes, self.rank)) for p in (one, one))

    def rule(self, node: Value) -> bool:
        """Of convolutions that pad with zeros."""
        return bool(node.attributes["padding_mode"] == "zeros")
