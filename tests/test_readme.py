"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

import deqc

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    return blocks[number]


def test_the_code_beside_the_spec_is_what_the_spec_becomes() -> None:
    source = deqc.compile(block("yaml"))
    for function in block("python").strip().split("\n\n\n"):
        assert function in source


def test_the_first_model_runs_as_shown() -> None:
    model = deqc.load(block("yaml"))
    names: dict[str, object] = {"Classifier": model}
    exec(block("python", 1).replace("from classifier import Classifier\n", ""), names)
    logits = names["logits"]
    assert isinstance(logits, torch.Tensor)
    assert logits.shape == (32, 3)
    solution = names["solution"]
    for field in ("output", "z_star", "residual", "nfe", "original"):
        assert hasattr(solution, field)
    assert torch.equal(solution.output, logits)  # type: ignore[attr-defined]


def test_what_it_advises_compiles() -> None:
    spec = block("yaml")
    for settings in (
        "solver: {method: anderson, history: 8, damping: 0.7, max_steps: 100, on_failure: raise}",
        "solver: {method: newton, termination: rel_norm}",
        "init: step\nadjoint: {method: implicit, linear_solver: {method: lu}}",
        "adjoint: jfb",
        "adjoint: phantom",
        "solver: {on_failure: ignore}",
    ):
        deqc.compile(f"{spec}{settings}\n")
    deqc.compile(spec.replace("{linear: {out: 64, bias: false}}", "[{linear: {out: 64, bias: false}}, {times: 0.25}]"))
    model: Any = deqc.load(spec)()
    x = torch.randn(2, 20)
    model(x, depth=8).sum().backward()
    solution = model.solve(x, z0=model.solve(x).z_star)
    solution.output.sum().backward()
    assert solution.original.adjoint is not None
