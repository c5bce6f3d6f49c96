"""`solver`, `adjoint` and `jacobian_regularization`: methods with all their options, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping as Map
from typing import TypeAlias

from deqc.diagnostics import Problems, Span
from deqc.fields import Field, Kind
from deqc.settings import IN_EVALUATION, JACOBIAN, LINEAR, SOLVER, TERMINATION, WATCH
from deqc.solvers import ADJOINTS, LINEAR_SOLVERS, QUANTITIES, SOLVERS, Description
from deqc.spec.bounds import alternatives, conform
from deqc.spec.model import Adjoint, JacobianRegularization, Method, Number, Solver
from deqc.spec.places import covered
from deqc.spec.tree import Mapping, Node, Scalar

Value: TypeAlias = "Number | str | None"
_NUMBERS = {one.name for one in (*SOLVER, *LINEAR) if one.kind is Kind.NUMBER}
_SHARED = {one.name for one in LINEAR}


def solver(node: Node | None, problems: Problems) -> Solver | None:
    """The forward solve; None after a diagnostic."""
    written, method = _written(node), _method(node, "auto")
    description = SOLVERS.get(method)
    if description is None:
        return None
    shared = {one.name: one.default for one in SOLVER} | {"max_steps": description.max_steps}
    own = _own(written, description, {*shared, "method", "termination", "eval", "mask"}, SOLVERS, "solver", problems)
    shared |= {name: _scalar(value) for name, (value, _) in written.items() if name in shared}
    evaluation = _evaluation(written, description, {**shared, **(own or {})}, problems)
    termination: dict[str, object] = {one.name: one.default for one in TERMINATION}
    if "termination" in written:
        stop = written["termination"][0]
        termination |= {
            name: _scalar(value) for name, (value, _) in _written(stop, "mode").items() if name in termination
        }
    watch = _watch(str(termination["mode"]), written, problems)
    if problems.errors or own is None or evaluation is None:
        return None
    return Solver(
        _as_method(description, own, written, node),
        atol=float(_number(shared["atol"])),
        rtol=float(_number(shared["rtol"])),
        max_steps=int(_number(shared["max_steps"])),
        mode=str(termination["mode"]),
        norm=str(termination["norm"]),
        coupling=str(shared["coupling"]),
        on_failure=str(shared["on_failure"]),
        trace=bool(shared["trace"]),
        compaction=bool(shared["compaction"]),
        watch=watch,
        mask=str(_scalar(written["mask"][0]))[1:] if "mask" in written else None,
        evaluation=evaluation,
    )


def _evaluation(
    written: Map[str, tuple[Node, Span]], description: Description, training: Map[str, object], problems: Problems
) -> dict[str, Value] | None:
    """The settings that have another value in eval mode than in training. None after a diagnostic."""
    overlay = _written(written["eval"][0]) if "eval" in written else {}
    own = _own(overlay, description, set(IN_EVALUATION), SOLVERS, "solver.eval", problems)
    if own is None:
        return None
    chosen = {name: own[name] if name in own else _typed(name, node) for name, (node, _) in overlay.items()}
    return {name: chosen[name] for name in training if chosen.get(name, training[name]) not in (None, training[name])}


def _watch(mode: str, written: Map[str, tuple[Node, Span]], problems: Problems) -> dict[str, Number]:
    """What a safe mode gives up on; that it is written beside another mode is a diagnostic."""
    fields = {one.name: one for one in WATCH}
    stop = _written(written["termination"][0], "mode") if "termination" in written else {}
    chosen = {name: _number(one.default) for name, one in fields.items()} if "_safe" in mode else {}
    for name, (node, span) in stop.items():
        if name in chosen and isinstance(value := _scalar(node), (int, float)):
            chosen[name] = float(value) if fields[name].kind is Kind.NUMBER else value
        elif name in fields and not chosen:
            message = f"'{name}' is an option of the safe modes, not of {mode}"
            problems.add("E080", span, message, hint=f"remove it, or write `mode: {mode}_safe`")
    return chosen


def adjoint(node: Node | None, rtol: float, problems: Problems) -> Adjoint | None:
    """The way of derivatives; `rtol` is the solver's. None after a diagnostic."""
    written, method = _written(node), _method(node, "implicit")
    description = ADJOINTS.get(method)
    if description is None:
        return None
    own = _own(written, description, {"method", "linear_solver"}, ADJOINTS, "adjoint", problems)
    linear: Method | None = None
    if method == "implicit":
        linear = _linear(written["linear_solver"][0] if "linear_solver" in written else None, rtol, problems)
        if linear is None:
            return None
    elif "linear_solver" in written:
        message = f"'linear_solver' is an option of implicit; {method} solves no linear system"
        problems.add("E080", written["linear_solver"][1], message, hint="remove it, or write `method: implicit`")
    if problems.errors or own is None:
        return None
    return Adjoint(_as_method(description, own, written, node), linear)


