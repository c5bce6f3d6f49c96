"""Text from a spec never becomes code: hostile texts in every place of every example, as key and as value.

Either deqc refuses the spec, or the module's syntax tree is the one without the text, but for constants. What deqc
prints of it, in any form, moves no cursor and opens no command.
"""

from __future__ import annotations

import ast
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import deqc
from deqc.cli.github import render_github
from deqc.cli.render import render_json, render_text
from deqc.cli.sarif import render_sarif
from deqc.diagnostics import Severity

ROOT = Path(__file__).resolve().parents[1]
SPECS = [*sorted((ROOT / "examples/specs").glob("*.yaml")), *sorted((ROOT / "tests/target_specs").glob("*.yaml"))]
HOSTILE = (
    '"""',
    "'''",
    "\\",
    "a\nimport os",
    "\u2028import os",
    "\u2029x",
    "x\x00y",
    "{{ 7*7 }}",
    "{% for %}",
    "{# #}",
    "\u202eevil",
    "../../etc/passwd",
    "a/b",
    "::error::owned",
    "%0A::set-output::",
    "__class__",
    "__import__('os').system('true')",
    "x;y",
    "x): pass\n",
    "lambda: 0",
    "eval",
    "exec",
    "os",
    "self",
    "torch",
    "\x1b[31mred",
    "\r\nx",
    "${__import__}",
    "${1 .real}",
    "$x.__class__",
    "\u0430bc",
    "x" * 5000,
    "class",
    "None",
    "F",
    "w",
    "\ud7ff\ue000",
    "\U0001f4a3",
    "#",
    "'",
    '"',
    "`id`",
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Every key (True) and every scalar (False) of a document."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield (*path, key), True
            yield from places(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from places(one, (*path, index))
    else:
        yield path, False


def replaced(value: Any, path: tuple[Any, ...], is_key: bool, text: str) -> Any:
    """The document with the text at this place."""
    if not path:
        return text
    head, *rest = path
    if isinstance(value, dict):
        if is_key and not rest:
            return {text if key == head else key: one for key, one in value.items()}
        return {key: replaced(one, tuple(rest), is_key, text) if key == head else one for key, one in value.items()}
    return [replaced(one, tuple(rest), is_key, text) if k == head else one for k, one in enumerate(value)]


def shape(source: str) -> str:
    """The syntax tree without its constants: all that is code."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = None
    return ast.dump(tree)


@pytest.mark.parametrize("path", SPECS, ids=[path.stem for path in SPECS])
def test_hostile_texts_are_refused_or_stay_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    plain = shape(deqc.compile(f"{text}\n"))
    hostile = itertools.cycle(HOSTILE[len(path.stem) :] + HOSTILE)
    for place, is_key in places(document):
        injected = next(hostile)
        spec = yaml.safe_dump(replaced(document, place, is_key, injected), sort_keys=False, width=10**6) + "\n"
        found = deqc.check(spec)
        quiet(found, spec)
        if not any(one.severity is Severity.ERROR for one in found):
            made = shape(deqc.compile(spec))  # deqc reads its own output, too (deqc.emit.check)
            assert made == plain or injected.isidentifier(), (place, injected)  # an identifier may name a dimension


@pytest.mark.parametrize("injected", HOSTILE)
def test_a_description_is_text_and_nothing_else(injected: str) -> None:
    head = "deqc: 1\nname: Model\ninput: {x: [4]}\nscale: [4]\nmain_layers: [{sum: [{linear: 4}, $x]}, tanh]\n"
    spec = f"{head}description: {json.dumps(injected)}\n"
    found = deqc.check(spec)
    quiet(found, spec)
    if not any(one.severity is Severity.ERROR for one in found):
        assert shape(deqc.compile(spec)) == shape(deqc.compile(head))


def quiet(found: list[deqc.Diagnostic], spec: str) -> None:
    """Diagnostics in every form hold no control characters but line ends, and one command of GitHub a line."""
    for text in (render_text(found, {"<spec>": spec}), render_github(found), "\n".join(map(str, found))):
        assert all(one.isprintable() or one == "\n" for one in text), text
    assert len(render_github(found).splitlines()) == len(found)
    assert all(line.startswith(("::error file=", "::warning file=")) for line in render_github(found).splitlines())
    assert json.loads(render_json(found)) is not None
    assert json.loads(render_sarif(found))["version"] == "2.1.0"
