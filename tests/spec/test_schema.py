"""The JSON Schema: current, sound, and told in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from deqc.ops import STEPS
from deqc.resources import folder
from deqc.settings import SECTIONS
from deqc.solvers import ADJOINTS, LINEAR_SOLVERS, SOLVERS
from deqc.spec.schema import FILE, schema, text

SCHEMA = schema()


def parts(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside the schema, with its path."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            if key in ("properties", "$defs"):
                for name, one in value.items():
                    yield from parts(one, f"{path}/{key}/{name}")
            elif key in ("if", "then", "else", "not", "items", "additionalProperties"):
                yield from parts(value, f"{path}/{key}")


def properties() -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for path, node in parts(SCHEMA):
        if path in ("/then", "/else"):  # what `scale` and `scales` change; the sections are described once
            continue
        if path.endswith("/if"):  # a condition describes nothing
            continue
        found += [(f"{path}/{name}", one) for name, one in node.get("properties", {}).items()]
    return found


def test_the_checked_in_file_is_current() -> None:
    written = (folder("schemas") / FILE).read_text(encoding="utf-8")
    assert written == text(), "run `python -m deqc.spec.schema`"


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_no_alternatives_over_forms_and_no_remote_references() -> None:
    for path, node in parts(SCHEMA):
        assert not {"oneOf", "anyOf", "allOf"} & node.keys(), path
        assert node.get("$ref", "#/").startswith("#/"), path


@pytest.mark.parametrize(("path", "node"), properties(), ids=[path for path, _ in properties()])
def test_every_property_is_described(path: str, node: dict[str, Any]) -> None:
    assert node.get("description", "").endswith((".", ")")), path


def test_settings_and_fields_have_examples_and_defaults() -> None:
    for path, node in properties():
        example_less = path.count("/") > 2 and path.endswith(("/min", "/max"))
        example_less |= "not" in node  # what must not stand there
        example_less |= node.keys() <= {
            "description",
            "default",
        }  # offered again, for one method: the rest stands beside
        assert "examples" in node or example_less or "fields" in path or path.rsplit("/", 1)[1] in STEPS, path
    solver = SCHEMA["properties"]["solver"]["then"]["properties"]
    assert solver["atol"]["default"] == 1e-3
    assert solver["ridge"]["default"] == 1e-4
    assert "default" not in solver["history"]  # each method has its own, told in the text
    step = SCHEMA["$defs"]["step"]["then"]["properties"]
    assert step["linear"]["then"]["properties"]["bias"]["default"] is True
    assert "default" not in step["linear"]["then"]["properties"]["out"]


def test_everything_is_offered() -> None:
    assert list(SCHEMA["properties"]) == [section.name for section in SECTIONS]
    assert set(SCHEMA["$defs"]["step"]["then"]["properties"]) == set(STEPS)
    solver = SCHEMA["properties"]["solver"]["then"]["properties"]["method"]
    adjoint = SCHEMA["properties"]["adjoint"]["then"]["properties"]
    assert solver["enum"] == list(SOLVERS)
    assert adjoint["method"]["enum"] == list(ADJOINTS)
    assert adjoint["linear_solver"]["then"]["properties"]["method"]["enum"] == list(LINEAR_SOLVERS)
    for op in STEPS.values():
        fields = SCHEMA["$defs"]["step"]["then"]["properties"][op.name]
        named = fields if "properties" in fields else fields.get("then", {})
        named = named.get("properties", {})
        assert list(named) == [field.name for field in op.fields]


def test_examples_obey_their_own_schema() -> None:
    for path, node in parts(SCHEMA):
        if "examples" in node and path != "":
            validator = Draft202012Validator({**node, "$defs": SCHEMA["$defs"]})
            for example in node["examples"]:
                errors = [error.message for error in validator.iter_errors(json.loads(json.dumps(example)))]
                assert not errors, (path, example, errors)


def test_the_bytes_do_not_depend_on_the_run() -> None:
    assert text() == json.dumps(json.loads(text()), indent=1, ensure_ascii=False) + "\n"
