"""Runs generated modules on given or random inputs, and tells how each solve went: what `deqc solve` shows.

Beside `deqc.loading`, `deqc.reference` and `deqc.verification` the only room that needs torch.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

import torch
from torch import Tensor

from deqc.compiler import Compilation
from deqc.ir.graph import Node, Program, depends
from deqc.loading import import_model
from deqc.types import FLOAT, bound, dims

Watcher = Callable[[int, float, int], None]
"""Is told after each step: its number, the largest residual norm of a sample, and how many samples have converged."""

_NUMBERS = 10  # whole numbers are drawn below this where no embedding bounds them
_TAKEN = {FLOAT: "fiu", "bool": "b"}  # kinds of NumPy's dtypes that an input takes; whole numbers by the others
_EDGES = 0.3  # of the entries of a sparse matrix that are not 0


class RunError(Exception):
    """A model cannot be run as asked; the text says why, and what would help."""


@dataclass(frozen=True)
class Sample:
    """How the solve of one sample went."""

    status: str  # of the module's Status, in lower case
    steps: int
    nfe: int
    njvp: int
    residual_norm: float
    best_residual_norm: float
    trace: tuple[float, ...]  # the residual norm at the start and after each step


@dataclass(frozen=True)
class Run:
    """One solve of a batch; `calls` of f on all of it."""

    samples: tuple[Sample, ...]
    calls: int
    seconds: float

    @property
    def converged(self) -> bool:
        """Whether every sample did."""
        return all(sample.status == "converged" for sample in self.samples)


def random_inputs(program: Program, batch: int, sizes: Mapping[str, int], seed: int) -> dict[str, Tensor]:
    """Inputs by name: normal numbers, whole numbers that every embedding takes, truth values that are all true.

    A sparse matrix has rows that sum to 1. `sizes` are those of the named dimensions.

    Raises:
        RunError: a named dimension has no size, or there is none of a name that has one.
    """
    names = {name for node in program.inputs for dim in dims(node.type.shape) for name in dim.names}
    if missing := sorted(names - sizes.keys()):
        raise RunError(f"the dimension {missing[0]} is known at the call only: give its size")
    if unknown := sorted(sizes.keys() - names):
        raise RunError(f"no input has a dimension {unknown[0]}")
    generator = torch.Generator().manual_seed(seed)
    return {_name(node): _random(program, node, batch, sizes, generator) for node in program.inputs}


def _random(program: Program, node: Node, batch: int, sizes: Mapping[str, int], generator: torch.Generator) -> Tensor:
    kind = node.type
    shape = (*([batch] if kind.batched else []), *bound(kind.shape, sizes))
    if kind.sparse:
        matrix = (torch.rand(shape, generator=generator) < _EDGES) + torch.eye(*shape[-2:])
        return _sparse(matrix / matrix.sum(-1, keepdim=True))
    if kind.dtype == FLOAT:
        return torch.randn(shape, generator=generator)
    if kind.dtype == "bool":
        return torch.ones(shape, dtype=torch.bool)
    looked_up = depends(program.nodes, node)
    counts = (
        one.operands[1].type.shape[0] for one in program.nodes if one.op == "embedding" and one.operands[0] in looked_up
    )
    return torch.randint(min(counts, default=_NUMBERS), shape, generator=generator, dtype=getattr(torch, kind.dtype))


def read_inputs(program: Program, file: str | PathLike[str]) -> dict[str, Tensor]:
    """The arrays of an `.npz` file, one for each input, by name.

    Raises:
        RunError: it is no such file, an array is missing, too many or of another kind, or NumPy is not installed.
    """
    try:
        import numpy
    except ImportError:
        raise RunError("reading inputs needs NumPy: pip install 'deqc[solve]'") from None
    try:
        archive = numpy.load(file, allow_pickle=False)
        if not isinstance(archive, numpy.lib.npyio.NpzFile):
            raise ValueError("it holds one array without a name")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as fault:
        raise RunError(f"'{fspath(file)}' is no .npz file of arrays: {fault}") from None
    wanted = {_name(node): node for node in program.inputs}
    for name in wanted:
        if name not in arrays:
            raise RunError(f"'{fspath(file)}' holds no array '{name}'; it holds {', '.join(arrays) or 'none'}")
    for name in arrays:
        if name not in wanted:
            raise RunError(f"the model has no input '{name}'; it has {', '.join(wanted)}")
    return {name: _given(name, arrays[name], node) for name, node in wanted.items()}


def _given(name: str, array: Any, node: Node) -> Tensor:
    """An array as the input takes it: no number loses its fraction, none is too large."""
    kind = node.type
    fits = array.dtype.kind in _TAKEN.get(kind.dtype, "iu")
    taken = array.astype("float32" if kind.dtype == FLOAT else kind.dtype) if fits else array
    if not fits or (kind.dtype != FLOAT and (taken != array).any()):
        raise RunError(f"the input '{name}' is of dtype {kind.dtype}, its array of {array.dtype.name}")
    value = torch.from_numpy(taken)
    return _sparse(value) if kind.sparse else value


def _sparse(matrix: Tensor) -> Tensor:
    """The matrix as generated modules take it, without torch's word that its support is young."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        return matrix.to_sparse_csr()


