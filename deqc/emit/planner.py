"""From the optimised program and its adjoint to the plan of a module."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import prod

from deqc.adjoint import Adjoint
from deqc.emit.block import Block, layer_code, module_code
from deqc.emit.equation import equation, shapes
from deqc.emit.layout import WIDTH, statement
from deqc.emit.mask import spread
from deqc.emit.naming import Namer, field_names, origin, wish
from deqc.emit.plan import (
    AdjointPlan,
    Argument,
    Derivatives,
    JacobianPlan,
    Lines,
    Locals,
    Member,
    Operator,
    Plan,
    ScalePlan,
    SectionPlan,
    SolverPlan,
)
from deqc.emit.render import adjoint_text, jacobian_text, solver_text
from deqc.emit.setup import helpers, iterations, partings, projections, starts, tensors_code
from deqc.emit.sizes import statements
from deqc.ir.graph import Node, Program, called_modules, is_buffer, reachable
from deqc.ir.sizes import names as dimension_names
from deqc.ops import OPS
from deqc.ops.code import Attribute, Call, Code, Items, Text, call, flat, literal, method
from deqc.types import BATCH, FLOAT, Type, named

IN_FUNCTIONS = frozenset(
    {"z", "u", "w", "m", "at", "f", "F", "torch", "nn", "vjp", "linearize", "pullback", "jacobian", "needed"}
)
IN_METHODS = frozenset(
    {"self", "z", "f", "F", "torch", "nn", "pack", "unpack", "Weights", "Encoded", "Output"}
    | {"equilibrium", "final_state", "saved_states"}
)
NONE = Text("_EMPTY")  # the gradient of what has none
MARKS = (("_derivative", "d_"), ("_scale", "s_"))  # how what a rule reads is called after the value it belongs to
FUNCTIONAL = frozenset(
    {"_rows", "_by_key", "_by_distance", "_layer_norm", "_group_norm"}
)  # functions of the module that call F


@dataclass(frozen=True)
class Identity:
    """What the header of a module says of its origin."""

    deqc_version: str
    spec_name: str
    spec_sha256: str
    modules: tuple[str, ...] = ()  # of the user's, in the order of the spec
    constants: str = ""  # those that were set for this compilation, `width=128`


def plan(
    identity: Identity,
    source: Program,
    program: Program,
    adjoint: Adjoint | None,
    solver: SolverPlan,
    adjoint_plan: AdjointPlan,
    jacobian_loss: JacobianPlan | None = None,
) -> Plan:
    """The plan; `source` is the program before optimisation, which still reads like the spec."""
    return _Planner(identity, source, program, adjoint, solver, adjoint_plan, jacobian_loss).plan()


@dataclass
class _Planner:
    identity: Identity
    source: Program
    program: Program
    adjoint: Adjoint | None
    solver: SolverPlan
    adjoint_plan: AdjointPlan
    jacobian_loss: JacobianPlan | None
    functions: set[str] = field(default_factory=set)
    names: dict[Node, str] = field(default_factory=dict)  # of values in linearize: f calls them the same
    texts: list[str] = field(default_factory=list)
    sized: set[Node] = field(default_factory=set)  # roots of methods that read sizes from the inputs

    def __post_init__(self) -> None:
        self.fields = field_names(self.program)
        self.boundary = tuple(n for n in self.program.boundary if not n.type.sparse)  # what is a weight
        self.inputs = [str(i.attributes["name"]) for i in self.program.inputs]
        self.dimensions = dimension_names(i.type for i in self.program.inputs)
        names = Namer(IN_METHODS | set(self.inputs) | set(self.dimensions))
        wanted = ("w", "u0", "e", "record", "m", "z_star", "mask", "states", "trajectory", "kept", "outputs", "low")
        self.locals = Locals(*map(names.fresh, wanted))
        self.encoded = self._encoded()
        namer = Namer(())
        self.encoded_names = {e: namer.fresh(e.hint or "encoded") for e in self.encoded}

    def plan(self) -> Plan:
        """Every body, then what is known once all of them are written."""
        program = self.program
        derivatives = self._derivatives()
        f = self._function((program.f,), lambda b: b.code(program.f), wishes=self.names)
        encode = self._encode()
        weights = self._weights()
        start = self._value(program.start) if program.start is not None else ()
        head = self._head()
        sections = self._sections()
        layers = program.layers
        self.functions |= helpers(layers)
        scaled = dimension_names(Type(s.shape) for s in program.scales)
        like = self._like()
        code = "\n".join([*self.texts, *f, *weights, *head, *start, *encode])
        return Plan(
            deqc_version=self.identity.deqc_version,
            spec_name=self.identity.spec_name,
            spec_sha256=self.identity.spec_sha256,
            constants=self.identity.constants,
            class_name=program.name,
            title=self._title(),
            class_doc="The model; parameters are named by their place in the spec.",
            inputs=tuple(
                Argument(n, str(i.type), tuple(map(str, i.type.shape)), _described(i.type))
                for n, i in zip(self.inputs, program.inputs, strict=True)
            ),
            scales=tuple(ScalePlan(s.shape, s.start, s.stop) for s in program.scales),
            single=len(program.scales) == 1,
            size=program.size,
            dimensions=scaled,
            sizes=statements(scaled, self._inputs_given()),
            like=like,
            masks=self._masks(),
            blank="self._blank(" in f"{code}\n{like if program.start_kind != 'chains' else ''}",
            plain=all(i.type.batched and i.type.differentiable for i in program.inputs) and not self.dimensions,
            real=all(i.type.dtype == FLOAT for i in program.inputs),
            fixed=sum(not n.type.differentiable for n in self.boundary),
            images=any(len(s.shape) == 3 for s in program.scales),
            weights=tuple(Member(self.fields[n], _comment(n, self.fields[n])) for n in self.boundary),
            sampled=tuple(self.fields[n] for n in self.boundary if n.type.batched),
            f=f,
            derivatives=derivatives,
            sections=sections,
            starts=(*starts(layers), *partings(layers)),
            project=projections(layers),
            turn=iterations(layers),
            nested=_nested([layer.path for layer in program.layers]),
            locals=self.locals,
            encoded=tuple(Member(self.encoded_names[e], str(e.type)) for e in self.encoded),
            encode=encode,
            weights_body=weights,
            start=program.start_kind,
            start_body=start,
            head=head,
            head_reads_inputs=self._reads_inputs(program.outputs),
            outputs=self._outputs(),
            start_reads_inputs=bool(program.start and self._reads_inputs((program.start,))),
            modules=tuple(self.identity.modules),
            operators=self._operators(),
            functional=bool(re.search(r"(?<![\w.])F\.", code)) or not self.functions.isdisjoint(FUNCTIONAL),
            convolution_gradients="torch.nn.grad." in "\n".join(self.texts),
            functions=tuple(sorted(self.functions)),
            autograd_rules="_pull" in self.functions,
            solver=self.solver,
            adjoint=self.adjoint_plan,
            jacobian_loss=self.jacobian_loss,
        )

    def _operators(self) -> tuple[Operator, ...]:
        """What f applies that is no weight: the user's modules, and sparse matrices."""
        modules = [Operator(name, "nn.Module", f"self.{name}") for name in called_modules(self.program)]
        sparse = [n for n in self.program.boundary if n.type.sparse]
        inputs = dict(zip(self.program.inputs, self.inputs, strict=True))
        return (*modules, *(Operator(self.fields[n], "Tensor", inputs[n], str(n.type)) for n in sparse))

    # bodies of functions: f, linearize, vjp, pullback

    def _weights_given(self) -> dict[Node, Code]:
        return {n: Attribute(Text("m" if n.type.sparse else "w"), name) for n, name in self.fields.items()}

    def _function(
        self,
        roots: tuple[Node, ...],
        result: Callable[[Block], Code],
        given: dict[Node, Code] | None = None,
        wishes: dict[Node, str] | None = None,
    ) -> Lines:
        known = {self.program.state: Text("z"), **self._weights_given()} if given is None else given
        return self._finished(self._block(roots, known, wishes), result)

    def _block(self, roots: tuple[Node, ...], known: dict[Node, Code], wishes: dict[Node, str] | None = None) -> Block:
        sources = self._weights_given() if self.dimensions else {}
        return Block(roots, known, IN_FUNCTIONS, 4, wishes=wishes, dimensions=self.dimensions, sources=sources)

    def _finished(self, block: Block, result: Callable[[Block], Code]) -> Lines:
        lines = block.returned(result(block))
        self.functions |= block.functions
        self.texts += block.texts
        return lines

    def _derivatives(self) -> Derivatives | None:
        if self.adjoint is None:
            return None
        adjoint = self.adjoint
        given: dict[Node, Code] = {self.program.state: Text("z"), **self._weights_given()}
        block = self._block(adjoint.shared, given)
        self.names = block.names
        namer = Namer({"count", "index"})
        members = {n: namer.fresh(self.fields.get(n) or _member(n, block)) for n in adjoint.shared}
        wishes = {g: f"g_{_member(n, block)}" for n, g in reversed(list(adjoint.cotangents.items())) if not g.leaf}
        at: dict[Node, Code] = {n: Attribute(Text("at"), name) for n, name in members.items()}
        linearize: Lines = ()
        if members:
            linearize = self._finished(block, lambda b: call("Linearization", *(b.code(n) for n in adjoint.shared)))
        weights = self._weights_given()
        inside: dict[Node, Code] = {adjoint.u: Text("u"), **weights, **at}
        vjp = self._function((adjoint.vjp,), lambda b: b.code(adjoint.vjp), inside, wishes)
        jvp: Lines = ()
        if (product := adjoint.jvp) is not None:
            jvp = self._function((product,), lambda b: b.code(product), {adjoint.v: Text("u"), **weights, **at})
        known: dict[Node, Code] = {adjoint.u: Text("u"), self.program.state: Text("z"), **at, **weights}
        cotangents = [p for n, p in zip(self.program.boundary, adjoint.pullback, strict=True) if not n.type.sparse]
        roots = tuple(p for p in cotangents if p is not None)

        def result(block: Block) -> Code:
            zero = [call("torch.zeros_like", weights[n]) if n.type.differentiable else NONE for n in self.boundary]
            parts = [
                z if p is None else block.where(block.code(p), f"needed[{k}]", f"g_{self.fields[n]}", NONE)
                for k, (n, p, z) in enumerate(zip(self.boundary, cotangents, zero, strict=True))
            ]
            return call("Weights", *parts)

        pullback = self._function(roots, result, known, wishes)
        if members and any("at." in line for line in pullback):
            operators = ", m" if self._operators() else ""
            pullback = (f"at = linearize(z, w{operators})", *pullback)
        return Derivatives(
            members=tuple(Member(name, str(node.type)) for node, name in members.items()),
            linearize=linearize,
            vjp=vjp,
            pullback=pullback,
            rows=adjoint.rows,
            jvp=jvp,
            overlap=max(Counter(map(_memory, (*members, *self.boundary))).values(), default=0) > 1,
        )

    # bodies of methods: encode, weights, _initial, _head

    def _encoded(self) -> tuple[Node, ...]:
        """Encoder values that more than one of the weights, the start and the head read."""
        program = self.program
        regions = [program.boundary, (program.start,) if program.start else (), program.outputs]
        inside = [frozenset(reachable(r)) for r in regions]
        several = frozenset(e for e in program.encoded if sum(e in region for region in inside) > 1 and not e.leaf)
        read = {o for r in regions for n in reachable(r, several) for o in n.operands} | {n for r in regions for n in r}
        return tuple(dict.fromkeys(e for e in program.encoded if e in several and e in read))

    def _inputs_given(self) -> dict[Node, Code]:
        return {i: Text(n) for i, n in zip(self.program.inputs, self.inputs, strict=True)}

    def _method(
        self,
        roots: tuple[Node, ...],
        result: Callable[[Block], Code],
        extra: dict[Node, Code] | None = None,
        whole: bool = False,
    ) -> Lines:
        given: dict[Node, Code] = {**self._inputs_given(), **(extra or {})}
        if not whole:
            given |= {e: Attribute(Text(self.locals.encoded), n) for e, n in self.encoded_names.items()}
        order = tuple(reachable(roots, frozenset(given)))
        for node in order:
            if node.op == "parameter":
                given[node] = Attribute(layer_code(node.attributes["layer"]), node.attributes["name"])
            elif node.op == "parameters":
                given[node] = call("_parameters", module_code(node.attributes["module"]))
                self.functions.add("_parameters")
        common = {self.locals.encoded, self.locals.weights, self.locals.start, self.locals.modules}
        reserved = IN_METHODS | set(self.inputs) | common
        wishes = {n: name for n, name in self.fields.items() if n not in given}
        sources = self._inputs_given()
        block = Block(
            roots, given, reserved, 8, wishes=wishes, layers=True, dimensions=self.dimensions, sources=sources
        )
        lines = self._finished(block, result)
        if block.sizes:
            self.sized.update(roots)
        return lines

    def _encode(self) -> Lines:
        if not self.encoded:
            return ()
        roots = self.encoded
        return self._method(roots, lambda b: call("Encoded", *(b.code(n) for n in roots)), whole=True)

    def _weights(self) -> Lines:
        """Each with a memory of its own: a compiled loop takes no two tensors that share theirs."""
        roots = self.boundary
        memories = [_memory(n) for n in roots]
        tenants = Counter(memories)
        shared = {n for n, own in zip(roots, memories, strict=True) if n is not own and tenants[own] > 1}

        def given(block: Block) -> Code:
            return call("Weights", *(method(block.code(n), "clone") if n in shared else block.code(n) for n in roots))

        return self._method(roots, given)

    def _value(self, root: Node, extra: dict[Node, Code] | None = None) -> Lines:
        return self._method((root,), lambda block: block.code(root), extra)

    def _head(self) -> Lines:
        roots, names = self.program.outputs, self.program.output_names
        given: dict[Node, Code] = {self.program.solution: Text("z")}
        if not names:
            return self._value(roots[0], given) if roots else ()
        return self._method(roots, lambda b: call("Output", *(b.code(n) for n in roots)), given)

    def _outputs(self) -> tuple[Member, ...]:
        names = self.program.output_names or ("",) * len(self.program.outputs)
        return tuple(Member(name, str(n.type)) for name, n in zip(names, self.program.outputs, strict=True))

    def _reads_inputs(self, roots: tuple[Node, ...]) -> bool:
        read = any(n.op == "input" for n in reachable(roots, frozenset(self.encoded)))
        return read or not self.sized.isdisjoint(roots)

    def _masks(self) -> Lines:
        shapes = {name: one.type.shape for name, one in zip(self.inputs, self.program.inputs, strict=True)}
        mask = self.solver.mask
        return tuple(spread(mask, shapes[mask], scale.shape) for scale in self.program.scales) if mask else ()

    def _like(self) -> str:
        """What gives zeros their batch, device and dtype: the first input of real numbers for each sample."""
        batched = [(name, i) for name, i in zip(self.inputs, self.program.inputs, strict=True) if i.type.batched]
        real = next((name for name, i in batched if i.type.dtype == FLOAT), None)
        return real or f"self._blank({batched[0][0]})"

    # the table of layers and the docstring

    def _sections(self) -> tuple[SectionPlan, ...]:
        sections: dict[str, list[tuple[str, str]]] = {}
        for layer in self.program.layers:
            section, _, rest = layer.path.partition(".")
            sections.setdefault(section, []).append((rest, layer.constructor or tensors_code(layer)))
        plans = []
        for name, layers in sections.items():
            if layers[0][0] == "":  # the parameters of the model itself
                plans.append(
                    SectionPlan(name, statement(f"self.{name} = ", call("cast", Text("Any"), Text(layers[0][1])), 8))
                )
                continue
            rows = tuple(Text(f'"{path}": {constructor}') for path, constructor in layers)
            table = Items(rows, "{}")
            lines = statement(f"self.{name} = ", Call(Text("_tree"), (table,)), 8)
            if len(lines) == 1 and len(rows) > 1:
                body = tuple(f"        {flat_row.text}," for flat_row in rows)
                lines = (f"self.{name} = _tree(", "    {", *body, "    }", ")")
            plans.append(SectionPlan(name, lines))
        return tuple(plans)

    def _title(self) -> Lines:
        parameters = sum(_size(n) for n in self.source.nodes if n.op == "parameter" and _learned(n))
        inputs = ", ".join(f"{n} {i.type}" for n, i in zip(self.inputs, self.program.inputs, strict=True))
        state = ("State    " if len(self.program.scales) == 1 else "Scales   ") + shapes(self.program)
        outputs = ", ".join(f"{one.name} {one.comment}".lstrip() for one in self._outputs())
        output = [f"Output   {outputs}"] if outputs else []
        parts = [f"Input    {inputs}", state, *output, f"Parameters   {parameters}"]
        line = "     ".join(parts)
        lines = [*equation(self.source, self.solver.time is not None), "", *([line] if len(line) <= WIDTH else parts)]
        lines.append(f"Solver   {solver_text(self.solver)}")
        lines.append(f"Adjoint  {adjoint_text(self.adjoint_plan)}")
        if self.jacobian_loss is not None:
            lines.append(f"Jacobian loss  {jacobian_text(self.jacobian_loss)}")
        return tuple(lines)


