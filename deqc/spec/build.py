"""The tree to the typed spec: names, short forms, structure, defaults. Everything that needs no shapes is checked here.

    constants ─▶ signatures of blocks ─▶ scales, inputs ─▶ computations ─▶ settings ─▶ scopes

Where the schema has refused a piece, it is passed over without another word.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from deqc.diagnostics import Problems, Severity, Span
from deqc.ops import STEPS
from deqc.settings import EQUILIBRIUM, KINDS, NEURAL_ODE
from deqc.spec import methods, sections
from deqc.spec.blocks import blocks, signatures
from deqc.spec.dimensions import dimensions
from deqc.spec.kinds import check_kind
from deqc.spec.lasting import lasting
from deqc.spec.layers import BrokenError, Layers
from deqc.spec.model import (
    Adjoint,
    Block,
    Computation,
    Initial,
    JacobianRegularization,
    Module,
    Number,
    Output,
    Solver,
    Spec,
)
from deqc.spec.names import check_class_name
from deqc.spec.placement import Placement
from deqc.spec.positions import Positions
from deqc.spec.reader import Reader
from deqc.spec.scopes import Checker
from deqc.spec.time import time
from deqc.spec.tree import Entry, Mapping, Scalar, Sequence, walk
from deqc.spec.unread import unread_constants

T = TypeVar("T")
Encoder = tuple[tuple[str, Computation], ...]
# The sections that lowering does not look at, with those that deqc does not offer yet.
_APART = ("name", "description", "solver", "adjoint", "jacobian_regularization", "loss", "time")


def build(root: Mapping, problems: Problems, given: Map[str, Number] = MappingProxyType({})) -> Spec | None:
    """The typed spec of a tree that has been validated; None where lowering would lack something. All is reported.

    A section that lowering does not look at may be wrong all the same: the spec then has its default settings. The
    constants that are `given` stand in place of the spec's own.
    """
    reader = _reader(root, given, problems)
    spans = {entry.name: entry.key.span for entry in root}
    sections.distinct(
        [("an input", e) for e in _entries(root, "input")]
        + [("a parameter", e) for e in _entries(root, "parameters")]
        + [("an encoder value", e) for e in _entries(root, "encoder")],
        problems,
    )
    name, description = _text(root, "name"), _text(root, "description")
    if name is not None and (entry := root.entry("name")) is not None:
        check_class_name(name, entry.value.span, problems)
    reader = replace(reader, dimensions=dimensions(root.get("input"), reader))
    inputs = sections.inputs(root.get("input"), reader)
    scales = sections.scales(root, reader)
    weights = sections.weights(root.get("parameters"), reader)
    own = sections.modules(root.get("modules"), reader)
    declared = blocks(root.get("blocks"), reader)
    encoder = sections.encoder(root.get("encoder"), reader)
    layers = _layers(root, reader)
    solver, adjoint, regularization = _settings(root, problems)
    _check_names(root, reader, declared, own, encoder, layers)
    if not _lowerable(root, problems):
        return None
    if (
        layers.broken
        or layers.main is None
        or layers.mapping is None
        or layers.initial is None
        or layers.head is None
        or inputs is None
        or scales is None
    ):
        problems.add("E022", root.span, "the spec cannot be read")
        return None
    return Spec(
        name=name or "Model",  # where it is wrong, that has been told
        description=description,
        kind=EQUILIBRIUM if solver.time is None else NEURAL_ODE,
        constants=reader.constants,
        inputs=inputs,
        weights=weights,
        modules=own,
        blocks=declared,
        encoder=encoder,
        scales=scales,
        single="scales" not in spans,
        initial=layers.initial,
        main_layers=layers.main,
        mapping_layers=layers.mapping,
        post_fuse_layers=layers.post_fuse,
        head=layers.head,
        solver=solver,
        adjoint=adjoint,
        jacobian_regularization=regularization,
        sections=spans,
        encoder_spans={entry.name: entry.key.span for entry in _entries(root, "encoder")},
        unread_constants=unread_constants(root),
    )


def _settings(root: Mapping, problems: Problems) -> tuple[Solver, Adjoint, JacobianRegularization | None]:
    """How the model is solved, differentiated and regularised; the defaults where what is written is wrong."""
    silent = Problems()
    kind = _text(root, "kind") or EQUILIBRIUM
    if kind in KINDS:
        check_kind(root, kind, problems)
    solver = methods.solver(root.get("solver"), problems) or methods.solver(None, silent)
    assert solver is not None, "the defaults are right"
    if kind == NEURAL_ODE:
        follows = time(root.get("time"), problems) or time(None, silent)
        assert follows is not None, "the defaults are right"
        solver = lasting(solver, follows)
    default = "discrete" if kind == NEURAL_ODE else "implicit"
    given = (solver.rtol, default)
    adjoint = methods.adjoint(root.get("adjoint"), *given, problems) or methods.adjoint(None, *given, silent)
    assert adjoint is not None, "the defaults are right"
    return solver, adjoint, methods.jacobian_regularization(root.get("jacobian_regularization"), problems)


def _lowerable(root: Mapping, problems: Problems) -> bool:
    """Whether everything that lowering looks at is right."""
    if not problems.errors:
        return True
    apart = [entry for entry in root if entry.name in _APART]

    def inside(span: Span) -> bool:
        return any(entry.key.span <= span and span.end <= entry.value.span.end for entry in apart)

    # Through an alias, what stands in one section may be used in another.
    shared = any(inside(node.span) for entry in root if entry not in apart for node in walk(entry.value))
    errors = [one for one in problems.found if one.severity is Severity.ERROR]
    # A section of another name is read as what was meant, or not at all; its name stops nothing.
    other = [entry.key.span for entry in root]
    # A missing section is told at the first key, whichever that is.
    return not shared and all(
        (inside(one.span) and one.code != "E021") or (one.code == "E020" and one.span in other) for one in errors
    )


def _reader(root: Mapping, given: Map[str, Number], problems: Problems) -> Reader:
    """What every piece of the spec sees: constants, the number of scales, blocks' parameters, names of values."""
    constants = sections.constants(root, given, problems)
    several = root.get("scales")
    count = len(several.items) if isinstance(several, Sequence) else 1
    named = [entry.name for section in ("input", "parameters", "encoder") for entry in _entries(root, section)]
    modules = frozenset(entry.name for entry in _entries(root, "modules")) - STEPS.keys()
    parameters = signatures(root.get("blocks"), constants, modules, problems)
    later = {entry.name for entry in _entries(root, "blocks")} - parameters.keys()  # those that are called like a step
    # A constant whose value is refused is declared all the same.
    unread = frozenset(entry.name for entry in _entries(root, "constants")) - constants.keys()
    return Reader(problems, constants, count, parameters, modules, frozenset(named), frozenset(later), unread=unread)


