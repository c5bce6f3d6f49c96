"""What a module does to its tensors: how they start, how weights are taken apart, where a projection moves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from deqc.emit.block import layer_code
from deqc.emit.layout import statement
from deqc.ir.graph import LayerUse, Setup
from deqc.ops.code import Attribute, Code, Items, Text, call, flat, literal
from deqc.ops.weights import PARAMETRIZATIONS, initial, norm_axes, projection

Lines = tuple[str, ...]


def tensors_code(layer: LayerUse) -> str:
    """`_Tensors({"W": (4, 4)}, {"table": (3,)})`: parameters and buffers that no layer of torch holds."""

    def table(buffers: bool) -> str:
        rows = (
            f"{literal(name).text}: {literal(shape).text}" for name, shape, buffer in layer.tensors if buffer is buffers
        )
        return f"{{{', '.join(rows)}}}"

    return f"_Tensors({table(False)})" if table(True) == "{}" else f"_Tensors({table(False)}, {table(True)})"


def starts(layers: Iterable[LayerUse]) -> Lines:
    """The statements of `__init__` that fill tensors, those of one kind in one loop."""

    def code(setup: Setup, layer: Code) -> Code:
        made = initial(setup.variant, setup.options, setup.shape, Attribute(layer, setup.tensor))
        assert made is not None
        return made

    return tuple(_statements(layers, "init", code))


def partings(layers: Iterable[LayerUse]) -> Lines:
    """The statements of `__init__` that take parametrised weights apart."""

    def code(setup: Setup, layer: Code) -> Code:
        extra = (norm_axes(setup.options, setup.shape),) if setup.variant == "weight_norm" else ()
        return call(PARAMETRIZATIONS[setup.variant].prepare, layer, setup.tensor, *extra)

    return tuple(_statements(layers, "parametrize", code))


def projections(layers: Iterable[LayerUse]) -> Lines:
    """The statements of `project_`."""

    def code(setup: Setup, layer: Code) -> Code:
        return projection(setup.variant, setup.options, Attribute(layer, setup.tensor))

    return tuple(_statements(layers, "constraint", code))


def iterations(layers: Iterable[LayerUse]) -> Lines:
    """The statements that turn the vectors of spectral norms."""

    def code(setup: Setup, layer: Code) -> Code:
        return call("_turn_singular_vectors", layer, setup.tensor, setup.options["iterations"])

    spectral = [
        LayerUse(one.path, None, (), tuple(s for s in one.setups if s.variant == "spectral_norm")) for one in layers
    ]
    return tuple(_statements(spectral, "parametrize", code))


def helpers(layers: Iterable[LayerUse]) -> frozenset[str]:
    """The functions of the module that these statements call."""
    found: set[str] = set()
    for layer in layers:
        found |= {"_Tensors"} if layer.constructor is None else set()
        for setup in layer.setups:
            if setup.kind == "parametrize":
                found.add(PARAMETRIZATIONS[setup.variant].prepare)
                found |= {"_turn_singular_vectors"} if setup.variant == "spectral_norm" else set()
            elif setup.kind == "constraint" and setup.variant != "nonneg":
                found.add(f"_{setup.variant}")
    return frozenset(found)


def _statements(layers: Iterable[LayerUse], kind: str, code: Callable[[Setup, Code], Code]) -> Iterator[str]:
    """One statement a layer, or a loop over the layers that stand one after the other and have the same."""
    each: list[tuple[str, Code, Callable[[Code], Code]]] = []
    for layer in layers:
        for setup in layer.setups:
            if setup.kind == kind:
                each.append((flat(code(setup, Text("layer"))), layer_code(layer.path), _bound(code, setup)))
    for _, found in groupby(each, key=lambda one: one[0]):
        group = list(found)
        if len(group) < 3:
            for _, layer_, made in group:
                yield from statement("", made(layer_), 8)
            continue
        *head, last = statement("for layer in ", Items(tuple(one for _, one, _ in group), "()"), 8)
        yield from (*head, f"{last}:")
        yield from (f"    {line}" for line in statement("", group[0][2](Text("layer")), 12))


def _bound(code: Callable[[Setup, Code], Code], setup: Setup) -> Callable[[Code], Code]:
    return lambda layer: code(setup, layer)
