"""The tree against the JSON Schema: every mistake that the schema knows of, at its place and in plain words.

The schema is read from `schemas/`, never fetched, and resolves references within itself only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping as Map
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from deqc.diagnostics import MAX_PROBLEMS, Problems
from deqc.resources import folder
from deqc.spec.findings import Finding, report
from deqc.spec.schema import FILE
from deqc.spec.tree import Mapping, to_data

_MOST = 20 * MAX_PROBLEMS  # findings looked at: several may have one cause


def validate(root: Mapping, problems: Problems) -> None:
    """Reports everything in the tree that the schema refuses."""
    errors = islice(_validator().iter_errors(to_data(root)), _MOST)
    report(root, [_finding(error) for error in errors], problems)


def _finding(error: ValidationError) -> Finding:
    schema = error.schema if isinstance(error.schema, Map) else {}
    return Finding(
        tuple(error.absolute_path), str(error.validator), error.validator_value, schema, schema.get("errorMessage")
    )


@cache
def _validator() -> Any:
    """The validator, made once: to it `4.0` is no integer, and `true` is no number."""
    schema = json.loads((folder("schemas") / FILE).read_text(encoding="utf-8"))
    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    strict: Any = extend(Draft202012Validator, type_checker=checker)  # type: ignore[no-untyped-call]
    return strict(schema, registry=Registry())
