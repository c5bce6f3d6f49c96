"""Two compilations compared: canonical documents, tensors of layers, and the graphs of what is computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deqc.compiler import Compilation
from deqc.difference.documents import Change, changes
from deqc.ir.graph import Program, is_buffer, reachable
from deqc.spec.canonical import document, evaluated
from deqc.spec.model import Method, Time

_IN_TRAINING = frozenset({"dropout", "dropout_mask"})  # ops that compute nothing in eval mode

_TOLD = frozenset({"name", "input", "scales", "modules", "parameters", "blocks", "encoder", "solver", "adjoint"})


@dataclass(frozen=True)
class Difference:
    """All changes in meaning; `breaking` says in sentences what no longer works with the new spec."""

    sha256: tuple[str, str]
    changes: tuple[Change, ...]
    breaking: tuple[str, ...]
    state_dict_loads: bool

    @property
    def same(self) -> bool:
        """Whether both mean the same."""
        return self.sha256[0] == self.sha256[1]


def difference(old: Compilation, new: Compilation) -> Difference:
    """What changed from the one to the other."""
    hashes = old.plan.spec_sha256, new.plan.spec_sha256
    if hashes[0] == hashes[1]:
        return Difference(hashes, (), (), True)
    tensors = _tensors(old.lowered), _tensors(new.lowered)
    unloadable = _unloadable(*tensors)
    modules = old.spec.modules.keys() != new.spec.modules.keys()
    return Difference(
        hashes, tuple(_changes(old, new)), tuple(_breaking(old, new, unloadable)), not unloadable and not modules
    )


def _changes(old: Compilation, new: Compilation) -> Iterator[Change]:
    before, after = document(old.spec), document(new.spec)
    yield from changes("model", "name", before["name"], after["name"])
    yield from changes("constants", "", dict(old.spec.constants), dict(new.spec.constants))
    yield from _named("input", before, after)
    yield from changes("output", "", _outputs(old.lowered), _outputs(new.lowered))
    yield from changes("scales", "", _numbered(before["scales"]), _numbered(after["scales"]))
    for section in ("modules", "parameters"):
        yield from _named(section, before, after)
    yield from changes("blocks", "", _bodies(before), _bodies(after))
    yield from _named("encoder", before, after)
    for section in dict.fromkeys([*before, *after]):
        if section not in _TOLD:
            yield from changes(section, "", before.get(section), after.get(section))
    yield from changes("solver", "", _solver(old), _solver(new))
    yield from changes("adjoint", "", _adjoint(old), _adjoint(new))
    yield from changes("state_dict", "", _tensors(old.lowered), _tensors(new.lowered))


def _named(section: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    """The changes of things with names, and of their order, which has a meaning."""
    old, new = ({name: rest[0] if len(rest) == 1 else rest for name, *rest in one[section]} for one in (before, after))
    yield from changes(section, "", old, new)
    if list(old) != list(new) and old.keys() == new.keys():
        yield Change(section, "order", ", ".join(old), ", ".join(new))


def _breaking(old: Compilation, new: Compilation, unloadable: str) -> Iterator[str]:
    if old.spec.name != new.spec.name:
        yield f"the class is called {new.spec.name}"
    if list(old.spec.modules) != list(new.spec.modules):
        yield "the class takes other modules"
    if document(old.spec)["input"] != document(new.spec)["input"]:
        yield "forward takes other arguments"
    if _outputs(old.lowered) != _outputs(new.lowered):
        yield "forward returns something else"
    if old.lowered.scales != new.lowered.scales:
        yield "the state has another shape, which z0= takes and solve() returns"
    before, after = old.solver.time, new.solver.time
    if (before is None) != (after is None):
        yield "the model is of another kind: calls of integrate or fixed_point, and of what solve() returns"
    elif before is not None and after is not None and before.saveat != after.saveat:
        yield "solve() returns a trajectory of other times"
    if old.solver.record and old.solver.record != new.solver.record:
        yield "solve() records the states after other steps"
    if unloadable:
        yield f"an old state_dict does not load: {unloadable}"
    elif _computed(old.lowered) != _computed(new.lowered) or _span(before) != _span(after):
        yield "an old state_dict loads, but from the same weights the model computes something else"


def _span(time: Time | None) -> float | None:
    """The time that passes in a neural ODE."""
    return None if time is None else time.stop - time.start


def _tensors(program: Program) -> dict[str, str]:
    """All that a state_dict holds, by path."""
    found: dict[str, str] = {}
    for node in program.nodes:
        if node.op == "parameter":
            kind = " buffer" if is_buffer(node) else ""
            found[f"{node.attributes['layer']}.{node.attributes['name']}"] = f"{list(node.type.shape)}{kind}"
    return found


def _unloadable(before: dict[str, str], after: dict[str, str]) -> str:
    """Why a strict load_state_dict would refuse, in words; nothing where it would not."""
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    shape = {
        path: (before[path].split(" buffer")[0], after[path].split(" buffer")[0]) for path in before.keys() & after
    }
    other = [path for path, (old, new) in shape.items() if old != new]
    counted = ((len(gone), "gone"), (len(come), "new"), (len(other), "of another shape"))
    parts = [f"{count} {'is' if count == 1 else 'are'} {what}" for count, what in counted if count]
    return f"of its tensors {', '.join(parts)}" if parts else ""


def _computed(program: Program) -> list[str]:
    """The graph from inputs and weights to f and to the outputs, as text without places and names of values."""
    nodes = list(reachable((*program.boundary, program.f, *program.outputs)))
    number = {node: str(index) for index, node in enumerate(nodes)}
    lines: list[str] = []
    for node in nodes:
        constants = {} if node.op in _IN_TRAINING else dict(node.attributes)
        operands = ", ".join(number[one] for one in node.operands)
        lines.append(f"{node.op}({operands}; {sorted(constants.items(), key=str)}) : {node.type}")
    return [*lines, number[program.f], *(number[one] for one in program.outputs)]


def _outputs(program: Program) -> dict[str, str]:
    """The outputs by name; those without are numbered where there are several."""
    values = program.outputs
    if not values:
        return {str(k) if len(program.scales) > 1 else "": f"{list(s.shape)}" for k, s in enumerate(program.scales)}
    names = program.output_names or ("",)
    return {name: str(node.type) for name, node in zip(names, values, strict=True)}


def _numbered(values: list[Any]) -> dict[str, Any]:
    return {str(index): value for index, value in enumerate(values)}


def _bodies(canonical: dict[str, Any]) -> dict[str, Any]:
    return {name: block["body"] for name, block in canonical["blocks"].items()}


def _solver(compilation: Compilation) -> dict[str, Any]:
    """The settings as they are once `auto` is resolved."""
    solver = compilation.solver
    return {
        **_method(solver.told),
        "atol": solver.atol,
        "rtol": solver.rtol,
        "max_steps": solver.max_steps,
        "termination": {"mode": solver.mode, "norm": solver.norm, **solver.watch},
        "coupling": solver.coupling,
        "on_failure": solver.on_failure,
        "trace": solver.trace,
        "compaction": solver.compaction,
        "precision": solver.precision,
        **({} if solver.mask is None else {"mask": f"${solver.mask}"}),
        **({"record": list(solver.record)} if solver.record else {}),
        **({} if solver.linear_solver is None else {"linear_solver": _method(solver.linear_solver)}),
        **({"eval": evaluation} if (evaluation := evaluated(solver)) else {}),
    }


def _adjoint(compilation: Compilation) -> dict[str, Any]:
    adjoint = compilation.adjoint
    linear = {} if adjoint.linear_solver is None else {"linear_solver": _method(adjoint.linear_solver)}
    return {**_method(adjoint.method), **linear}


def _method(method: Method) -> dict[str, Any]:
    return {"method": method.name, **method.options}
