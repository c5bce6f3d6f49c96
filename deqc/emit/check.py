"""Deqc reads its own output before anyone runs it: only the statements, imports and names that modules are made of.

A name or a text of a spec can never become code; this is the second lock on that door.
"""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from typing import Any, TypeAlias

IMPORTS = {
    "enum": None,
    "math": None,
    "warnings": None,
    "torch": {"Tensor", "nn"},
    "torch._functorch.config": None,
    "torch._functorch.pyfunctorch": None,
    "torch.nn.functional": None,
    "torch.nn.grad": None,
    "torch.utils.checkpoint": {"checkpoint"},
    "torchdiffeq": {"odeint", "odeint_adjoint"},
    "collections.abc": {"Callable", "Sequence", "Iterator"},
    "dataclasses": {"dataclass", "field", "replace"},
    "typing": {"Any", "ClassVar", "NamedTuple", "TypeAlias", "cast", "Protocol", "Literal"},
}
STATEMENTS = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Return, ast.Assign, ast.AnnAssign, ast.AugAssign,
    ast.For, ast.While, ast.If, ast.With, ast.Raise, ast.Try, ast.Expr, ast.Pass, ast.Break, ast.Continue,
)  # fmt: skip
SUSPENSIONS = (ast.Await, ast.Yield, ast.YieldFrom)
BUILTINS = frozenset(
    """
    all any bool classmethod dict enumerate filter float getattr hasattr int isinstance iter len list map max min
    next object property range reversed set sorted staticmethod str sum super tuple zip
    IndexError RuntimeError ValueError TypeError ArithmeticError NotImplementedError ImportError AssertionError
    """.split()  # noqa: SIM905 - a table of words reads best as one
)
DECORATORS = frozenset({"staticmethod", "classmethod", "property", "dataclass"})
# Below which paths of an imported module another name may be read, and the names that are none of a model's business.
PATHS = {
    "torch": frozenset(
        ("", "nn", "nn.functional", "nn.grad", "nn.init", "func", "linalg", "special", "compiler", "autograd", "sparse")
    )
    | {"autograd.forward_ad", "_functorch", "_functorch.config", "_functorch.pyfunctorch"},
    "nn": frozenset({"", "functional", "grad", "init", "Module"}),
    "F": frozenset({""}),
    "math": frozenset({""}),
    "warnings": frozenset({""}),
    "enum": frozenset({""}),
}
DENIED = frozenset(
    """
    os sys hub load save jit package serialization utils ops classes library multiprocessing distributed storage testing
    importlib builtins ctypes subprocess pickle inspect threading warnings math torch modules system types platform
    """.split()  # noqa: SIM905 - a table of words reads best as one
)
DUNDERS = frozenset({"__init__", "__name__", "__class__", "__members__"})

Nodes: TypeAlias = "defaultdict[type[ast.AST], list[Any]]"


class UnsafeOutputError(AssertionError):
    """The generated code holds something that no module should: a defect of deqc."""


def check_output(source: str) -> None:
    """Raises UnsafeOutputError where the source is not what a generated module may be."""
    found = _by_kind(ast.parse(source))
    for kind, (first, *_) in found.items():
        _need(not issubclass(kind, ast.stmt) or kind in STATEMENTS, first, f"a statement of the kind {kind.__name__}")
        _need(kind not in SUSPENSIONS, first, f"an expression of the kind {kind.__name__}")
    for node in found[ast.Import]:
        _need(all(a.name in IMPORTS for a in node.names), node, "import")
    for node in found[ast.ImportFrom]:
        allowed = IMPORTS.get(node.module or "") or set()
        _need(not node.level and all(a.name in allowed for a in node.names), node, "import")
    for node in found[ast.Attribute]:
        _need(not node.attr.startswith("__") or node.attr in DUNDERS, node, f"attribute {node.attr}")
        if not _is_known_path(node):
            _need(False, node, ast.unparse(node))
    for node in found[ast.FunctionDef] + found[ast.ClassDef]:
        names = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
        _need(all(isinstance(one, ast.Name) and one.id in DECORATORS for one in names), node, "decorator")
    for node in found[ast.Call]:
        if isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            _need(_is_plain_name(node.args[1]), node, "name of an attribute")
    for node in found[ast.arg]:
        _need(node.arg not in PATHS, node, f"argument {node.arg}")
    known = _known(found)
    for node in found[ast.Name]:
        if isinstance(node.ctx, ast.Load):
            _need(node.id in known or node.id in BUILTINS, node, f"name {node.id}")
        else:
            _need(node.id not in PATHS, node, f"variable {node.id}")


def _by_kind(tree: ast.AST) -> Nodes:
    """The nodes of a tree by their kind: of most kinds none needs a look, and every compilation waits for this."""
    found: Nodes = defaultdict(list)
    for node in ast.walk(tree):
        found[type(node)].append(node)
    return found


def _is_known_path(node: ast.Attribute) -> bool:
    """Whether a path that begins at an imported module stays where modules have business; others are free."""
    parts: list[str] = []
    value: ast.expr = node
    while isinstance(value, ast.Attribute):
        parts.insert(0, value.attr)
        value = value.value
    if not isinstance(value, ast.Name) or value.id not in PATHS:
        return True
    *way, last = parts
    return (
        ".".join(way) in PATHS[value.id] and last not in DENIED and (not last.startswith("_") or last == "_functorch")
    )


def _is_plain_name(name: ast.expr) -> bool:
    """Whether it is a text that begins with no underscore, or one made of a name and such a text."""
    if isinstance(name, ast.JoinedStr):
        return isinstance(name.values[0], ast.FormattedValue)
    return isinstance(name, ast.Constant) and isinstance(name.value, str) and not name.value.startswith("_")


def _known(found: Nodes) -> set[str]:
    """Every name that the module itself binds; none of them may hide a builtin that it does not mean to."""
    known = {(node.asname or node.name).split(".")[0] for node in found[ast.alias]}
    known |= {node.name for node in found[ast.FunctionDef] + found[ast.ClassDef]}
    known |= {node.name for node in found[ast.ExceptHandler] if node.name}
    known |= {node.arg for node in found[ast.arg]}
    known |= {node.id for node in found[ast.Name] if isinstance(node.ctx, ast.Store)}
    return known - {
        name for name in ("eval", "exec", "compile", "open", "globals", "__import__") if hasattr(builtins, name)
    }


def _need(holds: bool, node: ast.AST, what: str) -> None:
    if not holds:
        raise UnsafeOutputError(f"line {getattr(node, 'lineno', '?')}: {what} is not one that a module may use")
