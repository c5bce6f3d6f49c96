"""Small dense scales run as one vector: superword parallelism over the scales (Larsen & Amarasinghe 2000).

    [φ(A z_0); φ(B z_1)]  =  φ(blockdiag(A, B) z)

The packed state is taken apart nowhere: each list of values, one a scale, becomes one value. Mappings into a target
are aligned with those into the other targets, so that they too become block matrices. A program that does not align,
or whose block matrices would cost more than 50,000 multiply-adds a sample, stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deqc.ir.builder import Builder, noted, pruned
from deqc.ir.graph import Node, Program, body, depends
from deqc.ops import OPS
from deqc.types import named

LIMIT = 50_000  # multiply-adds a sample, above which zeros in block matrices cost more than calls


def pack(program: Program) -> Program:
    """The program on the packed state, if its scales are small, dense and alike."""
    if (
        len(program.scales) < 2
        or program.f.op != "pack"
        or any(len(s.shape) != 1 or named(s.stop) for s in program.scales)
    ):
        return program
    try:
        vectors = _Vectors(program)
        if len(program.hidden) == len(program.scales):
            vectors.place(program.hidden)
        f = vectors.join(program.f.operands)
    except _UnlikeError as unlike:
        return noted(program, f"pack: the scales stay apart, {unlike}")
    packed = pruned(replace(program, nodes=tuple(vectors.builder.nodes), f=f, hidden=()))
    cost = sum(OPS[n.op].flops(n.attributes, [o.type for o in n.operands], n.type) for n in body(packed)) // 2
    if cost > LIMIT:
        return noted(program, f"pack: the scales stay apart, packed they would cost {cost} multiply-adds a sample")
    return noted(packed, f"pack: {len(program.scales)} scales run as one vector of {program.size} numbers")


class _UnlikeError(Exception):
    """The values of the scales are not made alike."""


class _Vectors:
    """Joins lists of values, one a scale, into single values."""

    def __init__(self, program: Program) -> None:
        self.builder = Builder()
        self.builder.adopt(program.nodes)
        self.moving = depends(program.nodes, program.state)
        self.widths = [s.stop - s.start for s in program.scales]
        self.starts = [s.start for s in program.scales]
        self.homes: dict[Node, tuple[Node, int]] = {}  # the vector a value is part of, and where it begins
        self.made: dict[Any, Node] = {}
        for node in program.nodes:
            if node.op == "unpack" and node.operands[0] is program.state:
                self.homes[node] = program.state, node.attributes["start"]

    def join(self, values: tuple[Node | None, ...]) -> Node:
        """The vector whose parts are these values; None is zeros."""
        key = tuple(map(id, values))
        if key not in self.made:
            self.made[key] = self._join(values)
            for value, start in zip(values, self.starts, strict=True):
                if value is not None:
                    self.homes.setdefault(value, (self.made[key], start))
        return self.made[key]

    def place(self, values: tuple[Node, ...]) -> None:
        """Joins values that are read as parts of one vector: mappings read h_i there, whatever h_i is made of."""
        vector = self.join(values)
        self.builder.name(vector, "h")
        self.homes.update({value: (vector, start) for value, start in zip(values, self.starts, strict=True)})

    def _join(self, values: tuple[Node | None, ...]) -> Node:
        present = [v for v in values if v is not None]
        if any(v is not None and v.type.shape != (w,) for v, w in zip(values, self.widths, strict=True)):
            raise _UnlikeError("a value differs in size from its scale")
        homes = [self.homes.get(v) if v is not None else None for v in values]
        vectors = {id(h[0]) for h in homes if h is not None}
        if len(vectors) == 1 and all(h is not None and h[1] == s for h, s in zip(homes, self.starts, strict=True)):
            home = homes[0]
            assert home is not None
            return home[0]
        if not any(v in self.moving for v in present):
            return self._still(values)
        if any(v.op == "sum" for v in present):
            return self._sum(values)
        first = present[0]
        alike = all(v.op == first.op and _constants(v) == _constants(first) for v in present)
        if alike and OPS[first.op].elementwise:
            if len(present) < len(values) and not OPS[first.op].zero_preserving:
                raise _UnlikeError(f"{first.op} of nothing is not nothing")
            inner = self.join(tuple(v.operands[0] if v is not None else None for v in values))
            return self.builder.make(first.op, inner, **first.attributes, span=first.span)
        if all(v.op == "linear" for v in present):
            return self._linear(values)
        raise _UnlikeError(f"{' and '.join(dict.fromkeys(v.op for v in present))} do not align")

    def _still(self, values: tuple[Node | None, ...]) -> Node:
        """Values without z: side by side, zeros between them."""
        present = [v for v in values if v is not None]
        if len({v.type.batched for v in present}) != 1:
            raise _UnlikeError("what is added to the scales differs in kind")
        batched = present[0].type.batched
        if len(present) == 1:
            k = next(k for k, v in enumerate(values) if v is not None)
            before, after = self.starts[k], sum(self.widths[k + 1 :])
            return self.builder.make("pad", present[0], dim=0, before=before, after=after, batched=batched)
        parts = [
            v if v is not None else self.builder.make("zeros", present[0], shape=(width,), batched=batched)
            for v, width in zip(values, self.widths, strict=True)
        ]
        return self.builder.make("concat", *parts, dim=0, batched=batched)

    def _linear(self, values: tuple[Node | None, ...]) -> Node:
        """Products that read parts of one vector: a block matrix."""
        present = [(k, v) for k, v in enumerate(values) if v is not None]
        sources = tuple(v.operands[0] if v is not None else None for v in values)
        if any(s is not None and s not in self.homes for s in sources):
            self.join(sources)
        homes = [self.homes.get(v.operands[0]) for _, v in present]
        if any(h is None for h in homes) or len({id(h[0]) for h in homes if h}) != 1:
            raise _UnlikeError("products read values that are not of one vector")
        source = next(h[0] for h in homes if h)
        weights = [v.operands[1] for _, v in present]
        weight = self.builder.make(
            "rows",
            *weights,
            tops=tuple(self.starts[k] for k, _ in present),
            lefts=tuple(h[1] for h in homes if h),
            height=sum(self.widths),
            width=source.type.shape[0],
        )
        bias = []
        if any(len(v.operands) == 3 for _, v in present):
            bias = [self.join(tuple(v.operands[2] if v is not None and len(v.operands) == 3 else None for v in values))]
        out = sum(self.widths)
        return self.builder.make("linear", source, weight, *bias, out=out, bias=bool(bias), span=present[0][1].span)

    def _sum(self, values: tuple[Node | None, ...]) -> Node:
        """Sums, term by term: terms that are made alike stand in one list."""
        terms = [() if v is None else v.operands if v.op == "sum" and v not in self.homes else (v,) for v in values]
        lists: dict[Any, list[list[Node | None]]] = {}
        for k, row in enumerate(terms):
            seen: dict[Any, int] = {}
            for term in row:
                key = self._form(term, k)
                number = seen.get(key, 0)
                seen[key] = number + 1
                found = lists.setdefault(key, [])
                if number == len(found):
                    found.append([None] * len(values))
                found[number][k] = term
        rows = [tuple(row) for found in lists.values() for row in found]
        if values in rows:
            raise _UnlikeError("parts of different vectors are added")
        joined = [self.join(row) for row in rows]
        if len(joined) == 1:
            return joined[0]
        return self.builder.make("sum", *joined)

    def _form(self, term: Node, k: int) -> Any:
        """What two terms must share to stand in one list."""
        home = self.homes.get(term)
        if home is not None and home[1] == self.starts[k]:
            return "part", id(home[0])
        if term not in self.moving:
            return "still", term.type.batched
        return term.op, _constants(term), self._form(term.operands[0], k) if OPS[term.op].elementwise else ()


def _constants(node: Node) -> Any:
    if node.op == "linear":
        return ()
    return tuple(sorted((k, repr(v)) for k, v in node.attributes.items()))
