"""`deqc solve`: what it runs, shows, draws and returns, and what it says where it cannot."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy
import pytest
import torch
from click.testing import Result
from jsonschema import Draft202012Validator

from deqc import running
from deqc.cli import residuals, solutions
from deqc.compiler import compile_text
from tests.cli.test_commands import call
from tests.own_modules import NEURAL_ODES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/specs"
HALF = """\
deqc: 1
name: Half
input: {x: [2]}
scale: [2]
main_layers: [{sum: [{times: 0.5}, $x]}]
solver: {method: picard, atol: 0.01, max_steps: 20}
"""
"""z = z / 2 + x, whose residual under plain iteration from 0 is x, then half of it at each step."""

DENSE = """\
deqc: 1
name: Small
constants: {width: 4}
input: {x: [3]}
scale: ["${width}"]
main_layers: [{sum: [[{linear: "${width}"}, {times: 0.5}], [$x, {linear: "${width}"}]]}, tanh]
"""

KINDS = """\
deqc: 1
name: Kinds
input:
  words: {shape: [L], dtype: int64}
  mask: {shape: [L], dtype: bool}
  adjacency: {shape: [N, N], batch: false, layout: sparse_csr}
  u: [N, 4]
encoder: {w: [$words, {embedding: {count: 3, out: 4}}, {reduce: {op: mean, dim: 0}}, {reshape: [1, 4]}]}
scale: [N, 4]
main_layers: [{sum: [[{matmul: {left: $adjacency}}, {times: 0.3}], $u]}, tanh]
head: [{linear: 2}]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder with two specs."""
    monkeypatch.chdir(tmp_path)
    Path("half.yaml").write_text(HALF)
    Path("small.yaml").write_text(DENSE)


def solved(*arguments: str, status: int = 0) -> Any:
    """The document that the call prints, which obeys its schema."""
    document = json.loads(call("solve", *arguments, "--format", "json", status=status).stdout)
    schema = json.loads(call("schema", "solve").stdout)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    return document


def refused(*arguments: str) -> str:
    """What a call says that was made wrongly."""
    result = call("solve", *arguments, status=2)
    assert result.stdout == ""
    return " ".join(result.stderr.split())


def codes(result: Result) -> list[str]:
    return re.findall(r"error\[(\w+)\]", result.stderr)


def test_the_residual_of_every_step_on_given_inputs() -> None:
    numpy.savez("x.npz", x=[[1.0, -0.5], [0.0, 0.0], [0.25, 0.125]])
    document = solved("half.yaml", "--input", "x.npz")
    (one,) = document["solvers"]
    assert [sample["status"] for sample in one["samples"]] == ["converged"] * 3
    traces = [sample["trace"] for sample in one["samples"]]
    assert traces == [[0.5**k for k in range(8)], [0.0], [0.25 * 0.5**k for k in range(6)]]
    assert [sample["steps"] for sample in one["samples"]] == [7, 0, 5]
    assert [sample["nfe"] for sample in one["samples"]] == [8, 1, 6]
    assert (one["calls"], one["method"], one["goal"]) == (8, "picard", "max |f(z) - z| <= 0.01")
    assert document["inputs"] == "x.npz"


def test_plain_lines_where_the_output_is_no_terminal() -> None:
    numpy.savez("x.npz", x=[[1.0, -0.5], [0.0, 0.0]])
    result = call("solve", "half.yaml", "--input", "x.npz", "--solver", "picard,newton,picard:max_steps=2", status=1)
    assert result.stderr == ""
    assert (
        result.stdout
        == """\
Half, inputs of x.npz, weights drawn with seed 0
converged where max |f(z) - z| <= 0.01

solver              converged  steps      f  products  residual
picard                    2/2      7      8         0   7.8e-03
newton                    2/2      1      2         2   0.0e+00
picard:max_steps=2        1/2      2      3         0   2.5e-01  1 max_steps

residual of the worst sample, by step
step   picard   newton  picard:max_steps=2
   0  1.0e+00  1.0e+00             1.0e+00
   1  5.0e-01  0.0e+00             5.0e-01
   2  2.5e-01                      2.5e-01
   3  1.2e-01
   4  6.2e-02
   5  3.1e-02
   6  1.6e-02
   7  7.8e-03
