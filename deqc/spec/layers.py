"""The sections that hold one entry a scale; the position decides how a list is read, never its contents."""

from __future__ import annotations

from dataclasses import dataclass

from deqc.diagnostics import Related, Span
from deqc.ops import STEPS
from deqc.settings import MOST_SCALES
from deqc.spec.computations import computation
from deqc.spec.model import Computation, Initial, Output, Step
from deqc.spec.names import check_name, did_you_mean
from deqc.spec.places import covered
from deqc.spec.reader import Reader
from deqc.spec.tree import Entry, Mapping, Node, Scalar, Sequence, is_null

Entries = tuple["Computation | None", ...]
Matrix = tuple[Entries, ...]


class BrokenError(Exception):
    """Something could not be read; a diagnostic says what."""


@dataclass(frozen=True)
class Layers:
    """Reads the sections of a spec with so many scales; `single` where the spec says `scale`."""

    reader: Reader
    count: int
    single: bool
    scales: Span  # of the key `scale` or `scales`
    certain: bool = True  # whether each entry of `scales` is a shape

    def main(self, entry: Entry | None) -> tuple[Computation, ...]:
        """The main layers; raises BrokenError."""
        if entry is None:
            raise BrokenError
        if self.single:
            return (self._read(entry.value),)
        return tuple(self._read(one) for one in self._per_scale(entry))

    def mapping(self, entry: Entry | None) -> Matrix:
        """The matrix of mapping layers, a rule written out; raises BrokenError."""
        if self.count > MOST_SCALES:  # the schema has spoken
            raise BrokenError
        node = None if entry is None else entry.value
        if entry is None or node is None or is_null(node) or self.single:
            return self._rule(_identity(self.scales), None, None)
        if isinstance(node, Mapping):
            same, down, up = (node.get(name) for name in ("same", "down", "up"))
            diagonal = _identity(entry.key.span) if same is None else self._read(same)
            return self._rule(diagonal, *(None if one is None else self._optional(one) for one in (down, up)))
        if not isinstance(node, Sequence):
            raise BrokenError
        rows_hint = "a row holds the layers out of one scale, one entry for each scale that they lead to"
        self._counted(len(node.items), entry, "row", "rows", rows_hint)
        lengths = {len(row.items) if isinstance(row, Sequence) else 0 for row in node.items}
        square = lengths == {len(node.items)}  # for another number of scales: one mistake
        for index, row in enumerate(node.items):
            if isinstance(row, Sequence) and len(row.items) != self.count and self.certain and not square:
                self._wrong_row(entry, row, index)
        rows = [row.items if isinstance(row, Sequence) else () for row in node.items]
        return tuple(tuple(self._optional(one) for one in row) for row in rows)

    def post_fuse(self, entry: Entry | None) -> Entries | None:
        """The post-fuse layers, None where there are none; raises BrokenError."""
        if entry is None or is_null(entry.value):
            return None
        if self.single:
            raise BrokenError
        return tuple(self._optional(one) for one in self._per_scale(entry))

    def initial(self, entry: Entry | None) -> Initial:
        """Where the solve starts; raises BrokenError."""
        if entry is None:
            return Initial("zeros", (), None)
        node = entry.value
        if isinstance(node, Scalar) and node.value in ("zeros", "step"):
            return Initial(str(node.value), (), node.span)
        if isinstance(node, Scalar) and self._misspelt(node):
            raise BrokenError
        entries = (self._read(node),) if self.single else tuple(self._optional(one) for one in self._per_scale(entry))
        return Initial("chains", entries, node.span)

    def _misspelt(self, node: Scalar) -> bool:
        """Whether a single word is none of the steps but nearly a way to start; says so."""
        word = node.value
        if not isinstance(word, str) or word in STEPS or word in self.reader.signatures:
            return False
        near = did_you_mean(word, ("zeros", "step"))
        if near is not None and not covered(self.reader.problems, node.span):
            self.reader.problems.add("E042", node.span, f"there is no step '{word}'", hint=f"did you mean '{near}'?")
        return near is not None

    def head(self, entry: Entry | None) -> tuple[Output, ...]:
        """The outputs, none where it is the state; raises BrokenError."""
        if entry is None:
            return ()
        if not isinstance(entry.value, Mapping):
            return (Output(None, self._read(entry.value)),)
        for one in entry.value:
            if one.name in STEPS:  # the schema has spoken
                raise BrokenError
            check_name(one.name, one.key.span, "an output", self.reader.problems, path=True, member=True)
        return tuple(Output(one.name, self._read(one.value)) for one in entry.value)

    def _per_scale(self, entry: Entry) -> tuple[Node, ...]:
        """One entry for each scale, checked for their number."""
        node = entry.value
        if isinstance(node, Mapping):
            each = node.get("each")
            if each is None:
                raise BrokenError
            return (each,) * self.count
        if not isinstance(node, Sequence):
            raise BrokenError
        if node.items:
            chain_hint = "under `scales:` a list holds one computation a scale; a chain is a list inside it"
            self._counted(len(node.items), entry, "entry", "entries", chain_hint)
        return node.items

    def _read(self, node: Node) -> Computation:
        return computation(node, self.reader)

    def _optional(self, node: Node) -> Computation | None:
        return None if is_null(node) else self._read(node)

    def _rule(self, same: Computation, down: Computation | None, up: Computation | None) -> Matrix:
        scales = range(self.count)
        return tuple(tuple(same if to == start else down if to > start else up for to in scales) for start in scales)

    def _counted(self, found: int, entry: Entry, one: str, many: str, hint: str) -> None:
        """Reports a wrong number of entries at the key, unless the number of scales is itself in doubt."""
        if found != self.count and self.certain:
            message = f"{entry.name} has {_counted(found, one, many)} for {_counted(self.count, 'scale', 'scales')}"
            related = [Related(self.scales, "the scales")]
            self.reader.problems.add("E026", entry.key.span, message, hint=hint, related=related)

    def _wrong_row(self, entry: Entry, row: Sequence, index: int) -> None:
        message = (
            f"row {index} of {entry.name} has {_counted(len(row.items), 'entry', 'entries')} for {self.count} scales"
        )
        related = [Related(entry.key.span, "in this matrix"), Related(self.scales, "the scales")]
        self.reader.problems.add("E026", row.span, message, hint="null is no connection", related=related)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _identity(span: Span) -> Computation:
    return Computation((Step("identity", {}, span, span),), span)
