"""The mask of the stop test over the state."""

from __future__ import annotations


def spread(mask: str, shape: tuple[int, ...], scale: tuple[int, ...]) -> str:
    """An expression for the mask in the shape of a scale."""
    if shape == scale:
        return mask
    axes = "".join(", None" for _ in scale[len(shape) :])
    axes = f"[{', '.join([':'] * (len(shape) + 1))}{axes}]" if axes else ""
    known = shape + (1,) * (len(scale) - len(shape))
    sizes = ", ".join(["-1", *("-1" if n == m else str(m) for n, m in zip(known, scale, strict=True))])
    return f"{mask}{axes}.expand({sizes})"