"""
    )


def test_the_seed_decides_inputs_and_weights() -> None:
    def samples(*arguments: str) -> Any:
        return solved("small.yaml", "--solver", "picard", *arguments)["solvers"][0]["samples"]

    first = samples("--seed", "3")
    assert len(first) == 8
    assert samples("--seed", "3") == first
    assert samples("--seed", "4") != first
    assert len(samples("--batch", "2")) == 2


def test_every_solver_meets_the_same_weights_and_inputs() -> None:
    document = solved("small.yaml", "--solver", "picard,anderson,newton", "--seed", "5")
    starts = [[sample["trace"][0] for sample in one["samples"]] for one in document["solvers"]]
    assert starts[0] == starts[1] == starts[2]


def test_settings_that_methods_share_stay_and_options_of_the_other_go() -> None:
    Path("a.yaml").write_text(
        DENSE + "solver: {method: anderson, history: 2, damping: 0.9, atol: 1e-5, on_failure: raise}\n"
    )
    goals = {one["solver"]: one["goal"] for one in solved("a.yaml", "--solver", "newton,picard:atol=0.1")["solvers"]}
    assert goals == {"newton": "max |f(z) - z| <= 1e-5", "picard:atol=0.1": "max |f(z) - z| <= 0.1"}
    own, same, other = (
        [sample["trace"] for sample in solved("a.yaml", *asked)["solvers"][0]["samples"]]
        for asked in ([], ["--solver", "anderson"], ["--solver", "anderson:history=1"])
    )
    assert own == same != other


def test_what_a_spec_records_is_of_its_own_steps() -> None:
    Path("a.yaml").write_text(DENSE + "solver: {method: anderson, record: [6, 12]}\n")
    for asked in ("", "cascade", "anderson:max_steps=5"):
        (one,) = solved("a.yaml", *(["--solver", asked] if asked else []))["solvers"]
        assert one["solver"] == (asked or "anderson")


def test_failure_is_told_and_not_warned_of(recwarn: pytest.WarningsRecorder) -> None:
    Path("a.yaml").write_text(HALF.replace("0.5", "3.0").replace("picard", "newton") + "")
    document = solved("a.yaml", "--solver", "picard,newton", status=1)
    assert [one["converged"] for one in document["solvers"]] == [False, True]
    assert document["converged"] is False
    assert {sample["status"] for sample in document["solvers"][0]["samples"]} == {"max_steps"}
    assert not recwarn.list


def test_what_is_not_finite_is_null_for_programs() -> None:
    numpy.savez("x.npz", x=[[numpy.nan, 0.0], [0.0, 0.0]])
    wrong, right = solved("half.yaml", "--input", "x.npz", status=1)["solvers"][0]["samples"]
    assert (wrong["status"], wrong["residual_norm"], wrong["trace"]) == ("non_finite", None, [None])
    assert right["status"] == "converged"


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml") if path.stem != "own_module"))
def test_every_example_runs_on_inputs_that_are_drawn(name: str) -> None:
    solver = "tsit5" if name in NEURAL_ODES else "anderson:max_steps=60:atol=0.01"
    result = call("solve", EXAMPLES / f"{name}.yaml", "--batch", "2", "-q", "--solver", solver)
    assert result.output == ""


def test_inputs_of_every_kind_are_drawn() -> None:
    Path("k.yaml").write_text(KINDS)
    assert len(solved("k.yaml", "--size", "L=5", "--size", "N=6", "--batch", "3")["solvers"][0]["samples"]) == 3
    drawn = running.random_inputs(compile_text(KINDS, "k.yaml").lowered, 3, {"L": 50, "N": 6}, 0)
    assert sorted(set(drawn["words"].flatten().tolist())) == [0, 1, 2]
    assert drawn["mask"].all()
    assert torch.allclose(drawn["adjacency"].to_dense().sum(1), torch.ones(6))
    assert [tuple(drawn[name].shape) for name in ("words", "mask", "adjacency", "u")] == [
        (3, 50),
        (3, 50),
        (6, 6),
        (3, 6, 4),
    ]
    assert "dimension L is known at the call only" in refused("k.yaml", "--size", "N=6")
    assert "no input has a dimension M" in refused("k.yaml", "--size", "N=6", "--size", "L=2", "--size", "M=2")


def test_inputs_of_every_kind_are_read() -> None:
    Path("k.yaml").write_text(KINDS)
    arrays: dict[str, Any] = {
        "words": numpy.array([[0, 2, 1]], dtype=">i4"),
        "mask": numpy.ones((1, 3), bool),
        "adjacency": numpy.eye(2),
        "u": numpy.ones((1, 2, 4), int),
    }
    numpy.savez("k.npz", **arrays)
    solved("k.yaml", "--input", "k.npz")
    wrong = {"words": numpy.array([[0.5]]), "mask": numpy.ones((1, 3), int), "u": numpy.ones((1, 2, 4), complex)}
    for name, array in wrong.items():
        numpy.savez("k.npz", **{**arrays, name: array})
        assert f"the input '{name}' is of dtype" in refused("k.yaml", "--input", "k.npz")


def test_wrong_files_of_inputs() -> None:
    numpy.savez("y.npz", y=[[1.0, 1.0]])
    numpy.savez("xy.npz", x=[[1.0, 1.0]], y=[1.0])
    numpy.savez("shape.npz", x=[[1.0, 1.0, 1.0]])
    numpy.savez("pickled.npz", x=numpy.array([{}], dtype=object))
    numpy.save("one.npy", numpy.ones(2))
    Path("text.npz").write_text("no archive")
    said = {name: refused("half.yaml", "--input", name) for name in ("y.npz", "xy.npz", "shape.npz", "one.npy")}
    assert "'y.npz' holds no array 'x'; it holds y" in said["y.npz"]
    assert "the model has no input 'y'; it has x" in said["xy.npz"]
    assert "x must have the shape (B, 2), found (1, 3)" in said["shape.npz"]
    for name in ("one.npy", "text.npz", "pickled.npz"):
        assert f"'{name}' is no .npz file of arrays" in refused("half.yaml", "--input", name)
    assert "--input reads them" in refused("half.yaml", "--input", "y.npz", "--batch", "2")


def trained() -> dict[str, Any]:
    """Weights of the small model that no seed draws."""
    torch.manual_seed(7)
    model: Any = running.make_model(compile_text(DENSE, "small.yaml"), None, 0)
    return {name: torch.randn_like(value) * 0.3 for name, value in model.named_parameters()}


def test_weights_that_torch_saved() -> None:
    numpy.savez("x.npz", x=numpy.ones((1, 3)))
    weights = trained()
    torch.save(weights, "w.pt")
    document = solved("small.yaml", "--input", "x.npz", "--weights", "w.pt")
    of_z, of_x = (f"main_layers.0.sum.{branch}.linear" for branch in (0, 1))
    start = torch.tanh(0.5 * weights[f"{of_z}.bias"] + weights[f"{of_x}.weight"].sum(1) + weights[f"{of_x}.bias"])
    assert document["solvers"][0]["samples"][0]["trace"][0] == pytest.approx(float(start.abs().max()), rel=1e-5)
    assert document["weights"] == "w.pt"


def test_weights_in_safetensors() -> None:
    save = pytest.importorskip("safetensors.torch").save_file
    weights = trained()
    save(weights, "w.safetensors")
    torch.save(weights, "w.pt")
    read, expected = (solved("small.yaml", "--weights", f"w.{end}") for end in ("safetensors", "pt"))
    assert [one["samples"] for one in read["solvers"]] == [one["samples"] for one in expected["solvers"]]
    Path("w.safetensors").write_bytes(b"none")
    assert "'w.safetensors' cannot be read as weights" in refused("small.yaml", "--weights", "w.safetensors")


class Trap:
    """What a pickle may do where it is trusted."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("sprung",)


