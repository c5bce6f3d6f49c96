"""Gradients of a generated module in two processes and in one, printed as JSON; `tests.test_distributed` runs it.

Beside it stand `distributed.py`, with the module that it needs, and the module `small`.
"""

from __future__ import annotations

import json
import tempfile
from typing import Any

import torch
import torch.distributed as dist
from distributed import spread
from small import Small
from torch import Tensor, nn
from torch.multiprocessing.spawn import start_processes
from torch.nn import functional as F


def made() -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = Small().double()
    return model


def gradients(model: Any, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Of the whole parameters, also where each process holds a part."""
    F.cross_entropy(model(x), labels).backward()
    own = {name.removeprefix("module."): parameter.grad for name, parameter in model.named_parameters()}
    return {name: g.full_tensor() if hasattr(g, "full_tensor") else g for name, g in own.items()}


def steps(x: Tensor, labels: Tensor) -> tuple[int, int]:
    """How often the loops of the solve and of the backward solve run."""
    model: Any = made()
    solution = model.solve(x)
    F.cross_entropy(solution.output, labels).backward()
    record = solution.original
    return int(record.steps.max()), int(record.adjoint.steps.max())


def compare(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.manual_seed(1)
    x, labels = torch.randn(8, 6, dtype=torch.float64), torch.arange(8)
    x[1::2] *= 10  # tanh is flat there: the second process has less to do
    expected = gradients(made(), x, labels)
    counts: list[Any] = [None, None]
    dist.all_gather_object(counts, steps(x[rank::2], labels[rank::2]))
    errors = {}
    for method in ("ddp", "fsdp"):
        found = gradients(spread(made(), method), x[rank::2], labels[rank::2])
        errors[method] = {name: float((found[name] - g).norm() / g.norm()) for name, g in expected.items()}
    if rank == 0:
        print(json.dumps({"steps": counts, "errors": errors}))
    dist.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        start_processes(compare, (folder,), nprocs=2, start_method="fork")
