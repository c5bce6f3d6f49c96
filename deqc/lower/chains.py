"""Computations: each step becomes nodes on the value before it; a wrong one is reported once, what follows is not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from deqc.diagnostics import Problems, Related, Span, SpecError
from deqc.fields import IDENTITY, REQUIRED
from deqc.ir.builder import Builder
from deqc.ir.graph import LayerUse, Node, Setup
from deqc.lower.arguments import InvalidArgumentError, attributes, computed
from deqc.lower.scope import ABSENT, Absent, Numbers, Scope
from deqc.lower.weights import Tensors, said
from deqc.ops import STEPS
from deqc.ops.base import GIVEN, INCOMING, Layer, Op, ShapeError
from deqc.ops.module import ARGUMENTS
from deqc.ops.variational_dropout import OP as VARIATIONAL
from deqc.ops.weights import NAME, PARAMETRIZATIONS, SAID
from deqc.spec.expressions import Expression
from deqc.spec.model import Block, Branches, Choice, Computation, Literal, Module, Reference, Spec, Step, Weight
from deqc.types import FLOAT, Type, UnknownSizeError, show

STEPS_AT_MOST = 100_000
DEPTH_AT_MOST = 128


@dataclass
class Chains:
    """Lowers computations into one builder; layers are registered under their paths."""

    spec: Spec
    problems: Problems
    builder: Builder
    layers: dict[str, LayerUse] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)  # of each layer's step
    folders: dict[str, None] = field(default_factory=dict)  # paths that hold layers
    steps: int = 0  # lowered so far
    depth: int = 0  # of computations within computations
    weights: dict[str, Node | None] = field(default_factory=dict)  # the parameters of the model itself
    modules: dict[str, Node] = field(default_factory=dict)  # the parameters of each module of the user's
    like: Node | None = None  # gives zeros and masks their batch, device and dtype

    def lower(self, computation: Computation, x: Node | None, path: str, scope: Scope) -> Node | None:
        """The value of a computation that starts from x; None after an error."""
        used: dict[str, int] = {}
        for step in computation.steps:
            if isinstance(step, Reference):
                x = self._value(step, scope)
            elif step.name == "as":
                name = step.arguments["name"]
                assert isinstance(name, Literal)
                scope = scope.naming(str(name.value), x)
                if x is not None and not x.hint:
                    self.builder.name(x, str(name.value))
            else:
                x = self._step(step, x, f"{path}.{_segment(step, used)}", scope)
            if x is None:
                return None
        return x

    def _value(self, reference: Reference, scope: Scope) -> Node | None:
        """What a reference reads; one to nothing is an error here, and may be left out only as a branch of `sum`."""
        value = self._read(reference, scope)
        if value is ABSENT:
            self._left_null(reference)
            return None
        return value

    def _left_null(self, reference: Reference) -> None:
        self.problems.add(
            "E071",
            reference.span,
            f"${reference.name} is null where this block is used",
            hint="give the parameter a value there, or read it as a whole branch of `sum`, which then drops it",
        )

    def _read(self, reference: Reference, scope: Scope) -> Node | Absent | None:
        if reference.name == "z":
            if reference.index is not None:
                return scope.states[reference.index] if reference.index < len(scope.states) else None
            return scope.state
        return scope.values.get(reference.name)

    def _step(self, step: Step, x: Node | None, path: str, scope: Scope) -> Node | None:
        self.steps += 1
        if self.steps > STEPS_AT_MOST:
            self._too_large(
                step, f"more than {STEPS_AT_MOST:,} steps, every use of a block and every repetition counted"
            )
        if self.depth == DEPTH_AT_MOST:
            self._too_large(step, f"steps within steps more than {DEPTH_AT_MOST} deep")
        self.depth += 1
        try:
            if step.name in self.spec.blocks:
                return self._block(self.spec.blocks[step.name], step, x, path, scope)
            if step.name in self.spec.modules:
                return self._module(self.spec.modules[step.name], step, x, path, scope)
            return self._op(STEPS[step.name], step, x, path, scope)
        except InvalidArgumentError:
            return None
        except ShapeError as error:
            self.problems.add("E060", step.span, str(error), expected=error.expected, hint=error.hint)
            return None
        except UnknownSizeError as error:
            message = f"{step.name} needs a size that is known at the call only: {error}"
            hint = (
                "the dimensions that names stand for are carried along as they are: write a number in place of a name"
            )
            self.problems.add("E060", step.span, message, hint=hint)
            return None
        finally:
            self.depth -= 1

    def _op(self, op: Op, step: Step, x: Node | None, path: str, scope: Scope) -> Node | None:
        if op.name in ("sum", "mul", "concat"):
            return self._branches(op, step, x, path, scope)
        if x is None and INCOMING in op.takes:
            return None
        if x is not None and op.name in ("identity", "residual", "repeat"):
            return self._structure(op, step, x, path, scope)
        values = attributes(op, step, x.type if x else None, scope, self.problems)
        if not op.takes:
            assert self.like is not None
            where: dict[str, Any] = {"shape": scope.shape, "batched": True}
            return self.builder.make(op.name, self.like, span=step.span, **values, **where)
        if op.name == "variational_dropout" and x is not None:
            self._check_kind(step, x)
            return self._mask(values, step, x)
        taken = path in self.folders
        operands = self._operands(op, step, x, path, scope)
        if None in operands.values():
            return None
        if op.source not in operands and any(values[name] is REQUIRED for name in op.instead):
            given = step.arguments[op.source]
            assert isinstance(given, Computation)
            assert isinstance(given.steps[0], Reference)
            self._left_null(given.steps[0])
            return None
        operands = {name: self._readable(op, step, name, node) for name, node in operands.items()}
        if any(field.nullable for field in op.fields if field.name in op.takes):
            values[GIVEN] = tuple(operands)
        holds = path in self.folders and not taken  # layers of its own computations
        return self._node(op, values, step, [o for o in operands.values() if o is not None], path, holds, scope)

    def _structure(self, op: Op, step: Step, x: Node, path: str, scope: Scope) -> Node | None:
        if op.name == "identity":
            return x
        if op.name == "repeat":
            return self._repeat(op, step, x, path, scope)
        body = step.arguments["body"]
        assert isinstance(body, Computation)
        y = self.lower(body, x, path, scope)
        if y is not None and y.type.shape != x.type.shape:
            self.problems.add(
                "E061",
                body.span,
                f"residual adds a value of shape {show(y.type.shape)} to one of shape {show(x.type.shape)}",
                expected=f"a body that returns {show(x.type.shape)}",
            )
            return None
        if y is None:
            return None
        self._check_kind(step, x)
        self._check_kind(step, y)
        return self.builder.make("sum", x, y, span=step.span)

    def _operands(self, op: Op, step: Step, x: Node | None, path: str, scope: Scope) -> dict[str, Node | None]:
        """What a node of the op reads, by the name of the field; None after an error. What is left null is left out.

        Computations in fields start from the incoming value, and their layers stand under the name of the field.
        """
        fields = {field.name: field for field in op.fields}
        found: dict[str, Node | None] = {}
        for name in op.takes:
            argument = step.arguments.get(name)
            if name == INCOMING or (argument is None and fields[name].default == IDENTITY):
                found[name] = x
            elif isinstance(argument, Branches):
                for number, branch in enumerate(argument.items):
                    found[f"{name}.{number}"] = self.lower(branch, x, f"{path}.{number}", scope)
            elif isinstance(argument, Computation) and not (fields[name].nullable and self._absent(argument, scope)):
                found[name] = self.lower(argument, x, f"{path}.{name}", scope)
        return found

    def _readable(self, op: Op, step: Step, name: str, value: Node | None) -> Node | None:
        """What the op takes under a name as it reads it: of a kind that it reads, and repeated for every sample."""
        if value is None:
            return None
        taken = name.partition(".")[0]
        self._check_kind(step, value, op.dtypes.get(taken, frozenset()), taken in op.sparse)
        if value.type.batched or value.type.sparse or op.unbatched or taken == op.source:
            return value
        return self._repeated(value, step)

    def _repeated(self, value: Node, step: Step) -> Node:
        assert self.like is not None
        return self.builder.make("repeated", value, self.like, span=step.span)

    def _check_kind(self, step: Step, value: Node, dtypes: frozenset[str] = frozenset(), sparse: bool = False) -> None:
        """Refuses whole numbers, truth values and sparse matrices where the step computes with real numbers."""
        kind, hint = value.type, None
        if kind.sparse and not sparse:
            found, hint = "a sparse matrix", "only matmul reads one: `{matmul: {left: $…}}`"
        elif kind.dtype != FLOAT and kind.dtype not in dtypes:
            found = "truth values (bool)" if kind.dtype == "bool" else f"whole numbers ({kind.dtype})"
            if kind.dtype != "bool":
                hint = "embedding makes vectors of whole numbers; numbers to compute with are an input of dtype float"
            else:
                hint = "numbers to compute with are an input of dtype float"
        else:
            return
        expected = f"float or {', '.join(sorted(dtypes))}" if dtypes else "float"
        self.problems.add("E066", step.span, f"{step.name} is given {found}", expected=expected, hint=hint)
        raise InvalidArgumentError

    def _node(
        self, op: Op, values: dict[str, Any], step: Step, operands: list[Node], path: str, holds: bool, scope: Scope
    ) -> Node:
        layer = op.layer(values, *(o.type for o in operands))
        constants = {name: value for name, value in values.items() if name not in SAID}
        make = partial(self.builder.make, span=step.span)
        made: Node
        if layer is None:
            self._said_of(step, [])
            made = op.lowered(make, constants, *operands)
            return made
        leaves = self._tensors(op, layer, step, path, holds, operands[0].type, scope)
        whole = {} if holds else {"layer": path}
        made = op.lowered(make, {**constants, **whole}, *operands, *leaves)
        return made

    def _tensors(self, op: Op, layer: Layer, step: Step, path: str, holds: bool, x: Type, scope: Scope) -> list[Node]:
        """The tensors of a layer, which is registered with what the step says of them."""
        choices = self._said_of(step, [name for name, _ in layer.parameters])
        tensors = Tensors(self.builder, path, step.span, layer.buffer)
        made = []
        for name, shape in layer.parameters:
            told = said(choices, name, x, scope, self.problems)
            if told.init is None:
                told = replace(told, init=layer.init)
            made.append(tensors.make(name, shape, told, f"{op.name}'s {name}"))
        alone = tuple((name, shape, layer.buffer) for name, shape in layer.parameters)
        self._register(
            LayerUse(path, layer.constructor, alone if layer.constructor is None else (), tuple(tensors.setups)),
            step,
            holds,
        )
        return made

    def _said_of(self, step: Step, tensors: list[str]) -> dict[str, Choice]:
        """What the step says of its tensors, by field; what it says of one that it has not is an error.

        A bias that an expression left out may have a start: a block that decides it says both.
        """
        pinned = step.arguments.get(NAME.name)
        decided = any(isinstance(one, Literal) and isinstance(one.value, Expression) for one in step.arguments.values())
        if isinstance(pinned, Literal) and not tensors and not decided:
            message = f"{step.name} has no parameters of its own here that could be called so"
            self.problems.add("E022", pinned.span, message, hint="remove the name")
            raise InvalidArgumentError
        choices = {name: one for name, one in step.arguments.items() if isinstance(one, Choice)}
        bias = step.arguments.get("bias")
        if "bias" not in tensors and isinstance(bias, Literal) and isinstance(bias.value, Expression):
            choices.pop("bias_init", None)
        for name, choice in choices.items():
            tensor = "bias" if name == "bias_init" else "weight"
            if tensor not in tensors:
                hint = None
                if STEPS[step.name].source in step.arguments and tensor == "weight":
                    hint = "the weight is from elsewhere: say it of the parameter, in the section `parameters`"
                self.problems.add("E022", choice.span, f"{step.name} has no {tensor} of its own here", hint=hint)
                raise InvalidArgumentError
        return choices

    def _register(self, layer: LayerUse, step: Step, holds: bool) -> None:
        """Keeps a layer; none may have the name of another, or stand inside another but that whose field it is in."""
        parts = layer.path.split(".")
        above = [".".join(parts[:k]) for k in range(1, len(parts))]
        other = next((p for p in (layer.path, *above) if p in self.layers), None)
        other = layer.path if layer.path in self.folders and not holds else other
        if other is not None:
            self._clash(other, step.span, self.places.get(other, step.span))
        self.layers[layer.path] = layer
        self.places[layer.path] = step.span
        self.folders.update(dict.fromkeys(above))

    def _clash(self, path: str, place: Span, other: Span) -> None:
        """`linear_1` is a block's name, and that of the second linear layer of a chain."""
        name = path.rpartition(".")[2]
        self.problems.add(
            "E045",
            place,
            f"two steps would be called {name} in parameter names",
            hint="rename the block, or the parameter of the block; or give a step a `name`",
            related=[Related(other, "the other one")],
        )

    def _mask(self, values: dict[str, Any], step: Step, x: Node) -> Node:
        """One mask a solve, times the value."""
        shape = VARIATIONAL.mask_shape(values, x.type)
        if values["p"] == 0:
            return x
        assert self.like is not None
        mask = self.builder.make("dropout_mask", self.like, shape=shape, p=values["p"], span=step.span, hint="mask")
        return self.builder.make("mul", x, mask, span=step.span)

    def _branches(self, op: Op, step: Step, x: Node | None, path: str, scope: Scope) -> Node | None:
        branches = step.arguments["of"]
        assert isinstance(branches, Branches)
        values = attributes(op, step, x.type if x else None, scope, self.problems)
        results: list[Node | None] = []
        places: list[Span] = []
        for number, branch in enumerate(branches.items):
            if op.name == "sum" and self._absent(branch, scope):
                continue
            results.append(self.lower(branch, x, f"{path}.{number}", scope))
            places.append(branch.span)
        made = [r for r in results if r is not None]
        for one in made:
            self._check_kind(step, one)
        if not results:
            first = branches.items[0].steps[0]
            assert isinstance(first, Reference)
            self._left_null(first)
        if len(made) < len(results) or not made:
            return None
        if len(made) == 1:
            return made[0]
        if op.name != "concat":
            shape = next((r.type.shape for r in made if r.type.shape), ())
            for result, place in zip(made, places, strict=True):
                if result.type.shape not in (shape, ()):
                    batch = result.op == "input" and result.type.rank > 1 and result.type.shape[1:] == shape
                    self.problems.add(
                        "E061",
                        place,
                        f"this branch of {op.name} has shape {show(result.type.shape)}, the first has {show(shape)}",
                        expected="branches of equal shape",
                        hint="the shape of an input leaves out the batch" if batch else None,
                        related=[Related(places[0], f"the first branch, of shape {show(shape)}")],
                    )
                    return None
            made = [self._spread(r, len(shape), step) for r in made]
        elif any(r.type.batched for r in made):
            made = [r if r.type.batched else self._repeated(r, step) for r in made]
        return self.builder.make(op.name, *made, span=step.span, **values)

    def _spread(self, value: Node, rank: int, step: Step) -> Node:
        """A scalar with axes of size 1, so that its batch does not meet the other branches' last axis."""
        if value.type.rank == rank:
            return value
        return self.builder.make("reshape", value, shape=(1,) * rank, span=step.span)

    def _absent(self, computation: Computation, scope: Scope) -> bool:
        """Whether it only reads a parameter that was left null."""
        first, *rest = computation.steps
        return isinstance(first, Reference) and not rest and self._read(first, scope) is ABSENT

    def _repeat(self, op: Op, step: Step, x: Node, path: str, scope: Scope) -> Node | None:
        values = attributes(op, step, x.type, scope, self.problems)
        body = step.arguments["body"]
        assert isinstance(body, Computation)
        current: Node | None = x
        for k in range(values["times"]):
            inner = scope.counting(**{values["index"]: k}) if values["index"] else scope
            current = self.lower(body, current, f"{path}.{k}", inner)
            if current is None:
                return None
        return current

    def _block(self, block: Block, step: Step, x: Node | None, path: str, scope: Scope) -> Node | None:
        """The body, in a scope of its own: constants, parameters and nothing of the caller's."""
        numbers: dict[str, Any] = dict(self.numbers)
        values: dict[str, Node | Absent | None] = dict(self.weights)
        for parameter in block.parameters:
            argument = step.arguments.get(parameter.name, parameter.default)
            if isinstance(argument, Literal) and argument.value is not None:
                value = argument.value
                if isinstance(value, Expression):
                    value = computed(value, x.type if x else None, scope, self.problems)
                numbers[parameter.name] = value
            elif isinstance(argument, Computation) and not self._absent(argument, scope):
                values[parameter.name] = self.lower(argument, x, f"{path}.{parameter.name}", scope)
                if values[parameter.name] is None:
                    return None
            else:
                values[parameter.name] = ABSENT
        inner = Scope(scope.section, values, numbers, shape=scope.shape)
        return self.lower(block.body, x, path, inner)

    def _module(self, module: Module, step: Step, x: Node | None, path: str, scope: Scope) -> Node | None:
        """A call of a module of the user's, with the incoming value or what its branches make of it."""
        branches = step.arguments.get(ARGUMENTS.name)
        given: list[Node | None] = [x]
        if isinstance(branches, Branches):
            given = [self.lower(one, x, f"{path}.{k}", scope) for k, one in enumerate(branches.items)]
        arguments = [one for one in given if one is not None]
        if len(arguments) < len(given):
            return None
        if module.name not in self.modules:
            kind = Type((), batched=False)
            self.modules[module.name] = self.builder.leaf("parameters", kind, hint=module.name, module=module.name)
        shape = arguments[0].type.shape if module.shape is None else module.shape.sizes
        number = 0 if module.deterministic else self.steps  # calls that may differ are never taken for the same
        constants: dict[str, Any] = {"name": module.name, "shape": shape, "number": number}
        return self.builder.make("module", self.modules[module.name], *arguments, span=step.span, **constants)

    def parameters(self) -> None:
        """The parameters of the model itself, in the order in which they are drawn."""
        setups: list[Setup] = []
        tensors: list[tuple[str, tuple[int, ...], bool]] = []
        for weight in self.spec.weights:
            maker = Tensors(self.builder, "params", weight.span, not weight.trainable, setups)
            self._parts_clash(weight)
            shape = weight.shape.sizes
            for name in ("parametrize", "constraint"):
                if name in weight.said and not weight.trainable:
                    message = f"{name} is for what is learned, and {weight.name} is not trainable"
                    self.problems.add("E022", weight.said[name].span, message)
            choices = {"weight_init" if name == "init" else name: one for name, one in weight.said.items()}
            try:
                told = said(choices, "weight", None, Scope("main", {}, self.numbers), self.problems)
                if told.init is None:
                    told = replace(told, init=("kaiming_uniform" if len(shape) > 1 else "zeros", {}))
                self.weights[weight.name] = maker.make(weight.name, shape, told, f"the parameter {weight.name}")
            except InvalidArgumentError:
                self.weights[weight.name] = None
            except ShapeError as error:
                self.problems.add("E060", weight.span, str(error), expected=error.expected, hint=error.hint)
                self.weights[weight.name] = None
            tensors.append((weight.name, shape, not weight.trainable))
        if tensors:
            self.layers["params"] = LayerUse("params", None, tuple(tensors), tuple(setups))

    def _parts_clash(self, weight: Weight) -> None:
        """`W_g` is a parameter's name, and that of the lengths of a weight-normed `W`."""
        parametrize = weight.said.get("parametrize")
        parts = PARAMETRIZATIONS[parametrize.name].parts if parametrize is not None else ()
        for other in self.spec.weights:
            if other.name in (f"{weight.name}_{part}" for part in parts):
                assert parametrize is not None
                self.problems.add(
                    "E045",
                    other.span,
                    f"{other.name} is what {parametrize.name} of {weight.name} calls a part of it",
                    hint=f"write '{other.name}_'",
                    related=[Related(parametrize.span, f"the parametrisation of {weight.name}")],
                )

    @property
    def numbers(self) -> Numbers:
        """The numbers that are known everywhere."""
        return {**self.spec.constants, "scales": {"count": len(self.spec.scales)}}

    def _too_large(self, step: Step, what: str) -> None:
        """Ends the compilation: what is written out from here on is not worth its time."""
        self.problems.add("E090", step.span, f"the model has {what}", hint="write a smaller model")
        raise SpecError(self.problems.sorted())


def _segment(step: Step, used: dict[str, int]) -> str:
    """A step's part of the path: the name it is given, or its own, numbered from its second use in a chain on."""
    given = step.arguments.get(NAME.name)
    if isinstance(given, Literal) and step.name in STEPS and isinstance(given.value, str):
        return given.value
    count = used.get(step.name, 0)
    used[step.name] = count + 1
    return f"{step.name}_{count}" if count else step.name
