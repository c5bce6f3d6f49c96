"""Names in generated code: from the spec where it gives one, else from what the value is."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from deqc.ir.graph import Node, Program, called_modules, reachable, tensor_name
from deqc.ops.weights import PARAMETRIZATIONS

SECTIONS = {
    "main_layers": "main",
    "mapping_layers": "mapping",
    "post_fuse_layers": "post",
    "encoder": "encoder",
    "head": "head",
    "init": "start",
    "params": "parameter",
}
_TAKEN = {"count", "index"}  # methods of tuple
_COMMON = {
    "sum": "total",
    "mul": "product",
    "slice": "part",
    "abs": "size",
    "exp": "grown",
    "concat": "joined",
    "unpack": "v",
    "pack": "packed",
    "flatten": "row",
    "reshape": "view",
    "times": "scaled",
    "plus": "shifted",
    "linear": "p",
    "bilinear": "p",
    "matmul": "p",
    "split_heads": "heads",
    "join_heads": "joined",
    "causal": "scores",
    "by_key": "scores",
    "by_distance": "g",
    "expand": "spread",
    "permute": "turned",
    "random": "noise",
    "sinusoidal": "positions",
    "reduce": "reduced",
    "reduce_chosen": "chosen",
    "conv1d": "c",
    "conv2d": "c",
    "conv3d": "c",
    "conv_transpose2d": "c",
    "rows": "blocks",
    "dropout_mask": "mask",
    "fold": "folded",
}


class Namer:
    """Gives each value of one block a name of its own."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self._taken = set(reserved)
        self._numbers: dict[str, int] = {}  # the last one given to each wish: names are never free again

    def fresh(self, wish: str) -> str:
        """The wish, or the wish with a number."""
        name, number = wish, self._numbers.get(wish, 0)
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        self._numbers[wish] = number
        return name


def wish(node: Node) -> str:
    """The name a value would like to have."""
    if node.hint:
        return node.hint
    if node.op == "parameter":
        return str(node.attributes["name"])
    if node.op in PARAMETRIZATIONS:
        return "weight"
    if node.op.endswith("_derivative"):
        return f"d_{wish(node.operands[0])}"
    if node.op.endswith("_scale"):
        return "scale"
    if node.op.endswith(("_pull", "_input", "_weight")) or node.op in ("autograd", "sum_to", "tile"):
        return "g"
    if node.op.endswith("_norm"):
        return "normed"
    return _COMMON.get(node.op, "a" if len(node.operands) == 1 else node.op)


def field_names(program: Program) -> dict[Node, str]:
    """The fields of Weights, and of sparse matrices: of a parameter's path the shortest part that tells it apart."""
    leaves = [n for n in program.boundary if n.op == "parameter"]
    names: dict[Node, str] = {}
    namer, operators = Namer(_TAKEN), Namer(_TAKEN | set(called_modules(program)))
    short = _shortest(leaves)
    for node in program.boundary:
        names[node] = (operators if node.type.sparse else namer).fresh(short.get(node) or _field(node))
    return names


def _field(node: Node) -> str:
    if node.hint:
        return node.hint
    below = list(reachable((node,)))
    if any(n.op == "input" for n in below):
        return "inject"
    made_of = {tensor_name(n) for n in below if n.op == "parameter"}
    if len(made_of) == 1:
        turned = "_t" if node.op == "permute" else ""
        return f"{made_of.pop()[1]}{turned}"
    sections = dict.fromkeys(_tokens(n)[0] for n in below if n.op == "parameter")
    name = "_".join(sections) or "constant"
    return f"{name}_bias" if node.type.rank == 1 else name


def _tokens(leaf: Node) -> list[str]:
    section, *rest = leaf.attributes["layer"].split(".")
    return [SECTIONS[section], *rest, leaf.attributes["name"]]


def _shortest(leaves: list[Node]) -> dict[Node, str]:
    """The least detail that tells all parameters apart: the name, its layer, its place, its whole path."""
    rows = [_tokens(leaf) for leaf in leaves]
    details = [
        [t[-1:] for t in rows],
        [t[-2:] for t in rows],
        [[t[0], *takewhile(str.isdigit, t[1:-2]), *t[-2:]] for t in rows],
        rows,
    ]
    names = next(
        (found for d in details if len(set(found := ["_".join(t) for t in d])) == len(rows)),
        ["_".join(t) for t in rows],
    )
    return dict(zip(leaves, names, strict=True))


def origin(node: Node) -> str:
    """Where a weight comes from, in a few words; empty where its name says it."""
    if node.op == "parameter":
        return f"{node.attributes['layer']}.{node.attributes['name']}"
    if node.op == "parameters":
        return f"the parameters of {node.attributes['module']}, flat"
    below = list(reachable((node,)))
    leaves = [n for n in below if n.op == "parameter"]
    if not leaves or any(n.op == "input" for n in below):
        return ""
    made_of = {tensor_name(leaf) for leaf in leaves}
    if len(made_of) == 1:
        return f"from {'.'.join(made_of.pop())}"
    sections = " and ".join(dict.fromkeys(leaf.attributes["layer"].split(".")[0] for leaf in leaves))
    kind = "biases" if node.type.rank == 1 else "weights"
    blocks = " in blocks" if node.op == "rows" else ""
    return f"{len(leaves)} {kind} of {sections}{blocks}"
