"""`conv2d`: a two-dimensional convolution over [channels, height, width]."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Layer, Make, Op, ShapeError, Value, short, spatial
from deqc.ops.code import Code, call, literal
from deqc.ops.shapes import images
from deqc.types import Type

_GEOMETRY = ("stride", "padding", "dilation", "groups")
_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def padding_of(attributes: Attributes) -> tuple[int, int]:
    """`half` keeps the size at stride 1: dilation · (kernel - 1) / 2."""
    if attributes["padding"] != "half":
        return spatial(attributes, "padding")
    (kh, kw), (dh, dw) = spatial(attributes, "kernel"), spatial(attributes, "dilation")
    if dh * (kh - 1) % 2 or dw * (kw - 1) % 2:
        raise ShapeError("padding half needs an odd kernel", hint="use an odd kernel or write padding as a number")
    return dh * (kh - 1) // 2, dw * (kw - 1) // 2


def _geometry(attributes: Attributes) -> dict[str, Any]:
    """stride, padding, dilation and groups as torch takes them, without those that are its defaults."""
    values: dict[str, Any] = {
        "stride": short(spatial(attributes, "stride")),
        "padding": short(padding_of(attributes)),
        "dilation": short(spatial(attributes, "dilation")),
        "groups": attributes["groups"],
    }
    return {name: value for name, value in values.items() if value != _DEFAULTS[name]}


class Conv2dInput(Op):
    """The cotangent of x: the transposed convolution of g."""

    name = "conv2d_input"
    summary = "The transposed convolution, the cotangent of the input of conv2d."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of x."""
        return types[0].with_shape(*attributes["input"])

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """As many as forward."""
        return 2 * types[0].size * prod(types[1].shape[1:])

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.conv_transpose2d(g, w, …)`."""
        geometry = _geometry(attributes)
        sizes = zip(
            attributes["input"][1:],
            attributes["output"][1:],
            spatial(attributes, "stride"),
            padding_of(attributes),
            spatial(attributes, "dilation"),
            spatial(attributes, "kernel"),
            strict=True,
        )
        extra = tuple(n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, s, p, d, k in sizes)
        if any(extra):
            geometry = {**geometry, "output_padding": short((extra[0], extra[1]))}
        return call("F.conv_transpose2d", *operands, **geometry)


class Conv2dWeight(Op):
    """The cotangent of the kernel."""

    name = "conv2d_weight"
    summary = "The correlation of x and g, the cotangent of the kernel of conv2d."
    step = False
    rows = False

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape of the kernel."""
        return Type(tuple(attributes["kernel_shape"]), batched=False)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """As many as forward."""
        return int(2 * types[0].size * prod(attributes["kernel_shape"][1:]))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """torch.nn.grad.conv2d_weight."""
        g, x = operands
        shape = literal(tuple(attributes["kernel_shape"]))
        return call("torch.nn.grad.conv2d_weight", x, shape, g, **_geometry(attributes))


class Conv2d(Op):
    """y = K * x + b; torch's nn.Conv2d."""

    name = "conv2d"
    summary = (
        "A convolution over [channels, height, width] with weights of its own: nn.Conv2d. Input channels are inferred."
    )
    fields = (
        Field("out", Kind.INT, "Channels of the result.", minimum=1, examples=(16,)),
        Field(
            "kernel",
            Kind.INT,
            "Size of the kernel, one number or [height, width].",
            minimum=1,
            each=True,
            examples=(3,),
        ),
        Field(
            "stride", Kind.INT, "Step of the kernel, one number or [height, width].", default=1, minimum=1, each=True
        ),
        Field(
            "padding",
            Kind.INT,
            "Pixels added on every side, one number or [height, width]; `half` keeps the size at stride 1.",
            default="half",
            minimum=0,
            each=True,
            choices=("half",),
        ),
        Field("dilation", Kind.INT, "Distance of the kernel's taps.", default=1, minimum=1, each=True),
        Field("groups", Kind.INT, "Groups of channels that do not mix.", default=1, minimum=1),
        Field("bias", Kind.BOOL, "Whether a learned number is added to each channel.", default=True),
        Field(
            "padding_mode",
            Kind.CHOICE,
            "What is added outside the image.",
            default="zeros",
            choices=("zeros", "reflect", "replicate", "circular"),
        ),
    )
    companions = (Conv2dInput(), Conv2dWeight())

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.Conv2d."""
        channels, _, _ = images("conv2d", types[0])
        out, groups, bias = attributes["out"], attributes["groups"], attributes["bias"]
        if channels % groups or out % groups:
            raise ShapeError(f"conv2d with {groups} groups on {channels} channels to {out}", "both divisible by groups")
        kernel = spatial(attributes, "kernel")
        options = {**_geometry(attributes), **({} if bias else {"bias": False})}
        if attributes["padding_mode"] != "zeros":
            options["padding_mode"] = attributes["padding_mode"]
        text = "".join(f", {name}={literal(value).text}" for name, value in options.items())
        parameters = (("weight", (out, channels // groups, *kernel)), ("bias", (out,)))[: 1 + bias]
        return Layer(f"nn.Conv2d({channels}, {out}, {short(kernel)}{text})", parameters)

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """Sizes by torch's formula; they must stay positive."""
        _, *sizes = images("conv2d", types[0])
        geometry = zip(
            sizes,
            spatial(attributes, "kernel"),
            spatial(attributes, "stride"),
            padding_of(attributes),
            spatial(attributes, "dilation"),
            strict=True,
        )
        out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in geometry]
        if min(out) < 1:
            raise ShapeError(f"conv2d's kernel does not fit into an image of {sizes[0]} x {sizes[1]}")
        return types[0].with_shape(types[1].shape[0], *out)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """One multiply-add a tap and output."""
        return 2 * result.size * prod(types[1].shape[1:])

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's convolution, padded explicitly where not by zeros."""
        x, w, *bias = tensors
        geometry = {**_DEFAULTS, **_geometry(attributes)}
        if attributes["padding_mode"] != "zeros":
            ph, pw = padding_of(attributes)
            x = torch.nn.functional.pad(x, (pw, pw, ph, ph), mode=attributes["padding_mode"])
            geometry["padding"] = 0
        return torch.nn.functional.conv2d(x, w, bias[0] if bias else None, **geometry)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`F.conv2d(x, w, b, …)`."""
        x, geometry = operands[0], _geometry(attributes)
        if attributes["padding_mode"] != "zeros" and "padding" in geometry:
            ph, pw = padding_of(attributes)
            x = call("F.pad", x, literal((pw, pw, ph, ph)), mode=attributes["padding_mode"])
            del geometry["padding"]
        return call("F.conv2d", x, *operands[1:], **geometry)

    def rule(self, node: Value) -> bool:
        """Of convolutions that pad with zeros."""
        return bool(node.attributes["padding_mode"] == "zeros")

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """The transposed convolution, the correlation and the sum of g."""
        x, w, *bias = node.operands
        geometry = {name: node.attributes[name] for name in (*_GEOMETRY, "kernel")}
        sums = [make("sum_to", g, shape=b.type.shape, batched=False, channels=True) for b in bias]
        return [
            make("conv2d_input", g, w, input=x.type.shape, output=node.type.shape, **geometry),
            make("conv2d_weight", g, x, kernel_shape=w.type.shape, **geometry),
            *sums,
        ]


OP = Conv2d()