def test_wrong_files_of_weights() -> None:
    torch.save({"w": torch.zeros(2)}, "other.pt")
    torch.save({"w": Trap()}, "trap.pt")
    torch.save([1], "list.pt")
    Path("text.pt").write_text("no weights")
    assert "Missing key(s) in state_dict" in refused("small.yaml", "--weights", "other.pt")
    assert "'trap.pt' cannot be read as weights" in refused("small.yaml", "--weights", "trap.pt")
    assert not Path("sprung").exists()
    assert "'list.pt' holds no state_dict" in refused("small.yaml", "--weights", "list.pt")
    assert "'text.pt' cannot be read as weights" in refused("small.yaml", "--weights", "text.pt")


@pytest.mark.parametrize(
    ("missing", "arguments", "said"),
    [
        ("numpy", ["--input", "x.npz"], "reading inputs needs NumPy: pip install 'deqc[solve]'"),
        ("safetensors", ["--weights", "w.safetensors"], "needs safetensors: pip install 'deqc[solve]'"),
        ("matplotlib", ["--plot", "c.svg"], "--plot needs matplotlib: pip install 'deqc[solve]'"),
    ],
)
def test_a_library_that_is_not_there(
    missing: str, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("x.npz", "w.safetensors"):
        Path(name).touch()
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert said in refused("half.yaml", *arguments)


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("deqc.running")
    monkeypatch.setitem(sys.modules, "deqc.running", None)
    assert "needs torch: pip install 'deqc[torch]'" in refused("half.yaml")


def test_wrong_solvers_are_told_of_like_wrong_specs() -> None:
    asked = "nwton,anderson:histroy=3:damping=7,picard:history=3,anderson:atol=.inf"
    result = call("solve", "half.yaml", "--solver", asked, status=1)
    assert codes(result) == ["E014"]  # what cannot be read comes first
    result = call("solve", "half.yaml", "--solver", asked.rpartition(",")[0], status=1)
    assert codes(result) == ["E024", "E020", "E023", "E080"]
    assert "--solver:1:16: error[E020]: solver has no setting 'histroy'" in result.stderr
    assert "   1 | nwton,anderson:histroy=3" in result.stderr
    found = json.loads(call("solve", "half.yaml", "--solver", "nwton", "--format", "json", status=1).stdout)
    assert [(one["code"], one["file"]) for one in found] == [("E024", "--solver")]


@pytest.mark.parametrize(
    "asked",
    ["", "picard,", "picard,picard", "anderson:history", "anderson:history=", "anderson:=2", "picard:atol=1:atol=2"],
)
def test_solvers_of_another_form(asked: str) -> None:
    assert "is not of the form METHOD:OPTION=VALUE" in refused("half.yaml", "--solver", asked)


def test_a_wrong_spec_is_told_of_once() -> None:
    Path("bad.yaml").write_text(HALF.replace("times", "tmes"))
    assert codes(call("solve", "bad.yaml", "--solver", "picard,newton,anderson", status=1)) == ["E042"]


def test_a_constant_of_the_configuration_is_not_blamed_for_a_wrong_solver() -> None:
    Path("deqc.toml").write_text("constants = {width = 3}\n")
    result = call("solve", "small.yaml", "--solver", "nwton", status=1)
    assert codes(result) == ["E024"]
    assert "deqc.toml" not in result.stderr
    assert solved("small.yaml", "--solver", "newton")["solvers"][0]["samples"][0]["njvp"] % 3 == 0
    assert solved("small.yaml", "--solver", "newton", "--set", "width=5")["solvers"][0]["samples"][0]["njvp"] % 5 == 0
    assert "one value for each constant" in refused("small.yaml", "--set", "width=2,3")


def test_modules_of_the_users_own() -> None:
    assert "modules of your own (" in refused(str(EXAMPLES / "own_module.yaml"))


def test_pictures() -> None:
    call("solve", "half.yaml", "--solver", "picard,newton", "--plot", "c.svg", "--plot", "c.svg")
    first = Path("c.svg").read_bytes()
    ElementTree.fromstring(first)
    call("solve", "half.yaml", "--solver", "picard,newton", "--plot", "c.svg")  # over its own
    assert Path("c.svg").read_bytes() == first
    assert first.count(b'id="axes_') == 2
    call("solve", "half.yaml", "--plot", "c.png", "--solver", "picard,newton,anderson,halley")
    call("solve", "half.yaml", "--plot", "c.png")
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_that_are_refused() -> None:
    Path("mine.svg").write_text("<svg/>")
    assert "'mine.svg' was not generated by deqc" in refused("half.yaml", "--plot", "mine.svg")
    assert Path("mine.svg").read_text() == "<svg/>"
    assert "must end in .svg or .png" in refused("half.yaml", "--plot", "c.pdf")


def test_a_picture_of_what_is_not_finite() -> None:
    numpy.savez("x.npz", x=[[numpy.nan, 0.0], [0.0, 0.0]])
    call("solve", "half.yaml", "--input", "x.npz", "--plot", "c.svg", status=1)
    assert Path("c.svg").exists()


def test_what_is_seen_of_a_solve_while_it_runs_is_what_the_record_says() -> None:
    compilation = compile_text(HALF.replace("picard", "picard, trace: true"), "half.yaml")
    model = running.make_model(compilation, None, 0)
    test = sys.modules[type(model).__module__]._test
    seen: list[tuple[int, float, int]] = []
    inputs = {"x": torch.tensor([[1.0, 0.0], [0.25, 0.0]])}
    done = running.run(model, inputs, 0, lambda *step: seen.append(step))
    assert [step for step, _, _ in seen] == list(range(8))
    assert [worst for _, worst, _ in seen] == solutions.Solved("", "", "", done).worst
    assert [converged for _, _, converged in seen] == [0, 0, 0, 0, 0, 1, 1, 2]
    assert sys.modules[type(model).__module__]._test is test


class Terminal(io.StringIO):
    """Standard output of a person."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("color", [True, False])
def test_at_a_terminal(color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if not color:
        monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    shown = residuals.display("Title", ["picard"], "residual")
    assert isinstance(shown, residuals.Live)
    good = running.Sample("converged", 1, 2, 0, 1e-4, 1e-4, (1.0, 1e-4))
    done = running.Run((good, replace(good, status="stalled")), 2, 0.1)
    with shown:
        shown.begin("picard")
        shown.step(0, 123.0, 0)
        shown._display.refresh()
        assert "1.2e+02" in out.getvalue()
        shown.end(solutions.Solved("picard", "picard", "", done))
    text = out.getvalue()
    assert "1.0e-04" in text
    assert "1/2" in text
    assert "1 stalled" in text
    assert bool(re.search(r"\x1b\[(\d+;)*3\dm", text)) == color


@pytest.mark.parametrize("why", ["TERM", "rich"])
def test_at_a_terminal_that_shows_lines_only(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "dumb" if why == "TERM" else "xterm")
    if why == "rich":
        for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "rich", None)
    assert type(residuals.display("", ["picard"], "residual")) is residuals.Lines


def test_only_what_is_used_is_imported() -> None:
    program = (
        "import sys; from deqc.cli.main import deqc; deqc(sys.argv[1:], standalone_mode=False); "
        "sys.stderr.write(' '.join(sys.modules))"
    )

    def held(*arguments: str) -> set[str]:
        command = [sys.executable, "-c", program, "solve", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {name.partition(".")[0] for name in done.stderr.split()}

    assert not held("--help") & {"torch", "rich", "matplotlib", "yaml"}
    assert held("half.yaml") & {"torch", "rich", "matplotlib", "safetensors"} == {"torch"}


def test_many_steps_are_shown_in_few_rows() -> None:
    rows = solutions.by_step([("a", [1.0] * 1001), ("b", [1.0] * 6)])
    steps = [int(row[0]) for row in rows[1:]]
    assert steps[:6] == [0, 1, 2, 3, 4, 5]
    assert steps[-1] == 1000
    assert len(steps) < 40
    assert [row[2] for row in rows[1:8]] == ["1.0e+00"] * 6 + [""]
