"""What goes with the kind of a model: an equilibrium, or a neural ODE."""

from __future__ import annotations

from typing import Final

from deqc.diagnostics import Problems, Span
from deqc.settings import NEURAL_ODE
from deqc.solvers import ADJOINTS, SOLVERS
from deqc.solvers.flow import OF_REST
from deqc.spec.tree import Mapping, Scalar

_HAS_NO_USE: Final = {
    "termination": "it ends at time.stop, whatever f(z) - z is",
    "mask": "it ends at time.stop, whatever f(z) - z is",
    "compaction": "its samples end together",
    "record": "time.saveat says at which times its states are kept",
    "precision": "every step of it is part of the result",
    "steady_state": "its steps are held to the tolerances for z",
    "interval": "time.start and time.stop say how long it is",
}


def check_kind(root: Mapping, kind: str, problems: Problems) -> None:
    """A diagnostic at each setting that has no use in this kind of model."""
    lasts = kind == NEURAL_ODE
    if not lasts and (entry := root.entry("time")) is not None:
        message = "`time` is of a neural ODE, and this is an equilibrium"
        problems.add("E084", entry.key.span, message, hint="write `kind: neural_ode`, or remove it")
    _check_solver(root, lasts, problems)
    _check_adjoint(root, kind, problems)
    if lasts and (entry := root.entry("jacobian_regularization")) is not None:
        message = "jacobian_regularization is of an equilibrium, and this is a neural ODE"
        problems.add("E084", entry.key.span, message, hint="remove it")


def useless(root: Mapping) -> dict[str, str]:
    """The settings of the solver that this neural ODE has no use for, with the reasons; empty for an equilibrium.

    Also empty where the method is none of a neural ODE's: that is told, and may be what is mistaken for all of them.
    """
    kind = root.get("kind")
    if not isinstance(kind, Scalar) or kind.value != NEURAL_ODE:
        return {}
    method, _ = _name(root, "solver") or ("auto", root.span)
    if method in SOLVERS and NEURAL_ODE not in SOLVERS[method].kinds:
        return {}
    own = SOLVERS[method].defaults if method in SOLVERS else {}
    return {name: why for name, why in _HAS_NO_USE.items() if name in own or name not in OF_REST}  # else that is told


def _check_solver(root: Mapping, lasts: bool, problems: Problems) -> None:
    if not lasts:
        return
    method, span = _name(root, "solver") or ("auto", root.span)
    if method in SOLVERS and NEURAL_ODE not in SOLVERS[method].kinds:
        message = f"{method} solves z = f(z), and a neural ODE is integrated"
        hint = "use tsit5 or another ODE solver, or write `kind: deq`"
        problems.add("E084", span, message, hint=hint)
    reasons, section = useless(root), root.get("solver")
    evaluation = section.get("eval") if isinstance(section, Mapping) else None
    for written in (section, evaluation):
        for entry in written if isinstance(written, Mapping) else ():
            if entry.name in reasons:
                message = f"a neural ODE has no use for {entry.name}: {reasons[entry.name]}"
                problems.add("E084", entry.key.span, message, hint="remove it")


def _check_adjoint(root: Mapping, kind: str, problems: Problems) -> None:
    if (name := _name(root, "adjoint")) is None:
        return
    method, span = name
    if method in ADJOINTS and kind not in ADJOINTS[method].kinds:
        what = "a neural ODE" if kind == NEURAL_ODE else "an equilibrium"
        others = ", ".join(one.name for one in ADJOINTS.values() if kind in one.kinds)
        problems.add("E084", span, f"the adjoint {method} is not one of {what}", expected=others)


def _name(root: Mapping, section: str) -> tuple[str, Span] | None:
    node = root.get(section)
    if isinstance(node, Mapping):
        node = node.get("method")
    return (node.value, node.span) if isinstance(node, Scalar) and isinstance(node.value, str) else None
