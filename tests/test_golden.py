"""The modules of examples/specs as text: the same bytes anywhere, clean as emitted; and they compute what specs mean.

The texts of tests/target_specs stand beside them; what those compute is for tests/test_target_specs.py to tell.

`python -m tests.test_golden` writes tests/golden again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from deqc import reference
from deqc.compiler import compile_text
from tests.own_modules import NEURAL_ODES, own_modules
from tests.properties import apart, constants, flat, gradients, import_source, loss, pieces

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
SPECS = {path.stem: path for path in sorted((ROOT / "examples" / "specs").glob("*.yaml"))}
TARGETS = {f"target_{path.stem}": path for path in sorted((ROOT / "tests" / "target_specs").glob("*.yaml"))}
ALL = {**SPECS, **TARGETS}
UPDATE = "python -m tests.test_golden"
EXACT: dict[str, float] = {"ATOL": 1e-13, "RTOL": 1e-13, "ADJOINT_RTOL": 1e-13, "ADJOINT_ATOL": 0.0}
STEPS: dict[str, float] = {"MAX_STEPS": 500, "ADJOINT_STEPS": 300}


def compiled(name: str) -> str:
    path = ALL[name]
    return compile_text(path.read_text(encoding="utf-8"), path.name).source


def golden(name: str) -> Path:
    return GOLDEN / f"{name}.py"


def write() -> None:
    """Writes every golden text, and removes those without a spec."""
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir()
    for name in ALL:
        golden(name).write_text(compiled(name), encoding="utf-8", newline="\n")


def model_part(source: str) -> int:
    """Lines between the constants and the solve: f, its derivatives and the class."""
    lines = source.splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("# ---- f "))
    last = next(k for k, line in enumerate(lines) if line.startswith("# ---- the solve"))
    return last - first


@pytest.mark.parametrize("name", ALL)
def test_text(name: str, record_property: Any) -> None:
    source = compiled(name)
    record_property("lines", len(source.splitlines()))
    record_property("lines of the model", model_part(source))
    print(f"{name}: {len(source.splitlines())} lines, {model_part(source)} of the model")
    assert golden(name).is_file(), f"{name}.yaml has no golden text; to write it: {UPDATE}"
    assert golden(name).read_bytes().decode() == source, f"to take the new text: {UPDATE}; then read the diff"


def test_every_golden_text_has_a_spec() -> None:
    assert {path.stem for path in GOLDEN.glob("*.py")} == set(ALL), UPDATE


COMPILE = """
import pathlib, sys
from deqc.compiler import compile_text
for path in map(pathlib.Path, sys.argv[2:]):
    with path.open(encoding="utf-8", newline="") as file:
        text = file.read()
    made = compile_text(text, str(path)).source
    (pathlib.Path(sys.argv[1]) / f"{path.stem}.py").write_text(made, encoding="utf-8", newline="")
"""


@pytest.mark.parametrize(
    ("environment", "ending"),
    [
        ({"PYTHONHASHSEED": "1", "LC_ALL": "C", "PYTHONUTF8": "0"}, "\n"),
        ({"PYTHONHASHSEED": "2", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo"}, "\r\n"),
        ({"PYTHONHASHSEED": "3", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}, "\r\n"),
    ],
    ids=["C", "Turkish", "Windows"],
)
def test_bytes_are_the_same_anywhere(tmp_path: Path, environment: dict[str, str], ending: str) -> None:
    """Under another hash seed, locale and time zone, in another folder, with other line endings."""
    specs, out = tmp_path / "with a space" / "specs", tmp_path / "out"
    specs.mkdir(parents=True)
    out.mkdir()
    for path in SPECS.values():
        (specs / path.name).write_bytes(path.read_bytes().replace(b"\n", ending.encode()))
    names = [str((specs / path.name).relative_to(tmp_path)) for path in SPECS.values()]
    subprocess.run(
        [sys.executable, "-c", COMPILE, str(out), *names],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=True,
    )
    for name in SPECS:
        assert (out / f"{name}.py").read_bytes() == compiled(name).encode(), name


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=GOLDEN, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_as_emitted_ruff_finds_nothing() -> None:
    run("ruff", "check", "--isolated", "--line-length", "120", str(GOLDEN))
    run("ruff", "format", "--check", "--isolated", "--line-length", "120", str(GOLDEN))


def test_as_emitted_types_are_right(tmp_path: Path) -> None:
    paths = map(str, sorted(GOLDEN.glob("*.py")))
    configuration = tmp_path / "mypy.ini"
    configuration.write_text("[mypy]\n")
    run("mypy", "--config-file", str(configuration), "--strict", "--allow-untyped-calls", *paths)


@pytest.mark.parametrize("name", [name for name in SPECS if name not in NEURAL_ODES])
def test_computes_what_the_spec_means(name: str, tmp_path: Path) -> None:
    compilation = compile_text(SPECS[name].read_text(encoding="utf-8"), name)
    module = import_source(golden(name).read_text(encoding="utf-8"), f"golden_{name}", tmp_path)
    torch.manual_seed(0)
    model: Any = getattr(module, compilation.spec.name)(**own_modules(compilation)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    inputs = tuple(torch.randn(3, *i.type.shape, dtype=torch.float64) for i in compilation.lowered.inputs)

    def expected(*given: Tensor) -> tuple[Tensor, ...]:
        state = {**dict(model.named_buffers()), **dict(model.named_parameters())}
        found = reference.solve(compilation.lowered, state, given, modules=dict(model.named_children()))
        assert found.residual < 1e-12
        return found.output

    with constants(module, **EXACT, **STEPS):
        assert apart(pieces(model(*inputs)), expected(*inputs)) < 1e-9
        assert apart(gradients(model, inputs, model), gradients(model, inputs, expected)) < 1e-7
        solution = model.solve(*inputs)
        again = model.solve(*inputs, z0=solution.z_star)
    assert apart(pieces(solution.output), expected(*inputs)) < 1e-9
    assert solution.original.status.tolist() == again.original.status.tolist() == [0, 0, 0]
    assert again.nfe == 1
    loss(solution.output).backward()

    state = {**dict(model.named_buffers()), **dict(model.named_parameters())}
    given = reference.leaves(compilation.lowered, state, inputs, dict(model.named_children()))
    z = model.pack(model.solve(*inputs, depth=0).z_star)
    for _ in range(2):
        z = reference.apply_f(compilation.lowered, z, given)
    twice = flat(reference.output(compilation.lowered, z, given))
    assert apart([flat(model(*inputs, depth=2))], [twice]) < 1e-11
    start = model.unpack(torch.ones_like(z))
    one = reference.apply_f(compilation.lowered, torch.ones_like(z), given)
    assert apart([model.pack(model.solve(*inputs, z0=start, depth=1).z_star)], [one]) < 1e-11


if __name__ == "__main__":
    write()
