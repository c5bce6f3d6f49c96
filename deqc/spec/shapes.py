"""What expressions read of a shape: the fields of `in`, `scale`, `from` and `to`."""

from __future__ import annotations

from math import prod


def shape_fields(shape: tuple[int, ...]) -> dict[str, int | float | bool]:
    """The fields that this shape has; `index` is added where there is one."""
    fields: dict[str, int | float | bool] = {"rank": len(shape), "size": prod(shape)}
    if shape:
        fields |= {"channels": shape[0], "features": shape[-1]}
    if len(shape) == 2:
        fields["length"] = shape[0]
    if len(shape) == 3:
        fields |= {"height": shape[1], "width": shape[2]}
    return fields
