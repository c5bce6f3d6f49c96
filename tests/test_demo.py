"""What `make demo` does after the installation: compile, train to the promised accuracy, draw."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import deqc

ROOT = Path(__file__).resolve().parents[1]


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "digits_model.py").write_text(deqc.compile(ROOT / "examples/specs/digits.yaml"), encoding="utf-8")
    script = shutil.copy(ROOT / "examples/train/digits.py", folder)  # away from the output of a `make demo`
    command = [sys.executable, script, "--picture", "curves.png", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_digits_reach_97_percent(tmp_path: Path) -> None:
    done = train(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test accuracy 9" in done.stdout
    assert "Warning" not in done.stderr  # every solve converged
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_too_little_training_fails(tmp_path: Path) -> None:
    done = train(tmp_path, "--epochs", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "below 97%" in done.stdout
    assert (tmp_path / "curves.png").is_file()
