"""The op table: one file an op; adding an op is adding a file that exposes `OP`.

Leaf package: ops know types and code, and no other room of the house.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from deqc.ops.base import Op


def _collect() -> dict[str, Op]:
    """Every op and its companions by name, in the order of their files' names."""
    found: dict[str, Op] = {}
    for module in sorted(info.name for info in iter_modules(__path__)):
        op = getattr(import_module(f"{__name__}.{module}"), "OP", None)
        if isinstance(op, Op):
            found |= {o.name: o for o in (op, *op.companions)}
    return found


OPS: dict[str, Op] = _collect()
STEPS: dict[str, Op] = {name: op for name, op in OPS.items() if op.step}
