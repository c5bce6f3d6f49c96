"""Statements that read the sizes which are known at the call only: `N = w.u.shape[1]`, `H, W = x.shape[-2:]`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from deqc.ir.graph import Node
from deqc.ir.sizes import axes
from deqc.ops.code import Code, flat

Lines = tuple[str, ...]


def used(texts: Iterable[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the names that the expressions read."""
    if not names:
        return ()
    nodes = (node for text in texts for node in ast.walk(ast.parse(text, mode="eval")))
    read = {node.id for node in nodes if isinstance(node, ast.Name)}
    return tuple(name for name in names if name in read)


def statements(names: tuple[str, ...], sources: Mapping[Node, Code]) -> Lines:
    """One statement for the last axes of a tensor, or one a size."""
    groups: dict[Node, list[str]] = {}
    for name in names:
        groups.setdefault(next(node for node in sources if name in axes(node.type)), []).append(name)
    lines: list[str] = []
    for node, group in groups.items():
        shape, places = f"{flat(sources[node])}.shape", [axes(node.type)[name] for name in group]
        rank = node.type.rank + node.type.batched
        if len(group) > 1 and places == list(range(rank - len(group), rank)):
            lines.append(f"{', '.join(group)} = {shape}[-{len(group)}:]")
        else:
            lines += [f"{name} = {shape}[{place}]" for name, place in zip(group, places, strict=True)]
    return tuple(lines)
