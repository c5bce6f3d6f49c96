"""`deqc verify`: what it shows and returns, what it finds out, and what it says where it cannot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from jsonschema import Draft202012Validator

from deqc import running
from deqc.compiler import Compilation
from deqc.loading import import_model
from tests.cli.test_commands import call
from tests.cli.test_solve import DENSE, EXAMPLES, HALF, KINDS, codes

QUICK = ("dense", "multiscale", "graph")
NUMBER = r"\d\.\de[+-]\d\d"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder with two specs."""
    monkeypatch.chdir(tmp_path)
    Path("half.yaml").write_text(HALF)
    Path("small.yaml").write_text(DENSE + "adjoint: {linear_solver: gmres}\n")


def verified(*arguments: str, status: int = 0) -> Any:
    """The document that the call prints, which obeys its schema."""
    document = json.loads(call("verify", *arguments, "--format", "json", status=status).stdout)
    schema = json.loads(call("schema", "verify").stdout)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    return document


def verdicts(document: Any) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in document["checks"]}


def refused(*arguments: str) -> str:
    """What a call says that was made wrongly."""
    result = call("verify", *arguments, status=2)
    assert result.stdout == ""
    return " ".join(result.stderr.split())


def test_the_tables() -> None:
    """z = z / 2 + x ends where the residual is below 0.01, and all of its derivatives are known."""
    numpy.savez("x.npz", x=[[1.0, -0.5], [0.0, 0.0]])
    result = call("verify", "half.yaml", "--input", "x.npz")
    assert result.stderr == ""
    assert (
        re.sub(rf"(f|gradient|gradient as set|finite differences|float32) +{NUMBER}", r"\1  #", result.stdout)
        == """\
Half, inputs of x.npz, weights drawn with seed 0
2 samples of 2 numbers, in float64 and eval mode
adjoint implicit by lu, rtol 1e-3, atol 0.0: exact

check                 error    limit
f  #  1.5e-08  good  at z* and at random states
z*                  7.8e-03  1.0e-01  good  2/2 converged
gradient  #  1.5e-08  good  worst: input x
gradient as set  #  1.0e-01  good  worst: input x 0.0e+00
finite differences  #  6.1e-06  good  along 3 random directions
float32  #  1.0e-01  good  from float64: z* by 0.0e+00, 2/2 converged

df/dz at z*                            worst   median
spectral radius                        0.500    0.500  eigenvalues
distance of I - df/dz from singular  5.0e-01  5.0e-01  smallest singular value

cost, of the sample with most  steps  f  products
solve                              7  8         0
backward solve                     1            2
"""
    )


def test_the_document() -> None:
    document = verified("small.yaml", "--batch", "2", "--seed", "3")
    assert (document["model"], document["seed"], document["good"], document["size"]) == ("Small", 3, True, 4)
    assert set(verdicts(document).values()) == {"good"}
    assert document["adjoint"] == "exact"
    assert {one["name"] for one in document["gradients"]} == {
        "input x",
        *(f"main_layers.0.sum.{k}.linear.{tensor}" for k in (0, 1) for tensor in ("weight", "bias")),
    }
    assert document["spectrum"]["dense"]
    assert [len(document["spectrum"][name]) for name in ("radius", "distance")] == [2, 2]
    assert [one["status"] for one in document["samples"]] == ["converged"] * 2
    assert document["backward"]["products"] <= 5  # as many as there are numbers, and one for the residual
    assert verified("small.yaml", "--batch", "2", "--seed", "3") == document
    assert verified("small.yaml", "--batch", "2", "--seed", "4") != document


