"""Paths into the tree, what stands there, and whether a mistake there has been told already."""

from __future__ import annotations

from deqc.diagnostics import Problems, Span
from deqc.spec.tree import Entry, Mapping, Node, Sequence

Path = tuple[str | int, ...]


def node_at(root: Node, path: Path) -> Node:
    """The node that a path leads to."""
    node = root
    for part in path:
        if isinstance(node, Mapping):
            found = node.get(str(part))
            assert found is not None, "the path was made from this tree"
            node = found
        else:
            assert isinstance(node, Sequence), "the path was made from this tree"
            node = node.items[int(part)]
    return node


def entry_at(root: Mapping, path: Path) -> Entry | None:
    """The innermost `key: value` on the path; None for the document itself."""
    for length in range(len(path), 0, -1):
        parent = node_at(root, path[: length - 1])
        if isinstance(parent, Mapping):
            return parent.entry(str(path[length - 1]))
    return None


def shown(node: Node) -> str:
    """What stands there, for a message: scalars as written, collections by their kind and size."""
    if isinstance(node, Sequence):
        count = len(node.items)
        return "an empty list" if count == 0 else "a list of one" if count == 1 else f"a list of {count}"
    if isinstance(node, Mapping):
        keys = [entry.name for entry in node]
        return (
            f"a mapping with {', '.join(map(repr, keys[:3]))}{', …' if len(keys) > 3 else ''}"
            if keys
            else "an empty mapping"
        )
    text = node.text if len(node.text) <= 40 else f"{node.text[:40]}…"
    return f"'{text}'" if isinstance(node.value, str) else "null" if node.value is None else text


def example(name: str, fields: list[str]) -> str:
    """How a step with these fields is written."""
    return f"{{{name}: {{{', '.join(f'{field}: …' for field in fields)}}}}}"


def covered(problems: Problems, span: Span) -> bool:
    """Whether something within this place has been reported already."""
    start, end = (span.line, span.column), (span.end_line, span.end_column)
    return any(
        d.span.file == span.file
        and start <= (d.span.line, d.span.column)
        and (d.span.end_line, d.span.end_column) <= end
        for d in problems.found
    )