def read_weights(file: str | PathLike[str]) -> dict[str, Any]:
    """A state_dict from a `.safetensors` file, or from one that torch saved; nothing in it is executed.

    Raises:
        RunError: it is no such file, or safetensors is not installed.
    """
    name = fspath(file)
    try:
        if name.endswith(".safetensors"):
            try:
                from safetensors.torch import load_file
            except ImportError:
                raise RunError(
                    f"reading '{name}' needs safetensors: pip install 'deqc[solve]', or save the state_dict with torch"
                ) from None
            state: Any = load_file(name)
        else:
            state = torch.load(name, map_location="cpu", weights_only=True)
    except RunError:
        raise
    except Exception as fault:  # each library has its own for a file that is none of its
        reason = str(fault).strip().split("\n")[0]
        raise RunError(f"'{name}' cannot be read as weights: {reason}; save model.state_dict()") from None
    if not isinstance(state, dict):
        raise RunError(f"'{name}' holds no state_dict: save model.state_dict()")
    return state


def make_model(compilation: Compilation, state: Mapping[str, Any] | None, seed: int) -> Any:
    """The model in evaluation mode, with those weights, or with weights drawn from the seed.

    Raises:
        RunError: the weights are those of another model, or it calls modules that only its user has.
    """
    if compilation.spec.modules:
        names = ", ".join(compilation.spec.modules)
        raise RunError(f"the model calls modules of your own ({names}), which the spec does not hold")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = import_model(compilation)()
    if state is not None:
        try:
            model.load_state_dict(dict(state))
        except RuntimeError as fault:
            raise RunError(" ".join(str(fault).split())) from None
    return model.eval()


def run(model: Any, inputs: Mapping[str, Tensor], seed: int, watcher: Watcher | None = None) -> Run:
    """Solves the batch; the model's solver keeps a trace.

    Raises:
        RunError: the model refuses the inputs.
    """
    module: Any = sys.modules[type(model).__module__]
    with torch.no_grad(), torch.random.fork_rng(devices=[]), _watched(module, watcher):
        torch.manual_seed(seed)
        begun = time.perf_counter()
        try:
            solution = model.solve(**inputs)
        except ValueError as fault:
            raise RunError(str(fault)) from None
        seconds = time.perf_counter() - begun
    return Run(tuple(samples(solution.original, model.Status)), solution.nfe, seconds)


def samples(record: Any, statuses: Any) -> Iterator[Sample]:
    """What the record says, one sample after the other."""
    fields = ("status", "steps", "nfe", "njvp", "residual_norm", "best_residual_norm", "trace")
    for status, steps, nfe, njvp, last, best, trace in zip(*(getattr(record, f).tolist() for f in fields), strict=True):
        yield Sample(statuses(status).name.lower(), steps, nfe, njvp, last, best, tuple(trace[: steps + 1]))


@contextmanager
def _watched(module: Any, watcher: Watcher | None) -> Iterator[None]:
    """Has a generated module tell the watcher of its stop test, asked once at the start and once after each step."""
    if watcher is None or not hasattr(module, "_test"):  # a neural ODE has none: its steps are told when it has ended
        yield
        return
    test, told = module._test, _Told(watcher)

    def watched(r: Tensor, fz: Tensor) -> Any:
        found = test(r, fz)
        told.see(found[0], found[1])
        return found

    module._test = watched
    try:
        yield
    finally:
        module._test = test


class _Told:
    """What the watcher has been told; what the loop still computes of samples that have converged means nothing."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._steps = -1
        self._norm = torch.zeros(())
        self._solved = torch.zeros((), dtype=torch.bool)

    def see(self, norm: Tensor, small: Tensor) -> None:
        """The norms after one more step, and whether they pass the test."""
        self._steps += 1
        on = ~self._solved & ((norm < math.inf) | (self._steps == 0))
        self._norm = torch.where(on, norm, self._norm)
        self._solved = self._solved | small
        worst = float(self._norm.nan_to_num(math.inf).amax()) if len(norm) else 0.0
        self._watcher(self._steps, worst, int(self._solved.sum()))


def _name(node: Node) -> str:
    return str(node.attributes["name"])
