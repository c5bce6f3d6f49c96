"""Programs for the tests of passes: from a spec's text to the IR, its printed form, and its values at random points."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from deqc.diagnostics import Problems
from deqc.ir.graph import Program
from deqc.ir.printer import show_program
from deqc.ir.verify import verify
from deqc.lower import lower
from deqc.passes import PIPELINE
from deqc.reference import evaluate, leaves
from deqc.spec.build import build
from deqc.spec.loader import load
from deqc.spec.validate import validate

BATCH = 3


def lowered(text: str) -> Program:
    """The unoptimised program of a spec whose first two keys are left out."""
    problems = Problems()
    root = load(f"deqc: 1\nname: Model\n{text}", "model.yaml")
    validate(root, problems)
    spec = build(root, problems)
    problems.raise_errors()
    assert spec is not None
    program = lower(spec, problems)
    problems.raise_errors()
    assert program is not None
    verify(program, "lowering")
    return program


def run(name: str, program: Program) -> Program:
    """The program after one pass, verified."""
    step = next(step for step in PIPELINE if step.name == name)
    after = step.run(program)
    verify(after, name)
    return after


def shown(program: Program) -> str:
    """The printed form without places in the spec."""
    return re.sub(r"  # \d+:\d+$", "", show_program(program), flags=re.MULTILINE)


def section(program: Program, title: str) -> str:
    """The lines of one section of the printed form, without their indentation."""
    lines = shown(program).partition(f"\n{title}:\n")[2].split("\n")
    end = next((k for k, line in enumerate(lines) if not line.startswith("  ")), len(lines))
    return "\n".join(line.strip() for line in lines[:end])


def ops(program: Program) -> list[str]:
    """The ops of one evaluation of f, in order."""
    return [line.partition(" = ")[2].partition("(")[0] for line in section(program, "f").split("\n")[:-1]]


def said(program: Program, name: str) -> list[str]:
    """What a pass has noted."""
    return [note.removeprefix(f"{name}: ") for note in program.notes if note.startswith(f"{name}: ")]


def values(program: Program, seed: int = 0) -> tuple[Tensor, ...]:
    """f, the start and the output at a random point, with random weights that depend on their names alone."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    z = random(BATCH, program.size)
    inputs = tuple(random(BATCH, *i.type.shape) for i in program.inputs)
    names = {f"{n.attributes['layer']}.{n.attributes['name']}": n for n in program.nodes if n.op == "parameter"}
    state = {name: torch.empty(0) for name in names}
    for name in sorted(names):
        own = torch.Generator().manual_seed(sum(map(ord, name)) + seed)
        value = torch.randn(*names[name].type.shape, dtype=torch.float64, generator=own)
        state[name] = value.abs() if name.endswith("running_var") else value
    given = {**leaves(program, state, inputs), program.state: z, program.solution: z}
    roots = (program.f, *([program.start] if program.start else []), *program.outputs)
    return evaluate(program, roots, given)


def equal(program: Program, other: Program) -> bool:
    """Whether both compute the same at random points."""
    return all(
        torch.allclose(a, b, rtol=1e-10, atol=1e-10, equal_nan=True)
        for seed in (0, 1)
        for a, b in zip(values(program, seed), values(other, seed), strict=True)
    )
