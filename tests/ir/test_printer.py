"""The printed form of a program: stable, complete, and the same whatever the hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deqc.ir.printer import show_program
from deqc.passes import optimise
from tests.passes.programs import lowered

ROOT = Path(__file__).resolve().parents[2]
SPEC = """
input: {x: [3]}
encoder: {e: [$x, {linear: 2}, tanh]}
scales: [[2], [1]]
init: [[$e, sin], null]
main_layers: [[{sum: [{linear: 2}, $e]}, tanh], [{linear: 1}, {as: a}, cos, {as: b}, $a]]
mapping_layers: [[identity, {linear: 1}], [null, identity]]
head: [$z.0, {sum: [identity, $e]}]
"""

EXPECTED = """
program Model
weights:
  %12 = parameter(layer='main_layers.0.sum.0.linear', name='weight') : (2, 2)  # 8:24
  %13 = parameter(layer='main_layers.0.sum.0.linear', name='bias') : (2,)  # 8:24
  %0 = input(name='x') : (B, 3)  # 4:9
  %3 = parameter(layer='encoder.e.linear', name='weight') : (2, 3)  # 5:20
  %4 = parameter(layer='encoder.e.linear', name='bias') : (2,)  # 5:20
  %5 = linear(%0, %3, %4; bias=True, layer='encoder.e.linear', out=2) : (B, 2)  # 5:20
  %6 = tanh(%5) : (B, 2)  # 5:32
  %17 = parameter(layer='main_layers.1.linear', name='weight') : (1, 1)  # 8:51
  %18 = parameter(layer='main_layers.1.linear', name='bias') : (1,)  # 8:51
  %21 = parameter(layer='mapping_layers.0.1.linear', name='weight') : (1, 2)  # 9:30
  %22 = parameter(layer='mapping_layers.0.1.linear', name='bias') : (1,)  # 9:30
  return %12, %13, %6, %17, %18, %21, %22
f:
  %1 = state() : (B, 3)
  %10 = unpack(%1; shape=(2,), start=0, stop=2, whole=False) : (B, 2)
  %14 = linear(%10, %12, %13; bias=True, layer='main_layers.0.sum.0.linear', out=2) : (B, 2)  # 8:24
  %15 = sum(%14, %6) : (B, 2)  # 8:17
  %16 = tanh(%15) : (B, 2)  # 8:42
  %23 = linear(%16, %21, %22; bias=True, layer='mapping_layers.0.1.linear', out=1) : (B, 1)  # 9:30
  %11 = unpack(%1; shape=(1,), start=2, stop=3, whole=False) : (B, 1)
  %19 = linear(%11, %17, %18; bias=True, layer='main_layers.1.linear', out=1) : (B, 1)  # 8:51
  %24 = sum(%23, %19) : (B, 1)
  %28 = pack(%16, %24; ranks=(1, 1), sizes=(2, 1)) : (B, 3)
  return %28
start:
  %7 = sin(%6) : (B, 2)  # 7:13
  %8 = zeros(%0; batched=True, shape=(1,)) : (B, 1)
  %9 = pack(%7, %8; ranks=(1, 1), sizes=(2, 1)) : (B, 3)
  return %9
head:
  %2 = solution() : (B, 3)
  %25 = unpack(%2; shape=(2,), start=0, stop=2, whole=False) : (B, 2)
  %27 = sum(%25, %6) : (B, 2)  # 10:15
  return %27
unused:
  %20 = cos(%19) : (B, 1)  # 8:72
  %26 = unpack(%2; shape=(1,), start=2, stop=3, whole=False) : (B, 1)
"""

SHOW = """
import sys
from deqc.compiler import compile_text
from deqc.ir.printer import show_program
text = open(sys.argv[1], encoding="utf-8").read()
compilation = compile_text(text, sys.argv[1])
for name, program in compilation.stages:
    print(name, show_program(program))
print(*compilation.program.notes, compilation.source)
"""


def test_sections_types_and_places() -> None:
    text = show_program(lowered(SPEC))
    assert text.splitlines() == EXPECTED.strip().splitlines()


def test_printing_twice_gives_the_same() -> None:
    program = lowered(SPEC)
    assert show_program(program) == show_program(program) == show_program(lowered(SPEC))
    assert show_program(optimise(program)) == show_program(optimise(lowered(SPEC)))


@pytest.mark.parametrize("name", ["multiscale", "multiscale_conv", "multiscale_skip"])
def test_every_stage_is_the_same_under_another_hash_seed(name: str) -> None:
    path = ROOT / "examples" / "specs" / f"{name}.yaml"
    printed = [
        subprocess.run(
            [sys.executable, "-c", SHOW, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            encoding="utf-8",
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert "fuse_sources program" in printed[0]
