"""Names that the language has and this version of deqc does not offer yet: they are not called unknown."""

from __future__ import annotations

from deqc.settings import planned
from deqc.solvers import ADJOINTS, SOLVERS
from deqc.spec.places import Path
from deqc.spec.tree import Mapping, Scalar
from deqc.version import __version__

_VALUES = {
    ("kind",): "kind",
    ("solver",): "solver",
    ("solver", "termination"): "termination",
    ("solver", "termination", "mode"): "termination",
    ("solver", "method"): "solver",
    ("adjoint",): "adjoint",
    ("adjoint", "method"): "adjoint",
    ("adjoint", "linear_solver"): "linear_solver",
    ("adjoint", "linear_solver", "method"): "linear_solver",
}
_KEYS = {(): "section", ("solver",): "solver.option", ("adjoint",): "adjoint.option"}


def not_available(name: str) -> str:
    """The message."""
    return f"'{name}' is not available in deqc {__version__}"


def is_planned_value(path: Path, value: str) -> bool:
    """Whether this word is in the language, as the value at this path."""
    if path[-1] == "parametrize":
        return planned("parametrization", value)
    place = _VALUES.get(tuple(map(str, path)))
    return place is not None and planned(place, value)


def is_planned_key(path: Path, key: str, step: bool) -> bool:
    """Whether this key is in the language, in the mapping at this path; `step` where it is a field of a step."""
    if step:
        return planned("step.option", key)
    if path and path[-1] == "parametrize":
        return planned("parametrization", key)
    place = _KEYS.get(tuple(map(str, path)))
    return place is not None and planned(place, key)


def of_another_method(root: Mapping, path: Path) -> bool:
    """Whether the option at this path is not one of the section's method: that is told, and its value needs no word."""
    table = {"solver": SOLVERS, "adjoint": ADJOINTS}.get(str(path[0])) if len(path) == 2 else None
    if table is None or not any(path[1] in one.defaults for one in table.values()):
        return False
    section = root.get(str(path[0]))
    method = section.get("method") if isinstance(section, Mapping) else None
    name = "auto" if path[0] == "solver" else "implicit"
    if isinstance(method, Scalar) and isinstance(method.value, str):
        name = method.value
    return follows_from_method(root, path[:1]) or (name in table and path[1] not in table[name].defaults)


def follows_from_method(root: Mapping, path: Path) -> bool:
    """Whether the section's method is itself not available: then its options need no word."""
    section = root.get(str(path[0])) if len(path) == 1 else None
    method = section.get("method") if isinstance(section, Mapping) else None
    return (
        isinstance(method, Scalar)
        and isinstance(method.value, str)
        and is_planned_value((*path, "method"), method.value)
    )
