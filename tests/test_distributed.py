"""Several processes: gradients are those of one, whatever the loops of each take, and training goes on as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import deqc

ROOT = Path(__file__).resolve().parents[1]
SMALL = """
deqc: 1
name: Small
input: {x: [6]}
scale: [16]
main_layers: [{sum: [[{linear: {out: 16, bias: false}}, {times: 0.9}], [$x, {linear: 16}]]}, tanh]
head: [{linear: 8}]
solver: {method: picard, atol: 1.0e-10, max_steps: 300}
adjoint: {method: implicit, linear_solver: {method: picard, rtol: 1.0e-12, max_steps: 300}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the script and the modules that it and the test of gradients need."""
    (tmp_path / "digits_model.py").write_text(deqc.compile(ROOT / "examples/specs/digits.yaml"), encoding="utf-8")
    (tmp_path / "small.py").write_text(deqc.compile(SMALL), encoding="utf-8")
    shutil.copy(ROOT / "examples/train/distributed.py", tmp_path)
    shutil.copy(ROOT / "tests/in_two_processes.py", tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    """What Python prints in the folder, called like that."""
    command = [sys.executable, *arguments]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_gradients_are_those_of_one_process(folder: Path) -> None:
    found = json.loads(run(folder, "in_two_processes.py"))
    (first, first_back), (second, second_back) = found["steps"]
    assert first > second + 10
    assert first_back > second_back + 10
    for method in ("ddp", "fsdp"):
        assert len(found["errors"][method]) == 5
        assert max(found["errors"][method].values()) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ddp", "fsdp"])
def test_training_goes_on_from_a_checkpoint_as_if_it_had_never_ended(method: str, folder: Path) -> None:
    def train(*arguments: str) -> list[str]:
        launch = "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"
        return run(folder, *launch, "distributed.py", "--method", method, *arguments).splitlines()

    whole = train("--epochs", "2")
    assert [line.partition(":")[0] for line in whole] == ["epoch 1", "epoch 2"]
    assert train("--epochs", "1", "--checkpoints", "kept") == whole[:1]
    assert train("--epochs", "2", "--checkpoints", "kept") == whole[1:]
    assert sorted(path.name for path in (folder / "kept").iterdir()) == ["epoch_001", "epoch_002"]
    assert float(whole[-1].split()[-1].rstrip("%")) > 90
