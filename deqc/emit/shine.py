"""What the functions of the adjoint `shine` are given, as lists of names and of typed names."""

from __future__ import annotations

from dataclasses import dataclass

from deqc.emit.plan import Plan

_TYPES = {"m": "Operators", "settings": "Settings", "w": "Weights"}  # all else is a tensor


@dataclass(frozen=True)
class Given:
    """The arguments beside the gradient."""

    learnt: tuple[str, ...]  # the first tensors of the solver's memory
    at: tuple[str, ...]  # where steps that refine are taken
    beside: tuple[str, ...]  # no tensors

    @property
    def of_estimate(self) -> list[str]:
        """`g` and all others, in the order of `_estimate`."""
        return ["g", *self.learnt, *self.at, *self.beside]

    @property
    def typed(self) -> list[str]:
        """The same with their types."""
        return [f"{name}: {_TYPES.get(name, 'Tensor')}" for name in self.of_estimate]

    @property
    def beside_typed(self) -> list[str]:
        """Those that are no tensors, with their types."""
        return [f"{name}: {_TYPES[name]}" for name in self.beside]

    @property
    def in_backward(self) -> list[str]:
        """How the backward pass of a Function calls those of `_estimate`."""
        weights = {"w": "Weights(*p)", "g": "grads[0]"}
        inside = [weights.get(name, name) for name in ("g", *self.learnt, *self.at)]
        return [*inside, *(f"ctx.{name}" for name in self.beside)]


def shine(plan: Plan) -> Given:
    """What they are given in this module: settings only where eval mode has another number that they read."""
    limited = plan.solver.method == "limited_memory_broyden"
    refines = plan.adjoint.refines
    read = {"alpha"} if limited or refines else set()
    read |= {"resets"} if refines else set()
    settings = ("settings",) if read & {one.name for one in plan.solver.settings} else ()
    operators = ("m",) if plan.operators and refines else ()
    return Given(
        learnt=("left", "right", "count") if limited else ("inverse",),
        at=("z", "w") if refines else (),
        beside=(*operators, *settings),
    )
