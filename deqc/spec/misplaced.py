"""Keys that are right in another place, and keys of which a spec says nothing: where to write them instead."""

from __future__ import annotations

from typing import Final

from deqc.ops import STEPS
from deqc.settings import LINEAR, SECTIONS
from deqc.solvers import SOLVERS, Iteration
from deqc.spec.aliases import meant
from deqc.spec.places import Path
from deqc.spec.tree import Mapping, Scalar

_SECTIONS: Final = frozenset(section.name for section in SECTIONS)
_OF_LINEAR_SOLVERS: Final = tuple(one.name for one in LINEAR)
_CODE: Final = "a spec describes the model alone: this belongs to the code that trains it"
_OUTSIDE: Final = {
    **dict.fromkeys(("device", "dtype"), "a spec leaves that open: move the module, `model.to(…)`"),
    **dict.fromkeys(("optimizer", "training", "train", "dataset", "data", "lr", "epochs", "batch_size", "seed"), _CODE),
}
_LINEAR: Final = frozenset(one.name for one in SOLVERS.values() if isinstance(one, Iteration) and one.linear)
_INNER: Final = {"linear_rtol": "rtol", "linear_steps": "max_steps", "memory": "memory"}
_BACKWARD: Final = frozenset({"b_solver", "b_max_iter", "b_tol", "b_thres", "b_eps"})
_DERIVATIVES: Final = frozenset({"ift", "hook_ift", "grad", "implicit_diff", "sensealg"})


def elsewhere(root: Mapping, path: Path, name: str, allowed: list[str]) -> str | None:
    """Where a key belongs that does not belong into the mapping at `path`, where `allowed` may stand."""
    if path == ():
        return _OUTSIDE.get(name)
    if path == ("solver",) and name in _BACKWARD:
        return "how the backward solve is done stands in `adjoint`: `adjoint: {linear_solver: …}`"
    if path in (("solver",), ("solver", "eval")) and name in _INNER and _solves(root, "solver"):
        return f"it is a setting of the linear solver: `linear_solver: {{{_INNER[name]}: …}}`"
    if path == ("solver",) and name in _DERIVATIVES:
        return "how derivatives are taken stands in `adjoint`"
    if path == ("adjoint",) and name != "steps" and _solves(root, "adjoint"):
        setting = name if name in _OF_LINEAR_SOLVERS else meant(name.removeprefix("b_"), _OF_LINEAR_SOLVERS)
        if setting is not None:
            return f"it is a setting of the linear solver: `linear_solver: {{{setting}: …}}`"
    if (path[-1] == "eval" or path[-2:] == ("eval", "linear_solver")) and name == "method":
        return "the method is the same in both modes"
    if path[0] in ("solver", "adjoint") and name in _SECTIONS:
        return f"`{name}` is a section of its own, at the start of a line"
    if "down" in allowed and name == "each":
        return "`each` is for sections of one entry a scale; a rule is `{down: …, up: …}`"
    if path[0] == "blocks" and "body" in allowed and name in STEPS:
        return f"a body of one step is a list of one: write `[{{{name}: …}}]`"
    return None


def _solves(root: Mapping, name: str) -> bool:
    """Whether the method of the section solves linear systems."""
    section = root.get(name)
    method = section.get("method") if isinstance(section, Mapping) else None
    chosen = method.value if isinstance(method, Scalar) else "implicit" if method is None else None
    return chosen == "implicit" if name == "adjoint" else chosen in _LINEAR