def corrupted(monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    """Models are imported with this text in the place of the other."""

    def imported(compilation: Compilation) -> Any:
        assert compilation.source.count(before) == 1
        return import_model(replace(compilation, source=compilation.source.replace(before, after)))

    monkeypatch.setattr(running, "import_model", imported)


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        ("(0.5 * (u * at.d_h)) @ w.weight", "(0.501 * (u * at.d_h)) @ w.weight", {"gradient", "finite differences"}),
        ("Linearization(1 - h * h)", "Linearization(1 - h)", {"gradient", "gradient as set", "finite differences"}),
        ("g_p.t() @ z", "1.001 * g_p.t() @ z", {"gradient", "finite differences"}),
        ("at.z, Record(", "at.z + 0.1, Record(", {"z*"}),
    ],
)
def test_what_is_wrong_in_a_module_is_found(
    before: str, after: str, wrong: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupted(monkeypatch, before, after)
    result = call("verify", "small.yaml", "--set", "width=4", status=1)
    found = {line[:18].strip() for line in result.stdout.splitlines() if "  off  " in line}
    assert wrong <= found
    assert "f" not in found


WAY = """\
deqc: 1
name: Way
kind: neural_ode
input: {x: [3]}
scale: [4]
init: [$x, {linear: 4}]
time: {saveat: [0.5, 1]}
main_layers: [{sum: [{linear: 4}, [$x, {linear: 4}]]}, tanh]
solver: {method: tsit5, atol: 1.0e-5, rtol: 1.0e-5}
adjoint: ADJOINT
"""
GRADIENT = {"gradient", "gradient as set", "finite differences"}
SOLUTION = {"z(t)", "z(t) as set"}


@pytest.mark.parametrize(
    ("adjoint", "before", "after", "wrong"),
    [
        ("gauss", "Linearization(1 - h * h)", "Linearization(1 - h)", GRADIENT),
        ("gauss", "g_p.t() @ z", "1.001 * g_p.t() @ z", {"gradient"}),
        ("gauss", "(0.5, 4 / 9)", "(0.5, 4.01 / 9)", {"gradient"}),
        ("gauss", "u + g[:, k]", "u + 1.01 * g[:, k]", GRADIENT),
        ("backsolve", "g_p.t() @ z", "1.001 * g_p.t() @ z", {"gradient"}),
        ("discrete", "-3.290069515436081", "-3.289069515436081", {"z(t)", "gradient"}),
        ("discrete", "kept, at.saved,", "kept, 1.1 * at.saved,", SOLUTION | {"gradient", "gradient as set"}),
    ],
)
def test_what_is_wrong_in_a_neural_ode_is_found(
    adjoint: str, before: str, after: str, wrong: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("way.yaml").write_text(WAY.replace("ADJOINT", adjoint))
    assert set(verdicts(verified("way.yaml", "--batch", "3")).values()) == {"good"}
    corrupted(monkeypatch, before, after)
    document = verified("way.yaml", "--batch", "3", status=1)
    assert wrong <= {name for name, verdict in verdicts(document).items() if verdict == "off"}
    assert verdicts(document)["f"] == "good"


@pytest.mark.parametrize(
    ("before", "after"),
    [("gz + gy, *_placed", "gz, *_placed"), ("old - 0.8", "old - 0.81"), ("g_at + back", "g_at + 1.01 * back")],
)
def test_what_is_wrong_in_undone_steps_is_found(before: str, after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("undone.yaml").write_text(
        DENSE.replace("main_layers", "init: [$x, {linear: 4}]\nmain_layers")
        + "solver: {method: reversible, damping: 0.8}\nadjoint: reversible\n"
    )
    assert set(verdicts(verified("undone.yaml", "--batch", "3")).values()) == {"good"}
    corrupted(monkeypatch, before.replace("0.8", "DAMPING"), after.replace("0.81", "1.01 * DAMPING"))
    wrong = verdicts(verified("undone.yaml", "--batch", "3", status=1))
    assert wrong["gradient"] == "off"


def test_the_document_of_a_neural_ode() -> None:
    Path("way.yaml").write_text(WAY.replace("ADJOINT", "backsolve"))
    document = verified("way.yaml", "--batch", "2")
    assert document["size"] == 4
    assert document["time"] == {"start": 0.0, "stop": 1.0, "saveat": [0.5, 1.0]}
    assert document["adjoint"] == "exact up to the tolerance of the backward integration"
    assert [len(document["spectrum"][name]) for name in ("radius", "abscissa")] == [2, 2]
    assert document["spectrum"]["distance"] is None
    assert document["backward"]["calls"] > 0
    assert [one["residual_norm"] for one in document["samples"]] == [0.0, 0.0]
    result = call("verify", "way.yaml", "--batch", "2").stdout
    assert "2 samples of 4 numbers, from t = 0.0 to 1.0, in float64 and eval mode" in result
    assert "spectral abscissa" in result


def test_the_worst_parameter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    corrupted(monkeypatch, "g_p.t() @ z", "1.1 * g_p.t() @ z")
    document = verified("small.yaml", status=1)
    one = next(one for one in document["checks"] if one["name"] == "gradient")
    assert one["remark"] == "worst: main_layers.0.sum.0.linear.weight"
    assert one["error"] == pytest.approx(0.1)
    assert not document["good"]


def test_an_approximate_adjoint_is_good_and_told_with_its_error() -> None:
    Path("jfb.yaml").write_text(HALF + "adjoint: jfb\n")
    document = verified("jfb.yaml")
    assert verdicts(document) == {
        "f": "good",
        "z*": "good",
        "gradient": "good",
        "gradient as set": "approximate",
        "finite differences": "does not apply",
        "float32": "good",
    }
    assert document["checks"][3]["error"] == pytest.approx(0.5)
    assert document["checks"][2]["remark"] == "from what jfb means to compute; worst: input x"
    assert document["backward"] is None
    assert re.search(r"approximate +worst: input x 5.0e-01", call("verify", "jfb.yaml").stdout)


def test_a_solve_that_fails_is_off() -> None:
    Path("short.yaml").write_text(HALF.replace("max_steps: 20", "max_steps: 2, on_failure: raise"))
    assert verdicts(verified("short.yaml", status=1))["z*"] == "off"
    assert "8 max_steps" in call("verify", "short.yaml", status=1).stdout


def test_what_is_not_finite_is_null_for_programs() -> None:
    numpy.savez("x.npz", x=[[numpy.nan, 0.0], [0.0, 0.0]])
    document = verified("half.yaml", "--input", "x.npz", status=1)
    assert [(one["error"], one["verdict"]) for one in document["checks"][:2]] == [(None, "off"), (0, "off")]
    assert "near 1 the reference finds no equilibrium" in document["checks"][1]["remark"]
    assert document["spectrum"] is None
    assert document["gradients"] == []
    assert "inf" in call("verify", "half.yaml", "--input", "x.npz", status=1).stdout


def test_quiet() -> None:
    assert call("verify", "half.yaml", "-q").output == ""
    Path("short.yaml").write_text(HALF.replace("max_steps: 20", "max_steps: 2"))
    assert call("verify", "short.yaml", "-q", status=1).output == ""


def test_weights_and_sizes() -> None:
    Path("k.yaml").write_text(KINDS)
    verified("k.yaml", "--size", "L=5", "--size", "N=6", "--batch", "3")
    assert "dimension L is known at the call only" in refused("k.yaml", "--size", "N=6")
    torch.save({"w": torch.zeros(2)}, "other.pt")
    assert "Missing key(s) in state_dict" in refused("small.yaml", "--weights", "other.pt")
    torch.manual_seed(0)
    layers = [f"main_layers.0.sum.{k}.linear" for k in (0, 1)]
    shapes = {"weight": ((4, 4), (4, 3)), "bias": ((4,), (4,))}
    torch.save(
        {f"{layer}.{one}": 0.3 * torch.randn(shapes[one][k]) for k, layer in enumerate(layers) for one in shapes},
        "w.pt",
    )
    assert verified("small.yaml", "--weights", "w.pt")["weights"] == "w.pt"


def test_wrong_calls() -> None:
    numpy.savez("none.npz", x=numpy.zeros((0, 2)))
    numpy.savez("wide.npz", x=numpy.zeros((1, 3)))
    assert "the inputs hold no sample" in refused("half.yaml", "--input", "none.npz")
    assert "x must have the shape (B, 2), found (1, 3)" in refused("half.yaml", "--input", "wide.npz")
    assert "--input reads them" in refused("half.yaml", "--input", "wide.npz", "--batch", "2")
    assert "verify takes one value for each constant" in refused("small.yaml", "--set", "width=2,3")
    assert "modules of your own (cell)" in refused(str(EXAMPLES / "own_module.yaml"))


def test_a_wrong_spec() -> None:
    Path("bad.yaml").write_text(HALF.replace("times", "tmes"))
    assert codes(call("verify", "bad.yaml", status=1)) == ["E042"]
    assert json.loads(call("verify", "bad.yaml", "--format", "json", status=1).stdout)[0]["code"] == "E042"


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("deqc.verification")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "deqc.verification", None)
    assert "verify runs the model, which needs torch: pip install 'deqc[torch]'" in refused("half.yaml")


def test_only_what_is_used_is_imported() -> None:
    program = (
        "import sys; from deqc.cli.main import deqc; deqc(['verify', '--help'], standalone_mode=False); "
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in done.stderr.split()} & {"torch", "rich", "matplotlib", "yaml"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])
        for name in sorted(path.stem for path in EXAMPLES.glob("*.yaml") if path.stem != "own_module")
    ],
)
def test_every_example_is_good(name: str) -> None:
    assert call("verify", EXAMPLES / f"{name}.yaml", "--batch", "3", "-q").output == ""
