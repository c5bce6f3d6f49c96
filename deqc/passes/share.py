"""Common subexpressions: two pure nodes with the same op, operands and constants are one.

Nodes that draw random numbers are never shared.
"""

from __future__ import annotations

from deqc.ir.builder import Builder, counted, noted, rebuild
from deqc.ir.graph import Node, Program


def share(program: Program) -> Program:
    """The program with equal values computed once."""
    shared = rebuild(program, _copy, share=True)
    gone = len(program.nodes) - len(shared.nodes)
    return noted(shared, f"share: {counted(gone, 'value')} equal to another") if gone else shared


def _copy(builder: Builder, node: Node, operands: tuple[Node, ...]) -> Node:
    return builder.copy(node, operands)
