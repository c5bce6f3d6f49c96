"""Proves from the form of f that df/dz is symmetric, as that of the gradient of an energy.

Symmetric are diagonal Jacobians and that of a softmax, sums of symmetric ones and multiples by a number, and Wᵀ S W
with a symmetric S: f = Wᵀ g(W z) where g's is one (modern Hopfield networks have that form, Ramsauer et al. 2021). What
is not of this form may be symmetric all the same: that is for the spec to say.
"""

from __future__ import annotations

from math import prod

from deqc.ir.graph import Node, Program, depends, reachable
from deqc.ops import OPS


def is_symmetric(program: Program) -> bool:
    """Whether df/dz is known to be symmetric."""
    root, leaf = program.f, program.state
    if len(program.scales) > 1:
        return False
    if root.op == "pack":  # one scale of several axes: the same numbers in another order
        (root,) = root.operands
        leaves = [n for n in program.nodes if n.op == "unpack" and n.operands[0] is leaf]
        if len(leaves) != 1:
            return False
        (leaf,) = leaves
    return _Of(program.nodes, leaf).symmetric(root)


class _Of:
    """What is known of derivatives with respect to one value."""

    def __init__(self, nodes: tuple[Node, ...], leaf: Node) -> None:
        self.nodes, self.leaf = nodes, leaf
        self.moving = depends(nodes, leaf)

    def symmetric(self, node: Node) -> bool:
        """Whether the Jacobian is symmetric."""
        if self.diagonal(node):
            return True
        match node.op:
            case "softmax":
                return self.multiple(node.operands[0])
            case "times" | "plus":
                return self.symmetric(node.operands[0])
            case "sum" | "mul" if (whole := self._whole(node)) is not None:
                return all(map(self.symmetric, whole)) and (node.op == "sum" or self._scaled(node))
            case "linear":
                return self._between(node)
        return False

    def diagonal(self, node: Node) -> bool:
        """Whether every entry depends on that entry of the value alone."""
        if node is self.leaf or node not in self.moving:
            return True
        if OPS[node.op].elementwise or node.op == "detach":
            return self.diagonal(node.operands[0])
        whole = self._whole(node) if node.op in ("sum", "mul") else None
        return whole is not None and all(map(self.diagonal, whole))

    def multiple(self, node: Node) -> bool:
        """Whether the Jacobian is the identity times a number."""
        if node is self.leaf or node not in self.moving:
            return True
        if node.op in ("times", "plus"):
            return self.multiple(node.operands[0])
        whole = self._whole(node) if node.op in ("sum", "mul") else None
        return whole is not None and all(map(self.multiple, whole)) and (node.op == "sum" or self._scaled(node))

    def _whole(self, node: Node) -> list[Node] | None:
        """The operands that depend on the value; None where one of them is repeated to the shape of the result."""
        found = [one for one in node.operands if one in self.moving]
        return found if all(one.type.shape == node.type.shape for one in found) else None

    def _scaled(self, node: Node) -> bool:
        """Whether a product is of one operand that depends on the value, and of numbers."""
        others = [one for one in node.operands if one not in self.moving]
        return len(others) == len(node.operands) - 1 and all(prod(one.type.shape) == 1 for one in others)

    def _between(self, node: Node) -> bool:
        """Whether it is Wᵀ g(W x + b) + c, where x is a multiple of the value and g has a symmetric Jacobian."""
        inner, weight, *bias = node.operands
        if any(one in self.moving for one in (weight, *bias)):
            return False
        for first in reachable((inner,)):
            if first.op != "linear" or not _transposed(first.operands[1], weight):
                continue
            x, *others = first.operands
            passed_by = self.leaf in reachable((inner,), frozenset({first}))
            if self.multiple(x) and self.moving.isdisjoint(others) and not passed_by:
                return _Of(self.nodes, first).symmetric(inner)
        return False


def _transposed(one: Node, other: Node) -> bool:
    """Whether the matrices are each other's transpose, as the spec wrote them."""
    return any(b.op == "permute" and b.operands[0] is a and b.type.rank == 2 for a, b in ((one, other), (other, one)))
