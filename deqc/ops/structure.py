"""Steps that are grammar, not arithmetic: `deqc.lower` writes them out, and no node of the IR bears their names."""

from __future__ import annotations

from deqc.ops.base import Op


class Structure(Op):
    """A step that lowering expands."""
