"""What a step comes down to once blocks are looked into: where it may stand, and whether it needs a value before it.

Blocks that use themselves are not among those looked into. What is found of a block is kept: blocks that use one
another several times over would else be walked exponentially often.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field

from deqc.diagnostics import Problems, Related, Span
from deqc.ops import STEPS
from deqc.ops.base import ENCODER, HEAD, INIT, MAIN
from deqc.spec.model import Block, Computation, Module, Reference, Step
from deqc.spec.walk import branching, nested, steps

_PLACES = {MAIN: "the equilibrium", ENCODER: "the encoder", HEAD: "the head", INIT: "`init`"}


@dataclass(frozen=True)
class Placement:
    """Looks into the blocks of a spec."""

    blocks: Map[str, Block]
    names: frozenset[str]  # of the user's modules
    modules: Map[str, Module]  # those that could be read
    problems: Problems
    _ops: dict[str, tuple[Step, ...]] = field(default_factory=dict)
    _starting: dict[str, bool] = field(default_factory=dict)

    def check(self, step: Step, section: str) -> None:
        """Reports the op, or those in the block, that may not stand in this section."""
        for used in self._ops_of(step):
            if used.name in self.modules:
                self._exact(used, step, section)
                continue
            if section in STEPS[used.name].where:
                continue
            if any(one.code == "E048" and one.span == used.span for one in self.problems.found):
                continue  # the block is used elsewhere too
            message = f"'{used.name}' may not stand in {_PLACES[section]}"
            related = [] if used is step else [Related(step.span, "used here")]
            self.problems.add("E048", used.span, message, hint=_remedy(used.name), related=related)

    def _exact(self, used: Step, step: Step, section: str) -> None:
        """Reports a module that may give another result at every call, where f must stay the same."""
        module = self.modules[used.name]
        if section != MAIN or module.deterministic:
            return
        hint = "f must stay the same while it is solved: call it in `encoder` or `head`"
        related = [Related(module.span, "declared here with `deterministic: false`")]
        related += [] if used is step else [Related(step.span, "used here")]
        message = f"'{used.name}' is not deterministic and may not stand in the equilibrium"
        self.problems.add("E048", used.span, message, hint=hint, related=related)

    def branches(self, step: Step) -> bool:
        """Whether what is nested in the step are branches, each of which starts from the incoming value."""
        return bool(step.arguments) if step.name in self.names else branching(step)

    def begins(self, step: Step) -> bool:
        """Whether the step needs no value before it; of branches each is asked for itself."""
        if step.name in self.names:
            return bool(step.arguments)
        if step.name in self.blocks:
            if step.name not in self._starting:
                self._starting[step.name] = self._self_starting(self.blocks[step.name].body)
            return self._starting[step.name]
        op = STEPS.get(step.name)  # none for a step that could not be read
        return op is None or branching(step)

    def restarts(self, step: Step) -> bool:
        """Whether the step reads nothing of the value before it, neither itself nor in what is nested in it."""
        known = step.name in self.names or step.name in self.blocks or step.name in STEPS
        return known and self.begins(step) and all(self._self_starting(one) for one in nested(step))

    def _self_starting(self, computation: Computation) -> bool:
        first = computation.steps[0]
        if isinstance(first, Reference):
            return True
        if self.branches(first):
            return all(self._self_starting(branch) for branch in nested(first))
        return self.begins(first)

    def _ops_of(self, step: Step) -> tuple[Step, ...]:
        """The ops that a step comes down to: itself, or each of those in the block's body once."""
        if step.name not in self.blocks:
            return (step,) if step.name in STEPS or step.name in self.modules else ()
        if step.name not in self._ops:
            found: dict[Span, Step] = {}
            for inner in steps(self.blocks[step.name].body):
                found |= {used.span: used for used in self._ops_of(inner)}
            self._ops[step.name] = tuple(found.values())
        return self._ops[step.name]


def _remedy(name: str) -> str:
    allowed = STEPS[name].where
    if allowed == frozenset({INIT}):
        return "it is for `init` only"
    if name == "dropout":
        return "f must stay the same while it is solved: use `variational_dropout`, which draws one mask a solve"
    if name == "batch_norm":
        return "f must not depend on the batch: use `group_norm` or `layer_norm`"
    return f"it may stand in {', '.join(sorted(_PLACES[one] for one in allowed))}"
