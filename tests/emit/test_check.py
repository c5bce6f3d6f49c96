"""The last lock: deqc reads its own output, and nothing of a spec's texts becomes code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from deqc.compiler import compile_text
from deqc.diagnostics import SpecError
from deqc.emit.check import UnsafeOutputError, check_output

SPECS = sorted((Path(__file__).resolve().parents[2] / "examples/specs").glob("*.yaml"))
SPEC = """\
deqc: 1
name: {name}
description: {description}
input: {{{input}: [3]}}
encoder: {{{value}: [{{linear: 3}}, tanh]}}
scale: [3]
main_layers: [{{linear: 3}}, {{as: {step}}}, {{sum: [identity, ${value}]}}, tanh]
"""


def spec(**texts: str) -> str:
    names = {"name": "Model", "description": "plain", "input": "x", "value": "e", "step": "s"}
    return SPEC.format(**{**names, **texts})


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import os.path",
        "import torch, os",
        "import sys as torch",
        "import torch.utils.data",
        "from os import system",
        "from torch import load",
        "from torch import *",
        "from . import torch",
        "from .torch import nn",
        "from typing import TYPE_CHECKING as Any, get_type_hints",
        "eval('1')",
        "exec('1')",
        "open('f')",
        "compile('1', 'f', 'eval')",
        "__import__('os')",
        "globals()",
        "breakpoint()",
        "input()",
        "print(1)",
        "setattr(1, 'a', 2)",
        "delattr(1, 'a')",
        "vars()",
        "unknown_name",
        "x = eval",
        "def eval(): pass\neval()",  # bound by the module itself: still refused
        "eval = 1\neval",
        "def f(exec): return exec('1')",
        "def f(open): return open",
        "compile = globals = 1\ncompile",
        "compile = globals = 1\nglobals",
        "().__class__.__bases__[0].__subclasses__()",
        "(lambda: 0).__globals__",
        "(lambda: 0).__code__",
        "import torch\ntorch.__builtins__",
        "import torch\ntorch.nn.Module.__dict__",
        "async def f(): pass",
        "async def f():\n    await g()",
        "def f():\n    yield 1",
        "def f():\n    yield from ()",
        "def f():\n    global x",
        "def f():\n    x = 1\n    def g():\n        nonlocal x",
        "del torch",
        "assert True",
        "match 1:\n    case 1: pass",
        "x: int = __file__",
        "class A:\n    def __del__(self): pass\nA().__del__()",
        "def f(a=open('f')): pass",
        "@open\ndef f(): pass",
        "f'{open}'",
        "[open for _ in ()]",
        "def f() -> open: pass",
        "import torch\ntorch.os.system('id')",
        "import torch\n@torch.os.system\ndef f(): pass",
        "import torch\n@torch.no_grad\ndef f(): pass",
        "import torch\ntorch.hub.load('a', 'b')",
        "import torch\ntorch.load('a')",
        "import torch\ntorch.utils.cpp_extension.load('a', [])",
        "import torch.nn.functional\ntorch.nn.functional.warnings.sys.modules",
        "import torch\ntorch._C",
        "import warnings\nwarnings.sys",
        "import enum\nenum.sys.modules",
        "getattr(1, '__class__')",
        "getattr(1, '_' + '_class__')",
        "getattr(1, f'__{1}')",
        "import math\ndef f(math): return math",
        "import torch\ndef f(x):\n    torch = x\n    return torch",
        "def f(x):\n    for warnings in x:\n        return warnings",
    ],
)
def test_what_no_module_may_hold_is_refused(source: str) -> None:
    ast.parse(source)
    with pytest.raises(UnsafeOutputError):
        check_output(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\nx = torch.tanh",
        "class A:\n    def __init__(self): super().__init__()",
        "def f(a): return [a for a in a]",
    ],
)
def test_what_modules_are_made_of_is_taken(source: str) -> None:
    check_output(source)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_example_is_taken_and_not_with_one_line_more(path: Path) -> None:
    source = compile_text(path.read_text(encoding="utf-8"), path.name).source
    check_output(source)
    with pytest.raises(UnsafeOutputError):
        check_output(source + "\nopen('f')\n")


INJECTIONS = (
    "x); import os; (x",
    "x: os.system('true')",
    "x\\nimport os",
    "x = 1; import os",
    "__import__('os')",
    "x'''",
    'x"""',
    "x#",
    "x.y",
    "x-y",
    "${x}",
    "{{ x }}",
    "{% raw %}",
    "ｘ",  # a letter that Python folds to another
    "ⅹ",
    "x\u200b",
    "x\u202e",
    "x\u2028",
    "_private",
    "__class__",
    "0x",
    "",
)


@pytest.mark.parametrize("place", ["name", "input", "value", "step"])
@pytest.mark.parametrize("text", INJECTIONS)
def test_names_are_names_or_refused(place: str, text: str) -> None:
    with pytest.raises(SpecError):
        compile_text(spec(**{place: "'" + text.replace("'", "''") + "'"}), "m.yaml")


DESCRIPTIONS = (
    "quotes \\\" and ' and \\\"\\\"\\\" and '''",
    'a backslash \\\\ and \\\\\\" and \\\\N{BULLET} and \\\\',
    "{{ 7 * 7 }} {% if x %} {# y #}",
    "${1 + 1} $x %s {x}",
    "# not a comment; import os",
    "from __future__ import annotations",
    "umlauts äöü, 漢字, 🙂",
)


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_a_description_never_becomes_code(text: str) -> None:
    """The module with it is the module without it but for its docstrings."""
    plain, described = (
        ast.parse(compile_text(spec(description=d), "m.yaml").source) for d in ("plain", '"' + text + '"')
    )
    assert ast.dump(_undocumented(plain)) == ast.dump(_undocumented(described))


@pytest.mark.parametrize("text", ["\\u202e", "\\u2066", "\\x07", "\\x1b[31m", "\\u2028", "\\x00", "\\x7f", "\\x85"])
def test_a_description_with_characters_that_hide_something_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        compile_text(spec(description=f'"before {text} after"'), "m.yaml")


def _undocumented(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def test_the_spec_does_not_change_what_is_imported() -> None:
    def imports(source: str) -> set[str]:
        return {ast.dump(n) for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.Import, ast.ImportFrom))}

    assert imports(compile_text(spec(), "m.yaml").source) == imports(
        compile_text(spec(name="Sysos", input="os", value="sys", step="subprocess"), "m.yaml").source
    )
