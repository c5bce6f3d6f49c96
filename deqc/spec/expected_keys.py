"""Unknown and missing keys of a mapping, told together: a key that was probably misspelt is not also missing."""

from __future__ import annotations

from dataclasses import dataclass, field

from deqc.diagnostics import Problems
from deqc.fields import Kind
from deqc.ops import STEPS
from deqc.ops.base import Op
from deqc.spec import availability
from deqc.spec.aliases import said_of_weights
from deqc.spec.kinds import useless
from deqc.spec.misplaced import elsewhere
from deqc.spec.names import did_you_mean
from deqc.spec.places import Path, covered, entry_at, example
from deqc.spec.tree import Entry, Mapping, Scalar

# Sizes that other libraries ask for and deqc infers.
_INFERRED = frozenset({"in_features", "in_channels", "num_features", "num_channels", "normalized_shape"})
_SETTINGS = frozenset({"solver", "adjoint", "jacobian_regularization"})
_ACTIVATIONS = frozenset({"activation", "act", "nonlinearity", "act_fn"})


@dataclass
class Keys:
    """The keys of the mapping at `path`: those the schema has there, those that stand there, those it requires."""

    root: Mapping
    path: Path
    node: Mapping
    allowed: list[str]
    required: list[str]
    problems: Problems
    written: set[str] = field(init=False)
    missing: list[str] = field(init=False)
    op: Op | None = field(init=False)  # where the keys are the fields of a step

    def __post_init__(self) -> None:
        self.written = {entry.name for entry in self.node}
        self.missing = [name for name in self.required if name not in self.written]
        op = STEPS.get(self.owner)
        # a field that is only missing is told without those that are allowed
        self.op = op if op is not None and self.allowed in ([], [one.name for one in op.fields]) else None

    @property
    def owner(self) -> str:
        """What the keys belong to, in words."""
        return str(self.path[-1]) if self.path else "a spec"

    def report(self, closed: bool) -> None:
        """Adds a diagnostic for each cause; `closed` where no other keys are allowed."""
        strange = [entry for entry in self.node if closed and entry.name not in self.allowed]
        if self.op is not None and len(strange) > 1 and all(entry.name in STEPS for entry in strange):
            strange = strange[:1]  # a mapping where a list of steps is meant: one mistake
        if self.allowed[:1] == ["shape"] and (sizes := self._sizes(strange)):
            hint = f"a shape is a list of sizes: write `[{sizes}]`"
            message = f"{self.owner} has no {self._word()} '{strange[0].name}'"
            self.problems.add("E020", strange[0].key.span, message, hint=hint)
            return
        for entry in strange:
            self._unknown(entry)
        if self.node.whole and self.missing:
            self._missing(self.missing)

    def _unknown(self, entry: Entry) -> None:
        if covered(self.problems, entry.key.span):  # a key without a value: what was meant by it may be anything
            self.missing = []
            return
        if self.path == ("solver", "eval") and entry.name in useless(self.root):
            return  # that is told with the kind of the model
        instead = elsewhere(self.root, self.path, entry.name, self.allowed)
        if instead is None and availability.is_planned_key(self.path, entry.name, self.op is not None):
            if not availability.follows_from_method(self.root, self.path):
                self.problems.add("E025", entry.key.span, availability.not_available(entry.name))
            return
        hint = instead or self._hint(entry.name)
        if instead is not None:
            self.missing = []  # what was meant may be what is missing
        expected = f"one of {', '.join(self.allowed)}" if hint is None and self.allowed else None
        message = f"{self.owner} has no {self._word()} '{entry.name}'"
        self.problems.add("E020", entry.key.span, message, expected=expected, hint=hint)

    def _hint(self, name: str) -> str | None:
        """What to write instead; what it provides is no longer missing."""
        if self.op is not None and name in _INFERRED:
            return "it follows from the value that the step is given: remove it"
        said = said_of_weights(name)
        if said is not None and said.partition(":")[0] in self.allowed:
            return f"write `{said}`"
        near = did_you_mean(name, [one for one in self.allowed if one not in self.written])
        if near == "atol" and name.startswith("tol") and self.owner == "linear_solver":
            near = "rtol"  # what a single tolerance of a linear solver means
        if near is not None:
            self.missing = [one for one in self.missing if one != near]
            return f"did you mean '{near}'?"
        if self.allowed == ["each"]:
            self.missing = []
            return "write a list with one computation for each scale, or `{each: …}`"
        if self.op is not None and name in _ACTIVATIONS:
            return "an activation is a step of its own, behind this one"
        if self.op is None or self.op.principal is None:
            return None
        kind = next(one.kind for one in self.op.fields if one.name == self.op.principal)
        if kind not in (Kind.COMPUTATION, Kind.BRANCHES):
            return None
        self.missing = [one for one in self.missing if one != self.op.principal]
        return f"write `[{{{name}: …}}]`" if kind is Kind.COMPUTATION else f"write `[{{{name}: …}}, …]`"

    def _sizes(self, strange: list[Entry]) -> str:
        """The sizes that are written under names of their own; empty where something else is written, too."""
        texts = [one.value.text for one in strange if isinstance(one.value, Scalar) and type(one.value.value) is int]
        return ", ".join(texts) if len(texts) == len(self.node.entries) else ""

    def _missing(self, names: list[str]) -> None:
        """One diagnostic for the fields of a step, which are mended at once; one for each section or key."""
        entry = entry_at(self.root, self.path)
        first = self.node.entries[0].key.span if self.node.entries else self.node.span
        span = first if entry is None else entry.key.span
        if self.op is not None:
            listed = " and ".join(filter(None, (", ".join(f"'{one}'" for one in names[:-1]), f"'{names[-1]}'")))
            shortest = f"write `{example(self.owner, self.required)}`"
            self.problems.add("E021", span, f"{self.owner} needs {listed}", hint=shortest)
            return
        for name in names:
            message, hint = f"{self.owner} needs '{name}'", None
            if self.path == () and name == "scale":
                message, hint = "a spec needs 'scale' or 'scales'", "write the shape of the state: `scale: [64]`"
            self.problems.add("E021", span, message, hint=hint)

    def _word(self) -> str:
        if self.op is not None:
            return "field"
        return "section" if self.path == () else "setting" if self.path[0] in _SETTINGS else "key"
