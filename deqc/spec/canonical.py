"""The canonical form of a spec: equal for specs of equal meaning, and what its hash is taken of.

Short forms are written out, constants and shapes folded into expressions, defaults filled in, rules and `each` undone.
Descriptions, places, unused blocks and the choice between `scale` and `scales` of one do not count; the version of the
language does. Order is kept where it has a meaning: inputs, encoder values, parameters of blocks, branches, steps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import Any

from deqc.fields import REQUIRED, Field, Kind, Variant
from deqc.ops import STEPS
from deqc.ops.module import ARGUMENTS
from deqc.ops.weights import CONSTRAINTS, INITS, PARAMETRIZATIONS
from deqc.settings import JACOBIAN, LANGUAGE
from deqc.spec.expressions import Expression
from deqc.spec.folding import Known, folded
from deqc.spec.model import (
    Argument,
    Block,
    Branches,
    Choice,
    Computation,
    Initial,
    Input,
    JacobianRegularization,
    Literal,
    Method,
    Output,
    Parameter,
    Reference,
    Shape,
    Sizes,
    Solver,
    Spec,
    Step,
    Time,
)
from deqc.spec.shapes import shape_fields
from deqc.spec.walk import steps
from deqc.types import FLOAT, named


def sha256(spec: Spec) -> str:
    """The hash of the canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()


def canonical(spec: Spec) -> str:
    """The canonical form as one line of JSON."""
    return json.dumps(document(spec), sort_keys=True, separators=(",", ":"), allow_nan=False)


def document(spec: Spec) -> dict[str, Any]:
    """The canonical form as data."""
    known: Known = {**spec.constants, "scales": {"count": len(spec.scales)}}
    scales = [{**shape_fields(scale.sizes), "index": index} for index, scale in enumerate(spec.scales)]
    plain = _Writer(spec.blocks, known)
    at = [_Writer(spec.blocks, {**known, "scale": scale}, index) for index, scale in enumerate(scales)]
    post = spec.post_fuse_layers or (None,) * len(scales)
    return {
        "deqc": LANGUAGE,
        "name": spec.name,
        "kind": spec.kind,
        "input": [_input(one) for one in spec.inputs],
        "scales": [_sizes(scale) for scale in spec.scales],
        "parameters": [
            [
                one.name,
                list(one.shape.sizes),
                {name: plain.choice(said) for name, said in one.said.items()},
                one.trainable,
            ]
            for one in spec.weights
        ],
        "modules": [
            [one.name, None if one.shape is None else _sizes(one.shape), one.deterministic]
            for one in spec.modules.values()
        ],
        "blocks": {name: _block(spec.blocks[name], plain) for name in sorted(_used(spec))},
        "encoder": [[name, plain.computation(one)] for name, one in spec.encoder],
        "init": _initial(spec.initial, at),
        "main_layers": [writer.computation(one) for writer, one in zip(at, spec.main_layers, strict=True)],
        "mapping_layers": [
            [
                None if one is None else _Writer(spec.blocks, {**known, "from": source, "to": to}).computation(one)
                for to, one in zip(scales, row, strict=True)
            ]
            for source, row in zip(scales, spec.mapping_layers, strict=True)
        ],
        "post_fuse_layers": [_post(one, writer) for writer, one in zip(at, post, strict=True)],
        "head": _head(spec.head, _Writer(spec.blocks, known, 0)),
        **({} if spec.solver.time is None else {"time": _time(spec.solver.time)}),
        "solver": {
            **_method(spec.solver.told),
            "atol": spec.solver.atol,
            "rtol": spec.solver.rtol,
            "max_steps": spec.solver.max_steps,
            "termination": [
                spec.solver.mode,
                spec.solver.norm,
                *([dict(spec.solver.watch)] if spec.solver.safe else []),
            ],
            "coupling": spec.solver.coupling,
            "on_failure": spec.solver.on_failure,
            **({"trace": True} if spec.solver.trace else {}),
            **({"compaction": True} if spec.solver.compaction else {}),
            **({"precision": spec.solver.precision} if spec.solver.precision != "full" else {}),
            **({} if spec.solver.mask is None else {"mask": f"${spec.solver.mask}"}),
            **({"record": list(spec.solver.record)} if spec.solver.record else {}),
            **({} if spec.solver.linear_solver is None else {"linear_solver": _method(spec.solver.linear_solver)}),
            **({"eval": evaluation} if (evaluation := evaluated(spec.solver)) else {}),
        },
        "adjoint": {
            **_method(spec.adjoint.method),
            "linear_solver": None if spec.adjoint.linear_solver is None else _method(spec.adjoint.linear_solver),
        },
        **_regularization(spec.jacobian_regularization),
    }


def _time(time: Time) -> dict[str, Any]:
    return {"start": time.start, "stop": time.stop, "dynamics": time.dynamics, "saveat": list(time.saveat)}


def _regularization(written: JacobianRegularization | None) -> dict[str, Any]:
    """The section, with the quantity's own options side by side with the others; nothing where there is none."""
    if written is None:
        return {}
    shared = {one.name: getattr(written, one.name) for one in JACOBIAN}
    return {"jacobian_regularization": {"quantity": written.quantity.name, **shared, **written.quantity.options}}


def _input(one: Input) -> list[Any]:
    kind = {"dtype": one.dtype, "batch": one.batched, "layout": "sparse_csr" if one.sparse else "dense"}
    special = {name: value for name, value in kind.items() if value not in (FLOAT, True, "dense")}
    return [one.name, _sizes(one.shape), *([special] if special else [])]


