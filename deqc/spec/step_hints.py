"""What to write where a computation must stand and something else does: a number, null, a value under a step's name."""

from __future__ import annotations

from deqc.ops import STEPS
from deqc.spec.places import Path
from deqc.spec.tree import Mapping, Node, Scalar

_NOTHING = "`null` is no connection, `zeros` a start from zeros; `identity` changes nothing"


def step_hint(root: Mapping, path: Path, node: Scalar) -> str | None:
    """The hint for a scalar at this path that is no step; None where nothing can be told."""
    value = node.value
    if (named := named_output(root, path)) is not None:
        return named
    if value is None:
        return _instead_of_null(path)
    branch = len(path) > 1 and path[-2] in ("sum", "mul", "of")
    if type(value) is int and value in (0, 1) and not branch:
        return _NOTHING
    if type(value) is int and value > 1 and not branch:
        return f"a layer that returns {value} features is `{{linear: {value}}}`"
    if type(value) in (int, float):
        return f"`{{times: {node.text}}}` multiplies by it, `{{plus: {node.text}}}` adds it"
    return None


def named_output(root: Mapping, path: Path) -> str | None:
    """The hint for a step that is written where names stand, as in `encoder: {linear: 64}`; None if it is none."""
    blocks = root.get("blocks")
    if len(path) != 2 or path[0] not in ("encoder", "head"):
        return None
    name = str(path[1])
    if name not in STEPS and not (isinstance(blocks, Mapping) and blocks.entry(name) is not None):
        return None
    section = root.get(str(path[0]))
    written = _flow(section.get(name)) if isinstance(section, Mapping) else "…"
    step = f"[{{{name}: {written}}}]"
    if path[0] == "head":
        return f"a mapping under head names outputs; one output is a list: `{step}`"
    return f"a mapping under encoder names values: write `{{inject: {step}}}`, and read it as `$inject`"


def _flow(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else "…"


def _instead_of_null(path: Path) -> str:
    if path == ("init",):
        return "write `zeros`, or remove it"
    if len(path) == 1:
        return "remove it"
    if path == ("mapping_layers", "same"):
        return "`down` and `up` may be null; where a scale does not lead to itself, write a matrix"
    return "`identity` changes nothing; `null` stands for a scale that is not connected, not started, or not fused"
