"""`solver`, `adjoint` and `jacobian_regularization`: methods with all their options, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping as Map
from typing import TypeAlias

from deqc.diagnostics import Problems, Span
from deqc.fields import Field, Kind
from deqc.settings import IN_EVALUATION, INNER, JACOBIAN, LINEAR, SOLVER, TERMINATION, WATCH
from deqc.solvers import ADJOINTS, INNER_SOLVERS, LINEAR_SOLVERS, QUANTITIES, SOLVERS, Description, Iteration
from deqc.spec.bounds import alternatives, conform
from deqc.spec.model import Adjoint, JacobianRegularization, Method, Number, Solver
from deqc.spec.places import covered
from deqc.spec.recorded import recorded
from deqc.spec.tree import Mapping, Node, Scalar

Value: TypeAlias = "Number | str | None"
_NUMBERS = {one.name for one in (*SOLVER, *LINEAR, *INNER) if one.kind is Kind.NUMBER}
_LINEAR = "linear_solver"


def solver(node: Node | None, problems: Problems) -> Solver | None:
    """The forward solve; None after a diagnostic."""
    written, method = _written(node), _method(node, "auto")
    description = SOLVERS.get(method)
    if description is None:
        return None
    shared = {one.name: one.default for one in SOLVER} | {"max_steps": description.max_steps}
    others = {"method", "termination", "eval", "mask", "record", _LINEAR}
    own = _own(written, description, {*shared, *others}, SOLVERS, "solver", problems)
    shared |= {name: _scalar(value) for name, (value, _) in written.items() if name in shared}
    evaluation = _evaluation(written, description, {**shared, **(own or {})}, problems)
    termination: dict[str, object] = {one.name: one.default for one in TERMINATION}
    if "termination" in written:
        stop = written["termination"][0]
        termination |= {
            name: _scalar(value) for name, (value, _) in _written(stop, "mode").items() if name in termination
        }
    watch = _watch(str(termination["mode"]), written, problems)
    linear, linear_evaluation = _inner(written, description, problems)
    record = recorded(*written["record"], method, shared["max_steps"], problems) if "record" in written else ()
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
        precision=str(shared["precision"]),
        watch=watch,
        mask=str(_scalar(written["mask"][0]))[1:] if "mask" in written else None,
        evaluation=evaluation,
        linear_solver=linear,
        linear_evaluation=linear_evaluation,
        record=record,
    )


def _inner(
    written: Map[str, tuple[Node, Span]], description: Description, problems: Problems
) -> tuple[Method | None, dict[str, Value]]:
    """The linear solver of the method's steps, and its settings that have another value in eval mode."""
    overlay = _written(written["eval"][0]) if "eval" in written else {}
    if not (isinstance(description, Iteration) and description.linear):
        owners = [one.name for one in SOLVERS.values() if isinstance(one, Iteration) and one.linear]
        for span in (given[_LINEAR][1] for given in (written, overlay) if _LINEAR in given):
            message = f"'{_LINEAR}' is an option of {_several(owners)}; {description.name} solves no linear system"
            hint = "that of the backward solve stands in `adjoint`; else remove it, or write `method: newton_krylov`"
            problems.add("E080", span, message, hint=hint)
        return None, {}
    linear = _linear(written.get(_LINEAR, (None,))[0], "solver", INNER, INNER_SOLVERS, "gmres", problems)
    if linear is None or _LINEAR not in overlay:
        return linear, {}
    shared = {one.name for one in INNER}
    later = _written(overlay[_LINEAR][0])
    own = _own(later, INNER_SOLVERS[linear.name], shared, INNER_SOLVERS, f"solver.eval.{_LINEAR}", problems) or {}
    values = {name: own[name] if name in own else _typed(name, node) for name, (node, _) in later.items()}
    return linear, {name: value for name, value in values.items() if value not in (None, linear.options.get(name))}


def _evaluation(
    written: Map[str, tuple[Node, Span]], description: Description, training: Map[str, object], problems: Problems
) -> dict[str, Value] | None:
    """The settings that have another value in eval mode than in training. None after a diagnostic."""
    overlay = _written(written["eval"][0]) if "eval" in written else {}
    own = _own(overlay, description, {*IN_EVALUATION, _LINEAR}, SOLVERS, "solver.eval", problems)
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


def adjoint(node: Node | None, rtol: float, default: str, problems: Problems) -> Adjoint | None:
    """The way of derivatives; `rtol` is the solver's. None after a diagnostic."""
    written, method = _written(node), _method(node, default)
    description = ADJOINTS.get(method)
    if description is None:
        return None
    own = _own(written, description, {"method", _LINEAR}, ADJOINTS, "adjoint", problems)
    linear: Method | None = None
    if method == "implicit":
        linear = _linear(written.get(_LINEAR, (None,))[0], "adjoint", LINEAR, LINEAR_SOLVERS, "auto", problems, rtol)
        if linear is None:
            return None
    elif _LINEAR in written:
        message = f"'{_LINEAR}' is an option of implicit; {method} solves no linear system"
        other = ", or write `method: implicit`" if default == "implicit" else ""
        problems.add("E080", written[_LINEAR][1], message, hint=f"remove it{other}")
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


def _linear(
    node: Node | None,
    section: str,
    fields: tuple[Field, ...],
    table: Map[str, Description],
    default: str,
    problems: Problems,
    rtol: float | None = None,
) -> Method | None:
    """The linear solver of a section, with the settings that all in the table share; None after a diagnostic."""
    written, method = _written(node), _method(node, default)
    description = table.get(method)
    if description is None:
        return None
    shared: dict[str, Value] = {one.name: _plain(one.default) for one in fields}
    own = _own(written, description, {*shared, "method"}, table, f"{section}.{_LINEAR}", problems)
    shared |= {"max_steps": description.max_steps, **({} if rtol is None else {"rtol": rtol})}
    shared |= {name: _typed(name, value) for name, (value, _) in written.items() if name in shared}
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
        owners.sort(key=lambda one: not set(description.kinds) <= set(table[one].kinds))  # may stand wherever it may
        ok = False
        theirs = ", ".join(options) if options else "none"
        message = f"'{name}' is an option of {_several(owners)}, not of {description.name}"
        meant = str(_scalar(node)) if _scalar(node) in table else owners[0]
        hint = f"remove it, or write `{principal}: {meant}`"
        problems.add("E080", span, message, expected=f"options of {description.name}: {theirs}", hint=hint)
    return options if ok else None


def _several(owners: list[str]) -> str:
    """Names in a message, the first two of many."""
    return " and ".join(owners if len(owners) <= 2 else [", ".join(owners[:2]), "others"])


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
