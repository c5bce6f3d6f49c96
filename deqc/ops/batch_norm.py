"""`batch_norm`: zero mean and unit variance over the batch; in encoder and head only (Ioffe & Szegedy 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import OUTSIDE, Attributes, Layer, Op, ShapeError
from deqc.ops.normalization import AFFINE, EPS, OWN
from deqc.types import Type, show


class BatchNorm(Op):
    """Each channel has zero mean and unit variance over the batch, with running statistics for evaluation."""

    name = "batch_norm"
    summary = (
        "Zero mean and unit variance of each channel over the batch, running statistics in evaluation "
        "(Ioffe & Szegedy 2015). "
        "In encoder and head only: inside f a sample's answer would depend on its batch mates."
    )
    fields = (
        AFFINE,
        Field(
            "momentum",
            Kind.NUMBER,
            "The weight of the newest batch in the running statistics.",
            default=0.1,
            minimum=0.0,
            maximum=1.0,
        ),
        EPS,
        *OWN,
    )
    principal = "affine"
    where = OUTSIDE
    pure = False
    has_rule = False

    def layer(self, attributes: Attributes, *types: Type) -> Layer | None:
        """nn.BatchNorm1d for features, nn.BatchNorm2d for images."""
        x = types[0]
        if x.rank not in (1, 3):
            raise ShapeError(
                f"batch_norm on a value of shape {show(x.shape)}", "[features] or [channels, height, width]"
            )
        n = x.shape[0]
        options = {
            "eps": (attributes["eps"], 1e-5),
            "momentum": (attributes["momentum"], 0.1),
            "affine": (attributes["affine"], True),
        }
        text = "".join(f", {name}={value!r}" for name, (value, default) in options.items() if value != default)
        parameters = (("weight", (n,)), ("bias", (n,))) if attributes["affine"] else ()
        buffers = (("running_mean", (n,)), ("running_var", (n,)))
        return Layer(f"nn.BatchNorm{1 if x.rank == 1 else 2}d({n}{text})", parameters + buffers)

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """Statistics, then one multiply-add an entry."""
        return 8 * result.size

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """In evaluation: the running statistics."""
        x, *affine, mean, var = tensors
        gain, shift = affine or (None, None)
        return torch.nn.functional.batch_norm(x, mean, var, gain, shift, eps=attributes["eps"])


OP = BatchNorm()