def jacobian_regularization(node: Node | None, problems: Problems) -> JacobianRegularization | None:
    """The quantity of df/dz that a loss holds down; None where there is no such section, and after a diagnostic."""
    written, quantity = _written(node, "quantity"), _method(node, "frobenius", "quantity")
    description = QUANTITIES.get(quantity)
    if node is None or description is None:
        return None
    shared = {one.name: one.default for one in JACOBIAN}
    own = _own(written, description, {*shared, "quantity"}, QUANTITIES, "jacobian_regularization", problems, "quantity")
    if problems.errors or own is None:
        return None
    shared |= {name: _scalar(value) for name, (value, _) in written.items() if name in shared}
    return JacobianRegularization(
        _as_method(description, own, written, node, "quantity"),
        mode=str(shared["mode"]),
        samples=int(_number(shared["samples"])),
        distribution=str(shared["distribution"]),
        through_solution=bool(shared["through_solution"]),
        seed=int(_number(shared["seed"])),
    )


def resolved(method: Method, name: str, table: Map[str, Description]) -> Method:
    """What `auto` becomes: the method of that name with its defaults, and the settings written for `auto`."""
    description = table[name]
    options = {**_defaults(description), **{key: value for key, value in method.options.items() if value is not None}}
    if "max_steps" in method.options and options.get("max_steps") is None:
        options["max_steps"] = description.max_steps
    return Method(name, options, method.span, method.written, method.spans)


def _linear(node: Node | None, rtol: float, problems: Problems) -> Method | None:
    written, method = _written(node), _method(node, "auto")
    description = LINEAR_SOLVERS.get(method)
    if description is None:
        return None
    own = _own(written, description, {*_SHARED, "method"}, LINEAR_SOLVERS, "adjoint.linear_solver", problems)
    shared: dict[str, Value] = {one.name: _plain(one.default) for one in LINEAR}
    shared |= {"max_steps": description.max_steps, "rtol": rtol}
    shared |= {name: _typed(name, value) for name, (value, _) in written.items() if name in _SHARED}
    return None if own is None or problems.errors else _as_method(description, {**shared, **own}, written, node)


def _written(node: Node | None, principal: str = "method") -> dict[str, tuple[Node, Span]]:
    """The settings that are written, each with the place of its key."""
    if isinstance(node, Mapping):
        return {entry.name: (entry.value, entry.key.span) for entry in node}
    return {} if node is None else {principal: (node, node.span)}


def _method(node: Node | None, default: str, principal: str = "method") -> str:
    written = _written(node, principal)
    return str(_scalar(written[principal][0])) if principal in written else default


def _own(
    written: Map[str, tuple[Node, Span]],
    description: Description,
    shared: set[str],
    table: Map[str, Description],
    owner: str,
    problems: Problems,
    principal: str = "method",
) -> dict[str, Value] | None:
    """The method's own options; an option of another method is refused. None after a diagnostic."""
    options, fields = _defaults(description), {one.name: one for one in description.fields}
    ok = True
    for name, (node, span) in written.items():
        if name in options:
            value = _scalar(node)
            options[name] = value if value is None else _conforming(owner, fields[name], value, node.span, problems)
            ok = ok and (value is None or options[name] is not None)
            continue
        owners = [one.name for one in table.values() if name in one.defaults]
        if name in shared or not owners:
            continue
        ok = False
        theirs = ", ".join(options) if options else "none"
        told = owners if len(owners) <= 2 else [", ".join(owners[:2]), "others"]
        all_owners = " and ".join(told)
        message = f"'{name}' is an option of {all_owners}, not of {description.name}"
        meant = str(_scalar(node)) if _scalar(node) in table else owners[0]
        hint = f"remove it, or write `{principal}: {meant}`"
        problems.add("E080", span, message, expected=f"options of {description.name}: {theirs}", hint=hint)
    return options if ok else None


def _defaults(description: Description) -> dict[str, Value]:
    return {name: _plain(value) for name, value in description.defaults.items()}


def _as_method(
    description: Description,
    options: Map[str, Value],
    written: Map[str, tuple[Node, Span]],
    node: Node | None,
    principal: str = "method",
) -> Method:
    spans = {name: value.span for name, (value, _) in written.items()}
    method = spans.get(principal, None if node is None else node.span)
    return Method(description.name, options, method, frozenset(written), spans)


def _conforming(owner: str, field: Field, value: Number | str, span: Span, problems: Problems) -> Value:
    """An option as the method's own field holds it; None after a diagnostic. The schema knows those of all methods."""
    if covered(problems, span):  # by the schema
        return None
    if not isinstance(value, str):
        return conform(owner, field, value, span, problems)
    if value not in field.choices:
        expected = alternatives([f"'{choice}'" for choice in field.choices])
        problems.add("E024", span, f"{owner}.{field.name} must be {expected}, found {value!r}")
        return None
    return value


def _typed(name: str, node: Node) -> Value:
    """A shared setting as its field holds it: numbers are floats."""
    value = _scalar(node)
    return float(value) if name in _NUMBERS and isinstance(value, (int, float)) else value


def _scalar(node: Node) -> Value:
    return node.value if isinstance(node, Scalar) else None


def _plain(value: object) -> Value:
    assert value is None or isinstance(value, (bool, int, float, str)), value
    return value


def _number(value: object) -> float:
    assert isinstance(value, (int, float)), value
    return value