@dataclass
class _Layers:
    """The sections of computations, as far as they could be read."""

    main: tuple[Computation, ...] | None = None
    mapping: tuple[tuple[Computation | None, ...], ...] | None = None
    post_fuse: tuple[Computation | None, ...] | None = None
    initial: Initial | None = None
    head: tuple[Output, ...] | None = None
    broken: bool = False


def _layers(root: Mapping, reader: Reader) -> _Layers:
    key = root.entry("scales") or root.entry("scale")
    single = root.entry("scales") is None
    several = root.get("scales")
    shapes = isinstance(several, Sequence) and all(isinstance(one, Sequence) for one in several.items)
    certain = shapes and root.entry("scale") is None
    place = root.span if key is None else key.key.span
    layers = Layers(reader, reader.scale_count, single, place, single or certain)
    found = _Layers()

    def attempt(read: Callable[[Entry | None], T], section: str) -> T | None:
        try:
            return read(root.entry(section))
        except BrokenError:
            found.broken = True
            return None

    found.main = attempt(layers.main, "main_layers")
    found.mapping = attempt(layers.mapping, "mapping_layers")
    found.post_fuse = attempt(layers.post_fuse, "post_fuse_layers")
    found.initial = attempt(layers.initial, "init")
    found.head = attempt(layers.head, "head")
    return found


def _check_names(
    root: Mapping,
    reader: Reader,
    declared: Map[str, Block],
    modules: Map[str, Module],
    encoder: Encoder,
    layers: _Layers,
) -> None:
    """Reports every name that is read where it means nothing."""
    of = ("input", "parameters", "encoder")
    inputs, weights, encoded = ({e.name: e.key.span for e in _entries(root, section)} for section in of)
    unread = not all(isinstance(root.get(section), Mapping) for section in of if root.entry(section))
    everything = unread or root.entry("input") is None
    checker = Checker(
        Placement(declared, reader.modules, modules, reader.problems),
        reader.problems,
        reader.dimensions,
        reader.unavailable,
        everything,
    )
    batched = sum(sections.is_batched(entry) for entry in _entries(root, "input"))
    positions = Positions(checker, frozenset(reader.constants), inputs, weights, encoded, reader.scale_count, batched)
    positions.blocks(declared)
    positions.encoder(encoder)
    positions.main_layers(layers.main or ())
    positions.mapping_layers(layers.mapping or ())
    positions.post_fuse_layers(layers.post_fuse or ())
    if layers.initial is not None:
        positions.initial(layers.initial)
    for output in layers.head or ():
        positions.head(output.computation)


def _entries(root: Mapping, section: str) -> list[Entry]:
    node = root.get(section)
    return list(node) if isinstance(node, Mapping) else []


def _text(root: Mapping, section: str) -> str | None:
    node = root.get(section)
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None
