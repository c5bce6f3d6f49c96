"""The stages of the compiler, in order; each reads only what the one before made.

load       text            -> tree      YAML with positions                 deqc.spec.loader
meant      tree            -> tree      misspelt sections                   deqc.spec.meant
validate   tree            -> tree      JSON Schema                         deqc.spec.validate
build      tree            -> Spec      names, short forms, structure       deqc.spec.build
lower      Spec            -> Program   shapes; the meaning, as IR          deqc.lower
choose     Spec, Program   -> settings  what `auto` becomes                 deqc.choose
optimise   Program         -> Program   passes                              deqc.passes
adjoint    Program         -> Adjoint   reverse mode of f, as IR            deqc.adjoint
plan       Program, …      -> Plan      names and statements                deqc.emit.planner
render     Plan            -> text      templates                           deqc.emit.render
check      text            -> text      the output holds nothing unsafe     deqc.emit.check
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from deqc.adjoint import Adjoint as Derivatives
from deqc.adjoint import adjoint as differentiate
from deqc.choose import choose
from deqc.chosen import adjoint_plan, jacobian_plan, solver_plan
from deqc.diagnostics import Diagnostic, Problems
from deqc.emit.check import check_output
from deqc.emit.plan import AdjointPlan, JacobianPlan, Plan, SolverPlan
from deqc.emit.planner import Identity, plan
from deqc.emit.render import render
from deqc.front import NONE, read_spec
from deqc.ir.graph import Program, called_modules
from deqc.ir.sizes import arranged
from deqc.lower import lower
from deqc.ops.code import literal
from deqc.passes import optimise
from deqc.spec.canonical import sha256
from deqc.spec.model import Adjoint, Number, Solver, Spec
from deqc.spec.tree import Mapping as Tree
from deqc.version import __version__

ADJOINT = "adjoint"  # the name by which generated derivatives are switched off, beside those of the passes


@dataclass(frozen=True)
class Compilation:
    """All that one compilation knows; `source` is the module."""

    spec: Spec
    solver: Solver
    adjoint: Adjoint
    lowered: Program
    program: Program
    derivatives: Derivatives | None
    plan: Plan
    source: str
    stages: tuple[tuple[str, Program], ...] = ()  # the program after each pass
    warnings: tuple[Diagnostic, ...] = field(default=())

    @property
    def module_name(self) -> str:
        """The name of the module's file, without `.py`: the model's in snake case."""
        return snake_case(self.spec.name)


def compile_text(
    text: str,
    file: str,
    disable: frozenset[str] = frozenset(),
    constants: Mapping[str, Number] = NONE,
    settings: Tree | None = None,
) -> Compilation:
    """Compiles a spec; `disable` names passes to leave out, and `adjoint`; `constants` replace those of the spec.

    `settings` of the solver, a mapping as in that section, go before the spec's own.

    Raises:
        SpecError: the spec is wrong; holds every mistake.
    """
    problems = Problems()
    spec = read_spec(text, file, constants, problems, settings)
    lowered = lower(spec, problems)
    problems.raise_errors()
    assert lowered is not None
    solver, adjoint = choose(spec, lowered, problems)
    problems.raise_errors()
    stages = [("lowering", lowered)]
    program = arranged(optimise(lowered, disable, lambda name, after: stages.append((name, after))))
    solving = solver_plan(solver)
    loss = jacobian_plan(spec.jacobian_regularization) if spec.jacobian_regularization is not None else None
    differentiating = adjoint_plan(adjoint)
    used = reads_derivatives(solving, differentiating, loss)
    # to a module of the user's only torch knows the derivative: one graph of the whole of f then serves best
    own = ADJOINT not in disable and not called_modules(program)
    derivatives = differentiate(program, reads_products(solving, loss)) if used and own else None
    identity = Identity(__version__, spec.name, sha256(spec), tuple(spec.modules), settings_text(constants))
    flat = plan(identity, lowered, program, derivatives, solving, differentiating, loss)
    source = render(flat)
    check_output(source)
    return Compilation(
        spec=spec,
        solver=solver,
        adjoint=adjoint,
        lowered=lowered,
        program=program,
        derivatives=derivatives,
        plan=flat,
        source=source,
        stages=tuple(stages),
        warnings=problems.sorted(),
    )


def reads_derivatives(solver: SolverPlan, adjoint: AdjointPlan, loss: JacobianPlan | None) -> bool:
    """Whether the module has a use for derivatives of f beside those of torch's autograd."""
    by_products = loss is not None and loss.mode != "finite_difference"
    backward = adjoint.method in ("implicit", "gauss", "backsolve") or adjoint.refines
    return backward or bool(solver.iteration.reads) or by_products


def reads_products(solver: SolverPlan, loss: JacobianPlan | None) -> bool:
    """Whether the module has a use for products (df/dz) v."""
    return solver.iteration.reads == "jvp" or (loss is not None and loss.mode == "jvp")


def settings_text(constants: Mapping[str, Number]) -> str:
    """Constants as a module's head says them: `depth=2, width=128`, by name."""
    return ", ".join(f"{name}={literal(constants[name]).text.lower()}" for name in sorted(constants))


def snake_case(name: str) -> str:
    """`MultiScaleToy` -> `multi_scale_toy`, `DeqLM2` -> `deq_lm2`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
