"""What the compiler made of a spec, and why: the text of `deqc explain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from deqc.choose import DENSE
from deqc.compiler import Compilation, reads_derivatives, reads_products
from deqc.emit.naming import field_names, origin
from deqc.emit.render import adjoint_text, jacobian_text, solver_text
from deqc.ir.graph import Node, Program, body, called_modules, is_buffer, reachable
from deqc.ir.printer import show_program
from deqc.ir.sizes import axes, names
from deqc.ir.symmetry import is_symmetric
from deqc.ops import OPS
from deqc.passes import PIPELINE
from deqc.solvers import ADJOINTS, INNER_SOLVERS, LINEAR_SOLVERS, SOLVERS
from deqc.solvers.linear import PROBES
from deqc.solvers.torchdiffeq import PREFIX
from deqc.spec.model import Literal, Parameter, Solver
from deqc.types import named, show

EXACT = frozenset({"implicit", "unroll", "reversible", "discrete"})
OF_THE_EQUATION = frozenset({"gauss", "backsolve", "odeint_adjoint"})  # of a neural ODE's, not of its steps
BYTES = 4  # of a float32


def explain(compilation: Compilation, ir: bool = False) -> str:
    """Shapes, parameters, costs, solver, adjoint, passes and notes; with `ir`, the program after each pass too."""
    sections = [
        _title(compilation),
        _table("Shapes", _shapes(compilation)),
        _table("Parameters", _parameters(compilation)),
        _table("Blocks", _blocks(compilation)),
        _table("Once a solve", _weights(compilation.program)),
        _table("Cost a sample, float32", _costs(compilation)),
        _table("Solve", _methods(compilation)),
        _list("Passes", _passes(compilation)),
        _list("Notes", list(_notes(compilation))),
    ]
    if ir:
        sections += [f"After {name}:\n\n{show_program(program)}" for name, program in compilation.stages]
    return "\n".join(section for section in sections if section)


def _title(compilation: Compilation) -> str:
    spec = compilation.spec
    lines = [f"{spec.name}  (sha256 {compilation.plan.spec_sha256[:12]}…)"]
    if spec.description:
        lines.append(spec.description)
    return "\n".join([*lines, "", *compilation.plan.title[: _equation_length(compilation)], ""])


def _equation_length(compilation: Compilation) -> int:
    return compilation.plan.title.index("")


def _shapes(compilation: Compilation) -> Iterator[tuple[str, ...]]:
    program = compilation.lowered
    for node in program.inputs:
        yield f"input {node.attributes['name']}", str(node.type)
    for node in program.encoded:
        yield f"encoder {node.hint}", str(node.type)
    for k, scale in enumerate(program.scales):
        yield f"scale {k}", f"{show(scale.shape)}, numbers {scale.start} to {scale.stop - 1} of the state"
    for k, node in enumerate(program.hidden):
        yield f"h_{k}", str(node.type)
    yield "state", f"(B, {program.size})"
    for name, node in zip(program.output_names or ("",), program.outputs, strict=False):
        yield f"output {name}".rstrip(), str(node.type)


def _parameters(compilation: Compilation) -> Iterator[tuple[str, ...]]:
    leaves = [n for n in compilation.lowered.nodes if n.op == "parameter"]
    total = 0
    for node in leaves:
        name = node.attributes["name"]
        buffer = is_buffer(node)
        total += 0 if buffer else prod(node.type.shape)
        yield f"{node.attributes['layer']}.{name}", str(node.type), "buffer" if buffer else ""
    yield "in all", str(total)


def _blocks(compilation: Compilation) -> Iterator[tuple[str, ...]]:
    """The parameters of blocks as they are declared: each with its default and what it is for."""
    for block in compilation.spec.blocks.values():
        for one in block.parameters:
            yield f"{block.name}.{one.name}", _default(one), " ".join((one.description or "").split())


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "to be given"
    match parameter.default:
        case None:
            return "null"
        case Literal(value):
            return str(value).lower() if isinstance(value, bool) else str(value)
        case _:
            return "a computation"


def _weights(program: Program) -> Iterator[tuple[str, ...]]:
    """What f reads besides z: hoisted out of the loop, or parameters as they stand."""
    for node, name in field_names(program).items():
        yield f"{'m' if node.type.sparse else 'w'}.{name}", str(node.type), origin(node) or "computed from the inputs"


def _costs(compilation: Compilation) -> Iterator[tuple[str, ...]]:
    """Multiplications and additions, and bytes of the values made, by part."""
    program, derivatives = compilation.program, compilation.derivatives
    yield "f", *_cost(body(program))
    before = frozenset(n for n in program.nodes if n.leaf)
    yield "weights, once a solve", *_cost(tuple(reachable(program.boundary, before)))
    if derivatives is not None:
        stop = frozenset(program.boundary) | frozenset(derivatives.shared) | {derivatives.u}
        yield "linearize, once a backward", *_cost(tuple(reachable(derivatives.shared, frozenset(program.boundary))))
        yield "(df/dz)^T u", *_cost(tuple(reachable((derivatives.vjp,), stop)))
    if program.outputs:
        yield "head", *_cost(tuple(reachable(program.outputs, before)))


def _cost(nodes: Sequence[Node]) -> tuple[str, str]:
    made = [n for n in nodes if not n.leaf]
    flops = sum(OPS[n.op].flops(n.attributes, [o.type for o in n.operands], n.type) for n in made)
    size = sum(BYTES * n.type.size for n in made if n.type.batched)
    return f"{flops} flops", f"{size} bytes"


def _methods(compilation: Compilation) -> Iterator[tuple[str, ...]]:
    spec, plan = compilation.spec, compilation.plan
    chosen = " (chosen: auto)" if spec.solver.method.name == "auto" else ""
    yield "start", {"zeros": "zeros", "step": "f(0, x)", "chains": "computed from the inputs"}[plan.start]
    yield "solver", solver_text(plan.solver) + chosen
    linear = spec.adjoint.linear_solver
    chosen = " (linear solver chosen: auto)" if linear is not None and linear.name == "auto" else ""
    yield "adjoint", f"{adjoint_text(plan.adjoint)}{chosen}: {exactness(compilation)}"
    if compilation.solver.record:
        *numbers, last = plan.solver.record
        after = f"steps {', '.join(numbers)} and {last}" if numbers else f"step {last}"
        yield "recorded", f"the state after {after}, {_correction(compilation)}"
    if plan.jacobian_loss is not None:
        yield "Jacobian loss", jacobian_text(plan.jacobian_loss)
    derivatives = compilation.derivatives
    called = called_modules(compilation.program)
    if called:
        modules = " and ".join(called)
        yield "derivatives of f", f"by torch.func: f calls {modules}, which deqc does not see into; a backward solve"
        yield "", "evaluates f once more, and keeps what torch needs for its products until it ends"
    elif derivatives is None and reads_derivatives(plan.solver, plan.adjoint, plan.jacobian_loss):
        yield "derivatives of f", "by torch.func: generated rules are switched off"
    elif derivatives is None:
        yield "derivatives of f", "by torch's autograd: nothing needs more"
    elif derivatives.autograd:
        yield "derivatives of f", f"generated, but {', '.join(derivatives.autograd)} by torch's autograd (no rule)"
        if reads_products(plan.solver, plan.jacobian_loss) and derivatives.jvp is None:
            yield "", f"products (df/dz) v by torch.func: {', '.join(derivatives.autograd)} has no rule"
    else:
        yield "derivatives of f", "generated, every op by its rule"
    dense = f"with the Jacobian of each sample where its state has at most {DENSE} numbers, else by products alone"
    if not named(size := compilation.lowered.size):
        dense = "with the Jacobian of each sample" if size <= DENSE else f"by products alone: more than {DENSE} numbers"
    if compilation.solver.time is None:
        yield "deqc verify", dense


def _correction(compilation: Compilation) -> str:
    """The derivatives of the states that are recorded."""
    adjoint = compilation.plan.adjoint
    if adjoint.method in ("unroll", "none"):
        return "with the derivatives of the steps that lead there" if adjoint.method == "unroll" else "a constant"
    steps = adjoint.options["steps"] if adjoint.method == "phantom" else "1"
    damped = " damped" if adjoint.method == "phantom" else ""
    return f"with the derivatives of {steps}{damped} step{'' if steps == '1' else 's'} from there"


def exactness(compilation: Compilation) -> str:
    """What the adjoint gives: exact gradients, those of the equation, approximate ones, or none."""
    name = compilation.adjoint.method.name
    if name == "none":
        return "no gradient passes through the solution"
    if name in OF_THE_EQUATION:
        given = compilation.adjoint.method.options.get("integrator")
        back = SOLVERS[compilation.solver.method.name if given is None else f"{PREFIX}{given}"]
        held = "tolerance" if "step_rtol" in back.defaults else "step_size"
        return f"exact up to the {held} of the backward integration"
    return "exact" if name in EXACT and compilation.plan.adjoint.exact else "approximate"


def _passes(compilation: Compilation) -> list[str]:
    ran = {name for name, _ in compilation.stages}
    notes = list(compilation.program.notes)
    spoken = {note.partition(":")[0] for note in notes}
    for step in PIPELINE:
        if step.name not in ran:
            notes.append(f"{step.name}: switched off")
        elif step.name not in spoken:
            notes.append(f"{step.name}: nothing to do")
    order = [step.name for step in PIPELINE]
    return sorted(notes, key=lambda note: order.index(note.partition(":")[0]))


def _notes(compilation: Compilation) -> Iterator[str]:
    """What a reader may not expect: settings that are not used, approximations, tolerances that depend on the loss."""
    solver, adjoint, linear = compilation.solver, compilation.adjoint, compilation.adjoint.linear_solver
    untested = solver.untested if solver.time is None else ()
    if solver.time is not None:
        yield from _of_time(solver)
    if "rtol" in untested and "rtol" in solver.method.written:
        also = " but as the default of the adjoint's" if linear is not None and "rtol" not in linear.written else ""
        yield f"rtol {solver.rtol:g} is not used by the stop test {solver.mode}{also}"
    if "atol" in untested and "atol" in solver.method.written:
        yield f"atol {solver.atol:g} is not used by the stop test {solver.mode}"
    for name in untested:
        if name in solver.evaluation:
            yield f"{name} {solver.evaluation[name]:g} of eval is not used by the stop test {solver.mode}"
    if solver.evaluation and adjoint.method.name == "implicit":
        yield "in eval mode too, the backward solve has the tolerance, the steps and the on_failure of training"
    for one in (linear, solver.linear_solver):
        if one is not None and one.name == "lu" and "max_steps" in one.written:
            yield f"max_steps {one.options['max_steps']} is not used by lu, which factorises instead of taking steps"
    yield from _inner_notes(solver)
    if any(
        one is not None and one.options.get("preconditioner") == "diagonal" for one in (linear, solver.linear_solver)
    ):
        yield f"the preconditioner takes {PROBES} products with df/dz for each linear system"
    if linear is not None and linear.options.get("preconditioner") == "broyden":
        yield (
            "the preconditioner is what each sample's solve ends with, the identity where it took no step; a look at "
            "the residual takes one product more; under torch.compile it is left out"
        )
    if linear is not None and linear.options.get("factors") == "last_step":
        size = compilation.lowered.size
        kept = "D^2" if named(size) else str(size * size)
        yield (
            f"lu refines to its rtol what the factors of each sample's last step give, {kept} numbers that a sample "
            "keeps for the backward pass; where that does not do it factorises at the solution"
        )
    if linear is not None and linear.options.get("atol"):
        yield "the linear solver's atol makes the gradient depend on the scale of the loss; rtol alone does not"
    if compilation.program.start_kind == "chains" and adjoint.method.name != "unroll" and solver.time is None:
        yield (
            "z* does not depend on where the solve starts: the layers of init learn only from a loss on solution.u0, "
            "e.g. the distance to solution.z_star"
        )
    if solver.record:
        yield "recorded and recorded_outputs are fields of what solve returns: forward does not compute them"
    if solver.compaction:
        where = "under torch.compile and the transforms of torch.func"
        if not compilation.plan.compacts:
            where = "where samples share their steps or their end"
            if adjoint.method.name == "unroll":
                where = "where autograd goes through all steps"
        yield f"compaction has no effect {where}"
    if solver.precision == "mixed":
        yield (
            "precision mixed: under autocast f runs in its dtype at first, for at most half of max_steps beside those "
            "of the second phase; the backward solve and all else keep the precision of the parameters"
        )
    for name in names(i.type for i in compilation.lowered.inputs):
        places = [(i.attributes["name"], axes(i.type)) for i in compilation.lowered.inputs]
        found = " and ".join(f"{given}.shape[{axis[name]}]" for given, axis in places if name in axis)
        yield f"{name} is known at the call only: {found}"
    for node in compilation.lowered.inputs:
        if node.type.sparse:
            name = node.attributes["name"]
            yield f"{name} is sparse: it gets no gradient, and torch.compile and torch.export refuse it"
    iteration = compilation.plan.solver.iteration
    if iteration.eager:
        yield f"torch.compile(fullgraph=True), torch.export and vmap refuse {iteration.name}: {iteration.eager}"
        if iteration.note:
            yield iteration.note
    if adjoint.linear_solver is not None and not compilation.plan.adjoint.exact:
        name = adjoint.linear_solver.name
        yield f"linear solver {name}: {LINEAR_SOLVERS[name].summary} A backward solve that ends there is no failure"
    if is_symmetric(compilation.lowered):
        yield "df/dz is symmetric, as the form of f shows: cg takes it"
    elif "symmetric" in (solver.method.options.get("assume"), adjoint.method.options.get("assume")):
        yield "df/dz is taken to be symmetric, because the spec says so: where it is not, cg gives a wrong gradient"
    if compilation.plan.adjoint.checkpoint:
        yield "checkpoint has no effect under the transforms of torch.func, which keep all of every step"
    if adjoint.method.name == "reversible":
        yield "undone, every step makes rounding errors larger by about 1 / (1 - damping): keep the steps few"
    if adjoint.method.name not in EXACT:
        yield f"adjoint {adjoint.method.name}: {ADJOINTS[adjoint.method.name].summary}"
    loss = compilation.spec.jacobian_regularization
    if loss is not None:
        yield "the Jacobian loss is the field jacobian_loss of what solve returns: forward does not compute it"
        if loss.through_solution and adjoint.method.name == "none":
            yield "through_solution is not used: with the adjoint none the solution is a constant to every loss"
    for node in compilation.lowered.nodes:
        if node.op in ("sum", "mul"):
            for operand in node.operands:
                if operand.op == "input" and node.span is not None:
                    yield f"line {node.span.line}: a branch of {node.op} is the input {operand.hint} as it stands"
    inside = set(body(compilation.program))
    for node in compilation.program.nodes:
        if node.op == "detach" and node in inside and node.span is not None:
            yield f"line {node.span.line}: detach inside f: gradients through the solution are not those of f as it is"
    for warning in compilation.warnings:
        yield f"line {warning.span.line}: {warning.message}"


def _inner_notes(solver: Solver) -> Iterator[str]:
    """Of the linear solver of a solver's steps."""
    inner = solver.linear_solver
    if inner is None:
        return
    if inner.name == "lu":
        if solver.method.name == "newton_krylov":
            yield "newton_krylov by lu is newton"
        if "rtol" in inner.written:
            yield f"rtol {inner.options['rtol']:g} is not used by lu, which is exact"
        if "forcing" in solver.method.written:
            yield f"forcing {solver.method.options['forcing']} is not used: lu is exact"
        for name, value in solver.linear_evaluation.items():
            yield f"{name} {value:g} of eval is not used by lu, which is exact"
    elif not INNER_SOLVERS[inner.name].exact:
        yield f"linear solver {inner.name}: a step is as good as its few terms are"


def _of_time(solver: Solver) -> Iterator[str]:
    """What a neural ODE's settings do not do."""
    held = "step_rtol" in solver.method.options
    for name in ("rtol", "atol"):
        if name in solver.method.written and (not held or f"step_{name}" in solver.method.written):
            yield f"{name} is not used: {f'step_{name} is' if held else 'step_size is'} what decides the steps"


def _table(title: str, rows: Iterator[tuple[str, ...]]) -> str:
    cells = list(rows)
    if not cells:
        return ""
    widths = [max((len(row[k]) for row in cells if k < len(row)), default=0) for k in range(max(map(len, cells)))]
    lines = ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=False)).rstrip() for row in cells]
    return "\n".join([title, *lines, ""])


def _list(title: str, items: list[str]) -> str:
    return "\n".join([title, *(f"  {item}" for item in items), ""]) if items else ""