def _sizes(shape: Shape) -> list[Any]:
    """Numbers, and the names of dimensions as text."""
    return [str(size) if named(size) else size for size in shape.sizes]


def evaluated(solver: Solver) -> dict[str, Any]:
    """What has another value in eval mode, as it is written."""
    linear = {"linear_solver": dict(solver.linear_evaluation)} if solver.linear_evaluation else {}
    return {**solver.evaluation, **linear}


def _method(method: Method) -> dict[str, Any]:
    return {"method": method.name, "options": dict(method.options)}


def _block(block: Block, writer: _Writer) -> dict[str, Any]:
    return {"params": [one.name for one in block.parameters], "body": writer.computation(block.body)}


def _post(computation: Computation | None, writer: _Writer) -> Any:
    written = None if computation is None else writer.computation(computation)
    return None if written == [_IDENTITY] else written


def _initial(initial: Initial, writers: Iterable[_Writer]) -> Any:
    if initial.kind != "chains":
        return initial.kind
    written = [
        None if one is None else writer.computation(one) for writer, one in zip(writers, initial.chains, strict=True)
    ]
    entries = [None if entry == [["zeros", {}]] else entry for entry in written]
    return entries if any(entry is not None for entry in entries) else "zeros"


def _head(head: tuple[Output, ...], writer: _Writer) -> Any:
    if not head:
        return None
    written = [[one.name, writer.computation(one.computation)] for one in head]
    return written[0][1] if head[0].name is None else written


def _used(spec: Spec) -> set[str]:
    """The blocks that some section uses, directly or through others."""
    sections: list[Computation | None] = [one for _, one in spec.encoder]
    sections += [*spec.initial.chains, *spec.main_layers, *(spec.post_fuse_layers or ())]
    sections += [output.computation for output in spec.head]
    sections += [one for row in spec.mapping_layers for one in row]
    waiting = [one for one in sections if one is not None]
    found: set[str] = set()
    while waiting:
        for step in steps(waiting.pop()):
            if step.name in spec.blocks and step.name not in found:
                found.add(step.name)
                block = spec.blocks[step.name]
                waiting += [block.body, *(d for p in block.parameters if isinstance(d := p.default, Computation))]
    return found


_VARIANTS: dict[str, Variant] = {**INITS, **CONSTRAINTS, **PARAMETRIZATIONS}
_IDENTITY: list[Any] = ["identity", {}]


@dataclass(frozen=True)
class _Writer:
    """Writes computations where these numbers are known; `$z` is the scale of that index."""

    blocks: Map[str, Block]
    known: Known
    scale: int | None = None

    def computation(self, computation: Computation) -> list[Any]:
        """A chain of steps; identities change nothing, and one stands for none."""
        written = [self._reference(s) if isinstance(s, Reference) else self._step(s) for s in computation.steps]
        return [step for step in written if step != _IDENTITY] or [_IDENTITY]

    def _reference(self, reference: Reference) -> str:
        index = self.scale if reference.name == "z" and reference.index is None else reference.index
        return f"${reference.name}" if index is None else f"${reference.name}.{index}"

    def _step(self, step: Step) -> list[Any]:
        if step.name in self.blocks:
            parameters = self.blocks[step.name].parameters
            return [step.name, {one.name: self._given(one, step.arguments.get(one.name)) for one in parameters}]
        fields = STEPS[step.name].fields if step.name in STEPS else (ARGUMENTS,)
        values = {one.name: self._field(one, step.arguments.get(one.name)) for one in fields}
        # what is left out does not count, so that a field that a later version adds changes no hash
        return [step.name, {name: value for name, value in values.items() if value is not None}]

    def _given(self, parameter: Parameter, argument: Argument | None) -> Any:
        value = parameter.default if argument is None else argument
        return None if value is None else self._argument(value)

    def _field(self, field: Field, argument: Argument | None) -> Any:
        if argument is not None:
            value = self._argument(argument)
        elif field.kind is Kind.COMPUTATION and isinstance(field.default, str):
            return [[field.default, {}]]
        else:
            value = list(field.default) if isinstance(field.default, tuple) else field.default
            value = None if value is REQUIRED else value  # it follows from a weight that is given
        if field.each and isinstance(value, list) and len({json.dumps(one) for one in value}) == 1:
            return value[0]
        number = field.kind is Kind.NUMBER and isinstance(value, int) and not isinstance(value, bool)
        return float(value) if number else value

    def choice(self, choice: Choice) -> Any:
        """A variant with all its options."""
        options = {one.name: one.default for one in _VARIANTS[choice.name].fields}
        return [choice.name, {**options, **{name: self._literal(one) for name, one in choice.options.items()}}]

    def _argument(self, argument: Argument) -> Any:
        if isinstance(argument, Computation):
            return self.computation(argument)
        if isinstance(argument, Branches):
            return [self.computation(one) for one in argument.items]
        if isinstance(argument, Choice):
            return self.choice(argument)
        if isinstance(argument, Sizes):
            return [self._argument(one) for one in argument.items]
        return self._literal(argument)

    def _literal(self, literal: Literal) -> Any:
        if not isinstance(literal.value, Expression):
            return str(literal.value) if named(literal.value) else literal.value
        value = folded(literal.value, self.known)
        return str(value) if isinstance(value, Expression) else value
