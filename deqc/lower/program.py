"""The sections of a spec, one after the other, into one program."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deqc.diagnostics import Problems, Related, Span
from deqc.ir.builder import Builder
from deqc.ir.graph import Node, Program, Scale, depends, reachable
from deqc.lower.chains import Chains
from deqc.lower.doubts import doubt
from deqc.lower.scope import Absent, Numbers, Scope
from deqc.spec.model import Computation, Spec, Step
from deqc.spec.shapes import shape_fields
from deqc.types import FLOAT, Type, show


def lower(spec: Spec, problems: Problems) -> Program | None:
    """The program that the spec means; None where problems were found."""
    return _Lowering(spec, problems).program()


def _scales(spec: Spec) -> tuple[Scale, ...]:
    scales, start = [], 0
    for shape in spec.scales:
        size = Type(shape.sizes).size
        scales.append(Scale(shape.sizes, start, start + size))
        start += size
    return tuple(scales)


def is_identity(computation: Computation | None) -> bool:
    """Whether a mapping entry passes its value on unchanged."""
    return computation is not None and all(isinstance(s, Step) and s.name == "identity" for s in computation.steps)


@dataclass
class _Lowering:
    spec: Spec
    problems: Problems

    def __post_init__(self) -> None:
        self.builder = Builder()
        self.chains = Chains(self.spec, self.problems, self.builder)
        self.scales = _scales(self.spec)
        self.inputs = [
            self.builder.leaf(
                "input", Type(i.shape.sizes, i.batched, i.dtype, i.sparse), hint=i.name, span=i.span, name=i.name
            )
            for i in self.spec.inputs
        ]
        batched = [i for i in self.inputs if i.type.batched]
        self.only = batched[0] if len(batched) == 1 else None  # where a computation of encoder or start begins
        real = next((i for i in batched if i.type.dtype == FLOAT), None)
        self.like = self.chains.like = real or self.builder.make("blank", batched[0])
        self.chains.parameters()
        self.values: dict[str, Node | Absent | None] = {
            **{i.attributes["name"]: i for i in self.inputs},
            **self.chains.weights,
        }
        self.numbers = self.chains.numbers
        self.encoded: list[Node] = []

    def _scope(self, section: str, **numbers: Numbers) -> Scope:
        return Scope(section, self.values, {**self.numbers, **numbers})  # type: ignore[dict-item]

    def _shape(self, index: int) -> dict[str, int | float | bool]:
        return {**shape_fields(self.scales[index].shape), "index": index}

    def program(self) -> Program | None:
        """Encoder, f, start and head, in this order: a random initialisation draws in it."""
        size = self.scales[-1].stop
        state = self.builder.leaf("state", Type((size,)), hint="z")
        solution = self.builder.leaf("solution", Type((size,)), hint="z")
        self._encoder()
        start = self._start()
        z = self._unpacked(state)
        h = self._main(z)
        y = self._mapping(h)
        y = self._moved(self._post(y), z)
        outputs = self._head(self._unpacked(solution))
        if self.problems.errors or any(v is None for v in (*y, *outputs)):
            self.problems.raise_errors()
            return None
        f = self._pack([v for v in y if v is not None])
        nodes = tuple(self.builder.nodes)
        program = Program(
            name=self.spec.name,
            inputs=tuple(self.inputs),
            scales=self.scales,
            layers=tuple(self.chains.layers.values()),
            nodes=nodes,
            state=state,
            solution=solution,
            boundary=self._boundary(nodes, f, state),
            f=f,
            start_kind=self.spec.initial.kind,
            start=start,
            outputs=tuple(v for v in outputs if v is not None),
            output_names=tuple(one.name for one in self.spec.head if one.name is not None),
            encoded=tuple(self.encoded),
            hidden=tuple(v for v in h if v is not None),
        )
        doubt(self.spec, program, self.problems)
        return program

    def _boundary(self, nodes: tuple[Node, ...], f: Node, state: Node) -> tuple[Node, ...]:
        """What f reads before any hoisting: inputs, encoder values, masks and parameters as they stand."""
        moving = depends(nodes, state)
        made = frozenset(self.encoded) | {
            n for n in nodes if n.op in ("input", "parameter", "parameters", "dropout_mask", "blank")
        }
        stop = frozenset(n for n in made if n not in moving)
        inside = set(reachable((f,), stop))
        read = [o for n in nodes if n in inside for o in n.operands]
        return tuple(dict.fromkeys(n for n in [*read, f] if n in stop))

    def _unpacked(self, packed: Node) -> tuple[Node, ...]:
        single = len(self.scales) == 1
        if single and len(self.scales[0].shape) == 1:
            return (packed,)
        return tuple(
            self.builder.make(
                "unpack",
                packed,
                start=s.start,
                stop=s.stop,
                shape=s.shape,
                whole=single,
                hint="z" if single else f"z{k}",
            )
            for k, s in enumerate(self.scales)
        )

    def _pack(self, values: list[Node]) -> Node:
        values = [v if v.type.batched else self.builder.make("repeated", v, self.like) for v in values]
        if len(values) == 1 and values[0].type.rank == 1:
            return values[0]
        return self.builder.make("pack", *values, ranks=tuple(v.type.rank for v in values))

    def _encoder(self) -> None:
        for name, computation in self.spec.encoder:
            value = self.chains.lower(computation, self.only, f"encoder.{name}", self._scope("encoder"))
            if value is not None:
                if value not in self.encoded:
                    self.builder.name(value, name)
                self.encoded.append(value)
            self.values = {**self.values, name: value}

    def _main(self, z: tuple[Node, ...]) -> list[Node | None]:
        results: list[Node | None] = []
        for i, computation in enumerate(self.spec.main_layers):
            scope = self._scope("main", scale=self._shape(i))
            scope = Scope(scope.section, scope.values, scope.numbers, state=z[i], states=z)
            h = self.chains.lower(computation, z[i], f"main_layers.{i}", scope)
            if h is not None and not h.hint:
                self.builder.name(h, f"h{i}" if len(z) > 1 else "h")
            straight = is_identity(self.spec.mapping_layers[i][i])
            if h is not None and straight:
                where = f"main_layers of scale {i}" if len(z) > 1 else "main_layers"
                h = self._checked("E062", h, i, computation, f"{where} returns")
            results.append(h)
        return results

    def _checked(self, code: str, value: Node, index: int, computation: Computation, what: str) -> Node | None:
        """The value, if it has the shape of the scale."""
        shape = self.scales[index].shape
        place: Span = computation.steps[-1].span if len(computation.steps) else computation.span
        if not value.type.differentiable:
            kind = "a sparse matrix" if value.type.sparse else f"values of {value.type.dtype}"
            self.problems.add("E066", place, f"{what} {kind}", expected="real numbers (float)")
            return None
        if value.type.shape == shape:
            return value
        if any(one.code == code and one.span == place for one in self.problems.found):
            return None  # `each` and rules stand for many scales: one mistake
        self.problems.add(
            code,
            place,
            f"{what} {show(value.type.shape)}, scale {index} is {show(shape)}",
            expected=f"a value of shape {show(shape)}",
            hint=self._turned(code, value, index),
            related=[Related(self.spec.scales[index].span, f"scale {index}")],
        )
        return None

    def _turned(self, code: str, value: Node, index: int) -> str | None:
        """What to do where a mapping has the shape of another scale, or a main layer the wrong one."""
        if self._shared(code) and len(self.scales[index].shape) == 1:
            scale = "to" if code == "E063" else "scale"
            return f'one computation stands for every scale here: write "${{{scale}.features}}" for the size'
        if code == "E063" and any(value.type.shape == scale.shape for scale in self.scales):
            return "row i holds what leads out of scale i, column j what leads into scale j: is the matrix transposed?"
        if code == "E062" and len(value.type.shape) == len(self.scales[index].shape) == 1:
            size = show(value.type.shape)
            return f"let the last layer return {self.scales[index].shape[0]} features, or make the scale {size}"
        return None

    def _shared(self, code: str) -> bool:
        """Whether what stands in the section is one computation for scales of several shapes."""
        matrix = self.spec.mapping_layers
        layers = [one for row in matrix for one in row] if code == "E063" else self.spec.main_layers
        spans = [one.span for one in layers if one is not None and not is_identity(one)]
        return len(set(spans)) < len(spans) and len({scale.shape for scale in self.scales}) > 1

    def _mapping(self, h: list[Node | None]) -> list[Node | None]:
        matrix, results = self.spec.mapping_layers, list[Node | None]()
        terms: list[list[Node | None]] = [[] for _ in h]
        for i, row in enumerate(matrix):
            for j, entry in enumerate(row):
                if entry is None:
                    continue
                source = h[i]
                if source is None:
                    terms[j].append(None)
                    continue
                scope = self._scope("main", **{"from": self._shape(i), "to": self._shape(j)})
                value = self.chains.lower(entry, source, f"mapping_layers.{i}.{j}", scope)
                if value is not None and not (i == j and is_identity(entry)):
                    value = self._checked("E063", value, j, entry, f"the mapping from scale {i} to scale {j} returns")
                terms[j].append(value)
        for j, found in enumerate(terms):
            values = [t for t in found if t is not None]
            if not found:
                place = self.spec.sections.get("mapping_layers") or self.spec.scales[j].span
                self.problems.add(
                    "E070",
                    place,
                    f"nothing flows into scale {j}: column {j} of mapping_layers is null throughout",
                    hint=f"write identity at [{j}][{j}], or remove the scale",
                    related=[Related(self.spec.scales[j].span, f"scale {j}")],
                )
                results.append(None)
            elif len(values) < len(found):
                results.append(None)
            elif len(values) == 1:
                results.append(values[0])
            else:
                results.append(self.builder.make("sum", *values, hint=f"y{j}"))
        return results

    def _post(self, y: list[Node | None]) -> list[Node | None]:
        if self.spec.post_fuse_layers is None:
            return y
        results: list[Node | None] = []
        for i, (value, computation) in enumerate(zip(y, self.spec.post_fuse_layers, strict=True)):
            if value is None or computation is None:
                results.append(value)
                continue
            scope = self._scope("main", scale=self._shape(i))
            out = self.chains.lower(computation, value, f"post_fuse_layers.{i}", scope)
            results.append(out and self._checked("E064", out, i, computation, f"post_fuse_layers of scale {i} returns"))
        return results

    def _moved(self, y: list[Node | None], z: tuple[Node, ...]) -> list[Node | None]:
        """Where f is to be the rate of change itself: the integrators follow z' = f(z) - z."""
        time = self.spec.solver.time
        if time is None or time.dynamics == "residual":
            return y
        return [one and self.builder.make("sum", at, one) for one, at in zip(y, z, strict=True)]

    def _start(self) -> Node | None:
        if self.spec.initial.kind != "chains":
            return None
        values: list[Node | None] = []
        for i, computation in enumerate(self.spec.initial.chains):
            shape = self.scales[i].shape
            if computation is None:
                values.append(self.builder.make("zeros", self.like, shape=shape, batched=True))
                continue
            scope = replace(self._scope("init", scale=self._shape(i)), shape=shape)
            value = self.chains.lower(computation, self.only, f"init.{i}", scope)
            values.append(value and self._checked("E065", value, i, computation, "init returns"))
        if any(v is None for v in values):
            return None
        return self._pack([v for v in values if v is not None])

    def _head(self, z: tuple[Node, ...]) -> list[Node | None]:
        scope = self._scope("head")
        alone = z[0] if len(z) == 1 else None
        scope = Scope(scope.section, scope.values, scope.numbers, state=alone, states=z)
        return [
            self.chains.lower(one.computation, alone, "head" if one.name is None else f"head.{one.name}", scope)
            for one in self.spec.head
        ]
