"""The Python interface: compile, load, check."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import pickle
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch

import deqc

SPEC = """\
deqc: 1
name: TinyModel
input: {x: [3]}
scale: [3]
main_layers: [{sum: [{linear: 3}, $x]}, tanh]
"""
WRONG = SPEC.replace("tanh", "tahn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    return path


def test_text_path_and_pathlike_are_one(path: Path) -> None:
    assert deqc.compile(SPEC) == deqc.compile(path) == deqc.compile(str(path))


def test_the_same_text_after_another_compilation(path: Path) -> None:
    first = deqc.compile(SPEC)
    deqc.compile(SPEC.replace("[3]", "[4]").replace("linear: 3", "linear: 4"))
    assert deqc.compile(SPEC) == first


def test_mistakes_are_data(tmp_path: Path) -> None:
    assert deqc.check(SPEC) == []
    (found,) = deqc.check(WRONG)
    assert (found.span.file, found.span.line) == ("<spec>", 5)
    assert "tanh" in (found.hint or "") + (found.expected or "")
    with pytest.raises(deqc.SpecError) as raised:
        deqc.compile(WRONG)
    assert raised.value.diagnostics == (found,)
    (tmp_path / "wrong.yaml").write_text(WRONG)
    assert deqc.check(tmp_path / "wrong.yaml")[0].span.file == str(tmp_path / "wrong.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for call in (deqc.compile, deqc.check, deqc.load):
        with pytest.raises(FileNotFoundError):
            call("no such file.yaml")
        with pytest.raises(OSError, match="directory"):
            call(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\x00")
    assert deqc.check(tmp_path / "binary.yaml")[0].code == "E001"
    with pytest.raises(deqc.SpecError):
        deqc.load(tmp_path / "binary.yaml")


def test_load_gives_one_class_for_one_source(path: Path) -> None:
    model = deqc.load(path)
    assert issubclass(model, torch.nn.Module)
    assert model.__name__ == "TinyModel"
    assert deqc.load(SPEC) is model
    assert deqc.load(SPEC.replace("tanh", "sin")) is not model


def test_a_loaded_class_is_as_good_as_an_imported_one() -> None:
    model: Any = deqc.load(SPEC)
    module = importlib.import_module(model.__module__)
    assert module is sys.modules[model.__module__]
    assert inspect.getsource(module) == deqc.compile(SPEC)
    assert inspect.getsource(model).startswith("class TinyModel(nn.Module):")
    built = model()
    x = torch.randn(2, 3)
    buffer = io.BytesIO()
    torch.save(built, buffer)
    buffer.seek(0)
    for other in (copy.deepcopy(built), pickle.loads(pickle.dumps(built)), torch.load(buffer, weights_only=False)):
        assert type(other) is model
        torch.testing.assert_close(other(x), built(x), rtol=0, atol=0)


def test_tracebacks_show_the_generated_line() -> None:
    built: Any = deqc.load(SPEC)()
    with pytest.raises(ValueError, match="must have the shape") as raised:
        built(torch.randn(2, 7))
    shown = "".join(traceback.format_exception(raised.value))
    assert f'File "<{type(built).__module__}.py>"' in shown
    assert "self.weights(x)" in shown


def test_a_source_that_fails_leaves_no_module() -> None:
    from deqc.loading import import_source

    before = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        import_source("1 / 0\n", "broken")
    assert {name for name in set(sys.modules) - before if "broken" in name} == set()


def test_the_python_interface_is_typed() -> None:
    assert (Path(deqc.__file__).parent / "py.typed").is_file()
    assert sorted(deqc.__all__) == ["Diagnostic", "SpecError", "__version__", "check", "compile", "load"]