def _memory(node: Node) -> Node:
    """The value in whose memory this one lies: itself, or what it is a view of."""
    while not node.leaf and OPS[node.op].view:
        node = node.operands[0]
    return node


def _member(node: Node, block: Block) -> str:
    """How the value is called in `linearize`; derivatives, normalised values and scales after the value they are of."""
    after = next((mark for end, mark in MARKS if node.op.endswith(end)), "")
    if node.op.endswith("_norm") and len(node.operands) == 1:
        after = "n_"
    of = node.operands[0] if after else node
    code = block.known(of)
    name = code.text if isinstance(code, Text) and code.text.isidentifier() else wish(of)
    return f"{after}{name}"


def _described(kind: Type) -> str:
    """`"float", ("B", "N", 50)`: what a call checks of an input."""
    shape = [literal(str(n)) if named(n) else literal(n) for n in kind.shape]
    shape = [literal(BATCH), *shape] if kind.batched else shape
    word = "sparse_csr" if kind.sparse else kind.dtype
    return f'"{word}", {flat(Items(tuple(shape), "()"))}'


def _nested(paths: list[str]) -> bool:
    folders = {".".join(parts[:k]) for parts in (path.split(".") for path in paths) for k in range(1, len(parts))}
    return not folders.isdisjoint(paths)


def _learned(leaf: Node) -> bool:
    return not is_buffer(leaf)


def _size(node: Node) -> int:
    return prod(node.type.shape)


def _comment(node: Node, name: str) -> str:
    """Shape and origin beside a field, as far as they fit on its line."""
    parts: Iterable[str] = ("" if node.op == "parameters" else str(node.type), origin(node))
    text = ", ".join(p for p in parts if p)
    return text if len(text) <= min(72, WIDTH - len(f"    {name}: Tensor  # ")) else str(node.type)
