"""The wheel as a stranger gets it: built, installed without torch, and used far from the checkout."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPECS = sorted((ROOT / "examples/specs").glob("*.yaml"))
BARE = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}  # no PYTHONPATH, no virtual environment

pytestmark = pytest.mark.xdist_group("wheel")  # one worker builds and installs once


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the scripts of an environment with the wheel and what it depends on."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=True)
    bin_ = home / ("Scripts" if os.name == "nt" else "bin")
    run(bin_ / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=home)
    return bin_


def test_wheel_carries_what_deqc_reads_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("templates", "schemas"):
        files = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*.*")
            if path.parent.name != "__pycache__"
        }
        assert files
        assert {f"deqc/{name}" for name in files} <= names
    assert "deqc/py.typed" in names
    assert not [name for name in names if "__pycache__" in name]
    assert {name.split("/")[0] for name in names} == {"deqc", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}


def test_installs_without_torch(installed: Path, tmp_path: Path) -> None:
    listed = run(installed / "python", "-m", "pip", "list", "--format=freeze", cwd=tmp_path).stdout.decode().lower()
    assert "deqc" in listed
    assert "torch" not in listed


def test_compiles_the_same_bytes_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    copies = [there / spec.name for spec in SPECS]
    for spec, copy in zip(SPECS, copies, strict=True):
        copy.write_bytes(spec.read_bytes())
    run(
        sys.executable, "-m", "deqc", "compile", *SPECS, "-o", f"{here}/", cwd=ROOT, env={**BARE, "PYTHONHASHSEED": "0"}
    )
    other = {
        **BARE,
        "PYTHONHASHSEED": "12345",
        "LC_ALL": "POSIX",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "TZ": "Asia/Tokyo",
    }
    run(installed / "deqc", "compile", *copies, cwd=there, env=other)
    made = sorted(here.glob("*.py"))
    assert len(made) == len(SPECS)
    for path in made:
        assert path.read_bytes() == (there / path.name).read_bytes(), path.name


def test_every_command_works_when_installed(installed: Path, tmp_path: Path) -> None:
    spec = tmp_path / "dense.yaml"
    spec.write_bytes((ROOT / "examples/specs/dense.yaml").read_bytes())
    assert run(installed / "deqc", "--version", cwd=tmp_path, env=BARE).stdout.startswith(b"deqc ")
    run(installed / "deqc", "check", spec, cwd=tmp_path, env=BARE)
    run(installed / "deqc", "explain", "--ir", spec, cwd=tmp_path, env=BARE)
    schema = run(installed / "deqc", "schema", cwd=tmp_path, env=BARE).stdout
    assert schema == (ROOT / "schemas/deqc-1.schema.json").read_bytes()
