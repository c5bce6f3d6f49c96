"""What a solve keeps for its backward pass: as many bytes after many steps as after few, but where steps are kept."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deqc.compiler import compile_text
from deqc.explain import EXACT
from deqc.loading import import_model
from deqc.solvers import ADJOINTS, LINEAR_SOLVERS

BODY = """\
deqc: 1
name: M
input: {x: [7]}
scale: [5]
main_layers: [{sum: [{linear: 5}, [$x, {linear: 5}]]}, tanh, {times: 0.9}]
"""
# A map whose iterates never come to rest, to the last digit or not: a solve takes all of its steps.
RESTLESS = BODY.replace("tanh, {times: 0.9}", "sin, {times: 4.0}")
GROWING = {"unroll", "discrete"}  # backpropagation through the steps
OTHER = ("implicit", "none", "gauss", "backsolve", "odeint_adjoint", *GROWING)  # of neural ODEs: in their own tests
KEEPING = [(name, {"method": name}) for name in ADJOINTS if name not in OTHER] + [
    (f"implicit by {name}", {"assume": "symmetric", "linear_solver": name}) for name in LINEAR_SOLVERS
]


def kept(adjoint: dict[str, Any], steps: int) -> int:
    """Bytes that a solve of so many steps leaves for its backward pass."""
    method = str(adjoint.get("method", "implicit"))
    solver = {"method": (ADJOINTS[method].solvers or ("picard",))[0], "atol": 0.0, "max_steps": steps}
    text = f"{RESTLESS}solver: {json.dumps({**solver, 'on_failure': 'ignore'})}\nadjoint: {json.dumps(adjoint)}\n"
    torch.manual_seed(0)
    model: Any = import_model(compile_text(text, "m.yaml"))().double()
    x = torch.randn(3, 7, dtype=torch.float64)
    count = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal count
        count += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        solution = model.solve(x)
    if method != "shine":  # Broyden's method ends where a step moves nothing
        assert int(solution.original.steps.max()) == steps
    solution.z_star.sum().backward()
    return count


@pytest.mark.parametrize(("name", "adjoint"), KEEPING, ids=[name for name, _ in KEEPING])
def test_bytes_do_not_depend_on_the_steps(name: str, adjoint: dict[str, Any]) -> None:
    few = kept(adjoint, 5)
    assert few > 0
    assert kept(adjoint, 50) == few


def test_every_exact_adjoint_is_among_them_or_backpropagates() -> None:
    assert {str(one.get("method", "implicit")) for _, one in KEEPING} | GROWING >= EXACT


def test_what_is_unrolled_is_counted() -> None:
    """The count sees what is kept of each step."""
    few, many = kept({"method": "unroll"}, 5), kept({"method": "unroll"}, 50)
    assert many > 7 * few


def test_checkpoints_keep_one_state_of_several_steps() -> None:
    """`sqrt` keeps about so many times what one state takes; a number of steps, one state of each such number."""
    everything, by_root, by_eight = (
        [kept({"method": "unroll", "checkpoint": one}, steps) for steps in (16, 64, 256)] for one in (0, "sqrt", 8)
    )
    assert by_root[2] - by_root[1] == 2 * (by_root[1] - by_root[0])  # 4, 8, 16 states
    assert by_eight[2] - by_eight[1] == 4 * (by_eight[1] - by_eight[0])  # 2, 8, 32
    assert everything[2] > 25 * by_root[2]
    assert everything[2] > 15 * by_eight[2]


def derivatives(checkpoint: object, solver: str) -> list[Tensor]:
    """First and second derivatives through steps, and the first by torch.func."""
    settings = {"method": solver, "atol": 1e-6, "max_steps": 13, "on_failure": "ignore"}
    adjoint = {"method": "unroll", "checkpoint": checkpoint}
    text = f"{BODY}solver: {json.dumps(settings)}\nadjoint: {json.dumps(adjoint)}\n"
    torch.manual_seed(0)
    model: Any = import_model(compile_text(text, "m.yaml"))().double()
    x = torch.randn(3, 7, dtype=torch.float64).requires_grad_()

    def loss(x: Tensor) -> Tensor:
        value: Tensor = model(x).sin().sum()
        return value

    wanted = [x, *model.parameters()]
    first = torch.autograd.grad(loss(x), wanted, create_graph=True)
    second = torch.autograd.grad(torch.stack([g.square().sum() for g in first]).sum(), wanted)
    return [*first, *second, torch.func.grad(loss)(x.detach())]


@pytest.mark.parametrize("checkpoint", ["sqrt", 1, 5, 100])
@pytest.mark.parametrize("solver", ["anderson", "newton", "limited_memory_broyden"])
def test_steps_that_are_taken_again_have_the_same_derivatives(solver: str, checkpoint: object) -> None:
    expected = derivatives(0, solver)
    torch.testing.assert_close(derivatives(checkpoint, solver), expected, rtol=1e-12, atol=1e-14)


class Live(TorchDispatchMode):
    """The most bytes of tensors that were made in it and alive at one time."""

    now = 0
    most = 0
    known: frozenset[int] = frozenset()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        storages = [leaf.untyped_storage() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        for storage in storages:
            if storage.data_ptr() not in self.known | {0}:
                self.known |= {storage.data_ptr()}
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self._gone, storage.data_ptr(), storage.nbytes())
        return result

    def _gone(self, place: int, size: int) -> None:
        self.known -= {place}
        self.now -= size


WIDE = BODY.replace("scale: [5]", "scale: [512]").replace("linear: 5", "linear: 512")


@pytest.mark.parametrize(
    ("solver", "linear", "vectors"),
    [
        ({"method": "picard"}, {"method": "picard"}, 9),
        ({"method": "anderson", "history": 4}, {"method": "anderson", "history": 4}, 2 * 4 + 14),
        ({"method": "picard"}, {"method": "bicgstab"}, 17),
        ({"method": "picard"}, {"method": "gmres", "memory": 6}, 7 + 10),
    ],
    ids=["picard", "anderson", "bicgstab", "gmres"],
)
def test_a_training_step_holds_f_once_and_some_vectors(
    solver: dict[str, Any], linear: dict[str, Any], vectors: int
) -> None:
    """At its peak: what one evaluation of f with its derivative takes, and the memory of the solvers, in states."""
    settings = {"atol": 0.0, "max_steps": 40, "on_failure": "ignore"}
    adjoint = {"linear_solver": {**linear, "rtol": 0.0, "max_steps": 40}}
    text = f"{WIDE}solver: {json.dumps({**solver, **settings})}\nadjoint: {json.dumps(adjoint)}\n"
    torch.manual_seed(0)
    model: Any = import_model(compile_text(text, "m.yaml"))()
    x = torch.randn(256, 7)

    def peak(run: Callable[[], Tensor]) -> int:
        model.zero_grad()
        live: Live = cast("Any", Live)()
        with live:
            run().sum().backward()
        return live.most

    state = 256 * 512 * 4
    assert peak(lambda: model(x)) <= peak(lambda: model(x, depth=1)) + vectors * state
