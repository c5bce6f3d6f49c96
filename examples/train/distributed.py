"""Trains the module made from examples/specs/digits.yaml in several processes, and goes on from a checkpoint.

    deqc compile examples/specs/digits.yaml -o examples/train/digits_model.py
    torchrun --nproc-per-node 2 examples/train/distributed.py --method fsdp --checkpoints digits_checkpoints

Each process solves its own part of a batch, with as many steps as that part needs: a solve sends nothing to others, so
that loops may stop at different counts. With `ddp` every process holds all parameters, with `fsdp` (FSDP2) a part of
each. Called again with the same folder it goes on behind the last epoch that is in it, as if it had never ended.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from digits_model import Digits
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.stateful import Stateful
from torch.distributed.fsdp import fully_shard
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

BATCH = 64  # images a step, of all processes together
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 1e-3

Method = Literal["ddp", "fsdp"]


def spread(model: nn.Module, method: Method) -> nn.Module:
    """The model over all processes.

    FSDP2 takes the model as one unit: f reads its weights without calling the layers that hold them, so that none of
    these may be sharded by itself.
    """
    if method == "ddp":
        return DistributedDataParallel(model)
    fully_shard(model)
    return model


@dataclass
class Training(Stateful):
    """All that a checkpoint keeps; what some number of processes save, any other number can load."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0

    def state_dict(self) -> dict[str, Any]:
        """The state, each process with its own part."""
        model, optimizer = get_state_dict(self.model, self.optimizer)
        return {"model": model, "optimizer": optimizer, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes the state."""
        set_state_dict(self.model, self.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        self.epoch = state["epoch"]


def latest(folder: Path | None) -> Path | None:
    """The last checkpoint in the folder that is whole: its metadata are written at the end."""
    whole = [] if folder is None else [one.parent for one in folder.glob("epoch_*/.metadata")]
    return max(whole, default=None)


def train(training: Training, images: Tensor, labels: Tensor, seed: int) -> float:
    """One epoch; the mean loss over all processes. What is random in it depends on seed, epoch and process alone."""
    rank, processes = dist.get_rank(), dist.get_world_size()
    shuffle = torch.Generator().manual_seed(seed + training.epoch)
    order = torch.randperm(len(labels), generator=shuffle)
    torch.manual_seed((seed + training.epoch) * processes + rank)  # of dropout
    training.model.train()
    total = torch.zeros(())
    whole = order[: len(order) // BATCH * BATCH].split(BATCH)
    for rows in whole:
        mine = rows[rank::processes]
        loss = F.cross_entropy(training.model(images[mine]), labels[mine])
        training.optimizer.zero_grad()
        loss.backward()
        training.optimizer.step()
        total += loss.detach() / len(whole) / processes
    dist.all_reduce(total)
    training.epoch += 1
    return total.item()


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose digit is told right, each process looking at a part of them."""
    model.eval()
    mine = slice(dist.get_rank(), None, dist.get_world_size())
    with torch.no_grad():
        right = (model(images[mine]).argmax(1) == labels[mine]).sum()
    dist.all_reduce(right)
    return int(right) / len(labels)


def main() -> None:
    """Trains, and keeps a checkpoint behind each epoch."""
    parser = argparse.ArgumentParser(description="Trains examples/specs/digits.yaml, compiled, in several processes.")
    parser.add_argument("--method", choices=["ddp", "fsdp"], default="ddp")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoints", type=Path, help="a folder, to go on from and to write to")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    dist.init_process_group("gloo")
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    held_out = torch.arange(len(labels)) % 3 == 0
    torch.manual_seed(arguments.seed)  # the same weights in every process
    model = spread(Digits(), arguments.method)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    training = Training(model, optimizer)
    last = latest(arguments.checkpoints)
    if last is not None:
        load({"training": training}, checkpoint_id=last)
    while training.epoch < arguments.epochs:
        loss = train(training, images[~held_out], labels[~held_out], arguments.seed)
        right = accuracy(model, images[held_out], labels[held_out])
        if arguments.checkpoints is not None:
            save({"training": training}, checkpoint_id=arguments.checkpoints / f"epoch_{training.epoch:03d}")
        if dist.get_rank() == 0:
            print(f"epoch {training.epoch}: loss {loss:.6f}, held out {right:.1%}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
