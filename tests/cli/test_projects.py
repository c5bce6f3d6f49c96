"""What a project says of its specs, folders of specs, constants that are set, and the forms for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

import deqc as library
from deqc.codes import CODES
from tests.cli.test_commands import BAD, GOOD, ROOT, call, everything

WIDE = """\
deqc: 1
name: Wide
constants: {width: 4, drop: 0.1, bias: true}
input: {x: [3]}
scale: ["${width}"]
main_layers:
  - sum: [{linear: {out: "${width}", bias: "${bias}"}}, [$x, {linear: "${width}"}]]
  - tanh
  - {variational_dropout: "${drop}"}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with specs in a folder, and a YAML file that is none."""
    monkeypatch.chdir(tmp_path)
    Path("specs/deep").mkdir(parents=True)
    Path("specs/.hidden").mkdir()
    Path("specs/tiny.yaml").write_text(GOOD)
    Path("specs/deep/wide.yml").write_text(WIDE)
    Path("specs/data.yaml").write_text("some: [yaml, without, a spec]\n")
    Path("specs/.hidden/no.yaml").write_text(BAD)
    return tmp_path


def test_a_folder_stands_for_the_specs_below_it(project: Path) -> None:
    call("compile", "specs", "-o", "out/")
    assert everything(project / "out") == {"tiny_model.py", "wide.py"}
    Path("specs/deep/wide.yml").write_text(WIDE.replace("tanh", "tahn"))
    assert "wide.yml:8:" in call("check", "specs", status=1).stderr
    assert "no spec in the folder" in call("check", "specs/.hidden/..", "out", status=2).stderr


def test_files_that_are_no_specs_are_passed_over_on_request(project: Path) -> None:
    call("check", "specs/data.yaml", status=1)
    assert call("check", "specs/data.yaml", "specs/tiny.yaml", "--only-specs").output == ""
    hooks = {
        one["id"]: one["entry"].split()[1:] for one in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    }
    assert call(*hooks["deqc-check"], "specs/data.yaml", "specs/tiny.yaml").output == ""
    assert "missing" in call(*hooks["deqc-compile-check"], "specs/data.yaml", "specs/tiny.yaml", status=1).stderr


@pytest.mark.parametrize("name", ["deqc.toml", "pyproject.toml"])
def test_a_configuration_is_what_commands_without_arguments_do(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    head = "" if name == "deqc.toml" else '[project]\nname = "p"\n[tool.deqc]\n'
    table = "constants" if name == "deqc.toml" else "tool.deqc.constants"
    Path(name).write_text(f'{head}specs = ["specs/*.yaml", "specs/deep"]\noutput = "made"\n[{table}]\nwidth = 6\n')
    assert call("compile", "specs/data.yaml", status=1).stdout == ""
    Path("specs/data.yaml").unlink()
    monkeypatch.chdir("specs/deep")  # found upwards
    call("compile")
    assert everything(project / "made") == {"tiny_model.py", "wide.py"}
    assert "(B, 6)" in (project / "made/wide.py").read_text()
    assert "Compiled with" not in (project / "made/tiny_model.py").read_text()  # it declares no width
    assert call("compile", "--check").output == ""
    shown = call("compile", "--show-settings").stdout
    assert 'output = "made"' in shown
    assert name in shown
    assert 'format = "text"  # default' in shown
    call("compile", "wide.yml", "--set", "width=3")  # an argument goes before the configuration
    assert "(B, 3)" in (project / "made/wide.py").read_text()
    stale = call("compile", "--check", status=1).stderr
    assert "compiled with width=3, now width=6" in stale


def test_the_nearest_configuration_counts_and_one_can_be_named(project: Path) -> None:
    Path("pyproject.toml").write_text('[tool.deqc]\nspecs = ["specs/tiny.yaml"]\n')
    Path("deqc.toml").write_text('specs = ["specs/deep/wide.yml"]\n')
    assert "wide.py" in call("compile").stdout
    assert "tiny_model.py" in call("compile", "--config", "pyproject.toml").stdout
    Path("deqc.toml").write_text('specs = ["none/*.yaml"]\n')
    assert "`specs` of deqc.toml matches no file: none/*.yaml" in call("compile", status=2).stderr
    Path("deqc.toml").unlink()
    Path("pyproject.toml").write_text('[tool.other]\ndeqc = "no"\n')
    assert "name a spec" in call("compile", status=2).stderr


@pytest.mark.parametrize(
    ("line", "code", "column", "words"),
    [
        ('spec = ["a.yaml"]', "E093", 1, "did you mean 'specs'?"),
        ('specs = "a.yaml"', "E094", 1, "specs must be a list of files"),
        ('output = "../elsewhere"', "E094", 1, "a folder inside the project"),
        ('output = "/tmp"', "E094", 1, "a folder inside the project"),
        ("constants = {depth = 2, width = 'a'}", "E094", 25, "a constant must be a number"),
        ("constants = 3", "E094", 1, "a table of numbers"),
        ('  format = "xml"', "E094", 3, "one of text, json, github, sarif"),
        ("output = ", "E092", 10, "invalid value"),
    ],
)
def test_a_wrong_configuration_is_told_at_its_line(
    project: Path, line: str, code: str, column: int, words: str
) -> None:
    Path("deqc.toml").write_text(f"# settings\n{line}\n")
    error = call("check", "specs", status=1).stderr
    assert f"deqc.toml:2:{column}: error[{code}]" in error
    assert words in error
    assert line.rstrip() in error  # the excerpt


def test_constants_are_set_and_the_module_says_so(project: Path) -> None:
    call("compile", "specs/deep/wide.yml", "-o", "w.py", "--set", "width=7", "--set", "bias=false")
    source = Path("w.py").read_text()
    assert "Compiled with bias=false, width=7.\n" in source
    assert source == library.compile("specs/deep/wide.yml", constants={"width": 7, "bias": False})
    plain = library.compile("specs/deep/wide.yml")
    assert source.split("sha256 ")[1][:64] != plain.split("sha256 ")[1][:64]
    assert "(B, 9)" in call("explain", "specs/deep/wide.yml", "--set", "width=9").stdout
    assert library.check("specs/deep/wide.yml", constants={"width": 5}) == []


@pytest.mark.parametrize(
    ("setting", "place", "words"),
    [
        ("wdth=3", "3:1: error[E032]", "did you mean 'width'?"),
        ("width=3.5", "3:20: error[E033]", "a whole number"),
        ("drop=true", "3:29: error[E033]", "a number"),
        ("bias=1", "3:40: error[E033]", "true or false"),
        (f"drop={10**400}", "3:29: error[E033]", "set to an integer beyond 2**53"),
        ("drop=1e999", "3:29: error[E033]", "set to inf"),
        ("width=0", "5:9: error[E023]", "≥ 1"),
    ],
)
def test_a_wrong_constant_is_told_where_it_is_declared(project: Path, setting: str, place: str, words: str) -> None:
    error = call("compile", "specs/deep/wide.yml", "--set", setting, status=1).stderr
    assert f"wide.yml:{place}" in error
    assert words in error
    assert not list(project.rglob("*.py"))


def test_several_values_make_several_modules(project: Path) -> None:
    call(
        "compile",
        "specs/deep/wide.yml",
        "-o",
        "out/",
        "--set",
        "width=3,4",
        "--set",
        "drop=0.1,0.25",
        "--set",
        "bias=false",
    )
    assert everything(project / "out") == {
        f"wide_width_{width}_drop_{drop}.py" for width in (3, 4) for drop in ("0_1", "0_25")
    }
    assert "bias=false, drop=0.25, width=3" in (project / "out/wide_width_3_drop_0_25.py").read_text()
    assert "one value" in call("compile", "specs/deep/wide.yml", "--stdout", "--set", "width=3,4", status=2).stderr


def test_why_a_module_is_stale(project: Path) -> None:
    call("compile", "specs/tiny.yaml", "-o", "m.py")
    Path("specs/tiny.yaml").write_text(GOOD.replace("tanh", "sin"))
    assert (
        "m.py is stale: the spec was edited"
        in call("compile", "specs/tiny.yaml", "-o", "m.py", "--check", status=1).stderr
    )
    Path("specs/tiny.yaml").write_text(GOOD)
    Path("m.py").write_text(Path("m.py").read_text().replace("MAX_STEPS = 32", "MAX_STEPS = 33"))
    error = call("compile", "specs/tiny.yaml", "-o", "m.py", "--check", status=1).stderr
    assert "m.py is stale: the module itself was edited" in error


def test_json_obeys_its_published_schema(project: Path) -> None:
    schema = json.loads(call("schema", "diagnostics").stdout)
    Draft202012Validator.check_schema(schema)
    Path("bad.yaml").write_text(BAD)
    found = json.loads(call("check", "bad.yaml", "--format", "json", status=1).stdout)
    Draft202012Validator(schema).validate(found)
    assert [(one["file"], one["line"], one["code"]) for one in found] == [("bad.yaml", 5, "E042")]
    assert json.loads(call("check", "specs/tiny.yaml", "--format", "json").stdout) == []
    stale = json.loads(call("compile", "specs/tiny.yaml", "--check", "--format", "json", status=1).stdout)
    Draft202012Validator(schema).validate(stale)
    assert [(one["code"], one["message"]) for one in stale] == [("E091", "is missing")]


def test_annotations_of_github_hold_on_one_line_what_a_spec_says(project: Path) -> None:
    Path("bad,file.yaml").write_text(BAD.replace("tahn", '"::error::%0A\\n::warning::"'))
    printed = call("check", "bad,file.yaml", "--format", "github", status=1).stdout
    lines = printed.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("::error file=bad%2Cfile.yaml,line=5,col=")
    assert "%250A" in lines[0]
    assert "title=deqc E042::" in lines[0]


def test_sarif_has_rules_places_and_levels(project: Path) -> None:
    Path("bad.yaml").write_text(BAD + "frob: 1\n")
    run = json.loads(call("check", "bad.yaml", "--format", "sarif", status=1).stdout)["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == sorted({result["ruleId"] for result in run["results"]})
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] == "error"
    region = run["results"][0]["locations"][0]["physicalLocation"]
    assert region["artifactLocation"]["uri"] == "bad.yaml"
    assert region["region"]["startLine"] == 5
    assert run["tool"]["driver"]["rules"][0]["shortDescription"]["text"] == CODES[rules[0]]


def test_quiet_says_errors_only(project: Path) -> None:
    Path("doubt.yaml").write_text(GOOD.replace("{x: [3]}", "{x: [3], unused: [2]}"))
    assert "N101" in call("compile", "doubt.yaml").stderr
    assert call("compile", "doubt.yaml", "-q").output == ""
    assert "E042" in call("check", "-q", "-", status=1, text=BAD).stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    script = call("completion", shell).stdout
    assert "_DEQC_COMPLETE" in script
    assert "deqc" in script


def test_completion_completes(project: Path) -> None:
    environment = {**os.environ, "_DEQC_COMPLETE": "bash_complete", "COMP_WORDS": "deqc com", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "deqc"], env=environment, capture_output=True, text=True, check=False)
    assert {line.split(",")[1] for line in done.stdout.split()} >= {"compile", "completion"}


def test_watching_compiles_again_and_survives_wrong_specs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changes(*folders: str, watch_filter: Any, raise_interrupt: bool) -> Iterator[set[Any]]:
        assert folders == (str(project / "specs"),)
        assert watch_filter(None, str(project / "specs/tiny.yaml"))
        assert not watch_filter(None, str(project / "specs/tiny_model.py"))
        Path("specs/tiny.yaml").write_text(BAD)
        yield set()
        Path("specs/tiny.yaml").unlink()
        yield set()
        Path("specs/tiny.yaml").write_text(GOOD.replace("tanh", "sin"))
        yield set()

    monkeypatch.setitem(sys.modules, "watchfiles", SimpleNamespace(watch=changes))
    result = call("compile", "specs/tiny.yaml", "--watch")
    assert result.stdout.count("written") == 2
    assert "E042" in result.stderr
    assert "tiny.yaml" in result.stderr
    assert "torch.sin" in Path("specs/tiny_model.py").read_text()


def test_watching_without_watchfiles_says_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert "pip install 'deqc[watch]'" in call("compile", "specs/tiny.yaml", "--watch", status=2).stderr


@pytest.mark.parametrize(("variable", "colored"), [("FORCE_COLOR", True), ("NO_COLOR", False), (None, False)])
def test_colour_is_for_terminals_and_who_forces_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, colored: bool
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if variable is not None:
        monkeypatch.setenv(variable, "1")
    Path("bad.yaml").write_text(BAD)
    command = [sys.executable, "-m", "deqc", "check", "bad.yaml"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (b"\x1b[" in done.stderr) is colored


def test_patterns_lead_anywhere_and_hidden_files_are_left_out(project: Path) -> None:
    Path("specs/.tiny.yaml").write_text(BAD)
    Path("deqc.toml").write_text(f'specs = ["{project}/specs/t*.yaml", "**/w*.yml", "**x/*.yaml"]\n')
    Path("specs/data.yaml").unlink()
    assert call("check").output == ""
    assert sorted(line.split()[0] for line in call("compile").stdout.splitlines()) == [
        f"{project}/specs/tiny_model.py",
        "specs/deep/wide.py",
    ]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[tool]\ndeqc = {specs = 1}\n", "2:1: error[E094]", "specs must be"),
        ("[tool]\ndeqc.spec = 1\n", "2:6: error[E093]", "did you mean 'specs'?"),
        ('[project.scripts]\ndeqc = "d:m"\n[x]\nspecs = 1\n[tool.deqc]\nspecs = 1\n', "6:1: error[E094]", "specs must"),
        ("tool.deqc.format = 1\n", "1:11: error[E094]", "format must be"),
        ("[tool]\ndeqc = 1\n", "2:1: error[E094]", "deqc must be a table, found 1"),
        ("[tool.deqc]\nspecs = " + "[" * 9999 + "]" * 9999, "1:1: error[E092]", "nested too deeply"),
        ("[tool.deqc.constants]\nn = " + "9" * 4400, "1:1: error[E092]", "a number is too large"),
        ('[tool.deqc]\ndisable = ["hoist", "hiost"]\n', "2:1: error[E094]", "no pass 'hiost'"),
    ],
)
def test_a_table_is_found_however_toml_writes_it(project: Path, text: str, place: str, words: str) -> None:
    Path("pyproject.toml").write_text(text)
    error = call("check", "specs", status=1).stderr
    assert f"pyproject.toml:{place}" in error
    assert words in error
    assert "Traceback" not in error


def test_a_named_file_without_tables_of_tools_is_told(project: Path) -> None:
    Path("pyproject.toml").write_text("tool = 1\n")
    assert "pyproject.toml:1:1: error[E094]" in call("check", "specs", "--config", "pyproject.toml", status=1).stderr
    Path("pyproject.toml").write_text('[project]\ndependencies = ["deqc"]\n')
    assert call("check", "specs").output == ""


def test_every_command_has_the_constants_of_the_configuration(project: Path) -> None:
    Path("deqc.toml").write_text("[constants]\nwidth = 0\n")
    assert "E023" in call("check", "specs", status=1).stderr
    assert "E023" in call("compile", "specs", status=1).stderr
    assert "E023" in call("explain", "specs/deep/wide.yml", status=1).stderr
    assert call("check", "specs", "--set", "width=2", status=1).stderr.count("E032") == 1  # tiny declares none
    assert call("check", "specs/deep/wide.yml", "--set", "width=2").output == ""
    Path("deqc.toml").write_text('disable = ["hoist"]\n[constants]\nwidth = 11\n')
    shown = call("explain", "specs/deep/wide.yml").stdout
    assert "(B, 11)" in shown


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("[constants]\n# width = 1\ncount = 1\nwidth = 6\n", 4, 1),
        ("constants = {count = 1, width=6}\n", 1, 25),
        ('constants.count = 1\nconstants."width" = 6\n', 2, 12),
    ],
)
def test_a_constant_that_no_spec_declares_is_told_at_its_line(project: Path, text: str, line: int, column: int) -> None:
    spec = GOOD.replace("tanh", '{repeat: {times: "${count}", body: tanh}}')
    Path("specs/tiny.yaml").write_text(spec.replace("input", "constants: {count: 2}\ninput"))
    Path("deqc.toml").write_text('specs = ["specs/*.yaml"]\n' + text)
    told = f"deqc.toml:{line + 1}:{column}: warning[N107]: no spec declares the constant 'width'"
    Path("specs/data.yaml").unlink()
    for command in ("check", "compile"):
        printed = call(command).stderr
        assert told in printed
        assert "declared: count" in printed
        assert "'count'" not in printed
        assert told in call(command, "specs/tiny.yaml").stderr
        assert "N107" not in call(command, "specs/tiny.yaml", "-q").stderr
    assert "N107" not in call("check", "specs/deep/wide.yml").stderr  # one of this call declares it
    Path("deqc.toml").write_text('specs = ["specs"]\n' + text)
    assert call("check", "specs/tiny.yaml").output == ""  # one of the configuration does
    Path("specs/deep/wide.yml").write_text(WIDE.replace("width", "wide"))
    assert "did you mean 'wide'?" in call("check").stderr
    Path("specs/deep/wide.yml").write_text("deqc: 1\n: [")
    assert "N107" not in call("check", status=1).stderr  # who knows what it declares
    found = json.loads(call("check", "specs/tiny.yaml", "--format", "json").stdout)
    assert found == []


@pytest.mark.parametrize(
    ("value", "code"), [("1.5", "E033"), ("0", "E023"), ("nan", "E033"), ("inf", "E033"), (str(2**60), "E033")]
)
def test_a_wrong_constant_of_the_configuration_is_told_with_its_line(project: Path, value: str, code: str) -> None:
    Path("deqc.toml").write_text(f"[constants]\ndrop = 0.2\nwidth = {value}\n")
    for command in ("check", "compile", "explain"):
        printed = call(command, "specs/deep/wide.yml", status=1).stderr
        assert f"error[{code}]" in printed
        assert "deqc.toml:3:1: note: 'width' is set to" in printed
        assert f"width = {value}" in printed  # the excerpt
        assert "deqc.toml:2" not in printed
        assert "deqc.toml" not in call(command, "specs/deep/wide.yml", "--set", "width=0", status=1).stderr
    (found, *_) = json.loads(call("check", "specs/deep/wide.yml", "--format", "json", status=1).stdout)
    assert (found["related"][-1]["file"], found["related"][-1]["line"]) == ("deqc.toml", 3)


def test_a_mistake_of_the_spec_names_no_line_of_the_configuration(project: Path) -> None:
    Path("deqc.toml").write_text("[constants]\nwidth = 6\n")
    Path("specs/deep/wide.yml").write_text(WIDE.replace("tanh", "tahn"))
    assert "deqc.toml" not in call("check", "specs/deep/wide.yml", status=1).stderr


def test_a_wrong_configuration_is_told_in_the_format_asked_for(project: Path) -> None:
    Path("deqc.toml").write_text("spec = 1\n")
    for command in ("check", "compile", "explain"):
        (found,) = json.loads(call(command, "specs/tiny.yaml", "--format", "json", status=1).stdout)
        assert (found["code"], found["file"]) == ("E093", "deqc.toml")


def test_settings_of_the_call_are_shown_as_such(project: Path) -> None:
    Path("deqc.toml").write_text('format = "json"\noutput = "made"\n[constants]\nwidth = 5\nbias = false\n')
    options = ["-o", "x/", "--set", "width=2", "--disable", "hoist", "--format", "text", "--show-settings"]
    lines = dict(line.split(" = ", 1) for line in call("compile", "specs", *options).stdout.splitlines())
    assert lines["specs"].startswith('["specs"]  # this call')
    assert lines["output"].startswith('"x/"  # this call')
    assert lines["constants"].startswith("{width = 2, bias = false}  # this call")
    assert lines["disable"].startswith('["hoist"]  # this call')
    assert lines["format"].startswith('"text"  # this call')
    assert 'format = "json"  # deqc.toml' in call("check", "--show-settings").stdout


def test_all_modules_are_written_or_none(project: Path) -> None:
    Path("specs/deep/wide.py").write_text("print('mine')\n")
    before = everything(project)
    assert "was not generated by deqc" in call("compile", "specs/tiny.yaml", "specs/deep/wide.yml", status=2).stderr
    assert everything(project) == before


def test_a_spec_with_a_mark_of_byte_order_is_one(project: Path) -> None:
    Path("specs/tiny.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert "tiny_model.py" in call("compile", "specs").stdout


def test_watching_heeds_a_changed_configuration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changes(*folders: str, watch_filter: Any, raise_interrupt: bool) -> Iterator[set[Any]]:
        assert watch_filter(None, str(project / "deqc.toml"))
        assert "(B, 6)" in Path("specs/deep/wide.py").read_text()
        Path("deqc.toml").write_text("[constants]\nwidth = 8\n")
        yield set()
        Path("deqc.toml").write_text('disable = ["all"]\n')
        yield set()

    Path("deqc.toml").write_text("[constants]\nwidth = 6\n")
    monkeypatch.setitem(sys.modules, "watchfiles", SimpleNamespace(watch=changes))
    result = call("compile", "specs/deep/wide.yml", "--watch")
    assert "(B, 8)" in Path("specs/deep/wide.py").read_text()
    assert "deqc.toml:1:1: error[E094]" in result.stderr
