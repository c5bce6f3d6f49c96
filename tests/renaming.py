"""Whether two generated modules are the same but for a name, or a text, that their specs gave."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any


class OtherCodeError(AssertionError):
    """The modules differ by more than a name or a text."""


@dataclass
class _Names:
    """The names of one scope: each stands for one of the other module, and for no second one."""

    there: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)

    def pair(self, a: str, b: str, node: ast.AST) -> None:
        if self.there.setdefault(a, b) != b or self.back.setdefault(b, a) != a:
            raise OtherCodeError(
                f"line {getattr(node, 'lineno', '?')}: {a} and {b}, but {self.there[a]} and {self.back.get(b)} before"
            )


class _Comparison:
    def __init__(self, old: str, new: str) -> None:
        self.word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(old)}(?![A-Za-z0-9])")
        self.new = new
        self.module = _Names()
        self.fields = {(old, new)}  # of tuples, and arguments: by which an attribute may be renamed

    def modules(self, a: ast.Module, b: ast.Module) -> None:
        """Both modules; what their tuples' fields and functions' arguments are called comes first."""
        for one, other in zip_longest(ast.walk(a), ast.walk(b)):
            if type(one) is not type(other):
                raise OtherCodeError(
                    f"line {getattr(one, 'lineno', '?')}: {type(one).__name__}, {type(other).__name__}"
                )
            match one, other:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.AnnAssign(target=ast.Name(id=second)):
                    self.fields.add((name, second))
                case ast.arg(arg=name), ast.arg(arg=second):
                    self.fields.add((name, second))
                case _:
                    pass
        for one, other in zip(a.body, b.body, strict=True):
            if isinstance(one, (ast.FunctionDef, ast.ClassDef)) and isinstance(other, (ast.FunctionDef, ast.ClassDef)):
                self.module.pair(one.name, other.name, one)
        self.same(a, b, self.module, frozenset())

    def same(self, a: Any, b: Any, names: _Names, local: frozenset[str], nested: bool = False) -> None:
        """Two parts in the scope with these names, `local` those that it binds itself.

        A function in a function is `nested`: its names are those of the outer one.
        """
        if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            for one, other in zip(a, b, strict=True):
                self.same(one, other, names, local, nested)
        elif not isinstance(a, ast.AST) or type(a) is not type(b):
            if a != b or type(a) is not type(b):
                raise OtherCodeError(f"{a!r} and {b!r}")
        else:
            parts = [part for part in a._fields if part not in self._named(a, b, names, local)]
            inner = names, local, nested
            if isinstance(a, ast.ClassDef) or (isinstance(a, ast.FunctionDef) and not nested):
                inner = _Names(), _bound(a), isinstance(a, ast.FunctionDef)
            for part in parts:
                scope = (names, local, nested) if part in ("decorator_list", "bases", "returns") else inner
                self.same(getattr(a, part, None), getattr(b, part, None), *scope)

    def _named(self, a: Any, b: Any, names: _Names, local: frozenset[str]) -> set[str]:
        """Compares the names and texts of a node itself; the parts that are done with."""
        match a:
            case ast.Name():
                names.pair(a.id, b.id, a)
                if a.id not in local and self.module.there.get(a.id, a.id) != b.id:
                    raise OtherCodeError(f"line {a.lineno}: {a.id} is of the module, {b.id} is not")
                return {"id"}
            case ast.arg():
                names.pair(a.arg, b.arg, a)
                return {"arg"}
            case ast.FunctionDef() | ast.ClassDef():
                names.pair(a.name, b.name, a)
                if a.name not in local:
                    self._known(a.name, b.name, a)
                return {"name"}
            case ast.Attribute():
                self._known(a.attr, b.attr, a)
                if isinstance(a.value, ast.Name) and isinstance(b.value, ast.Name):
                    names.pair(f"{a.value.id}.{a.attr}", f"{b.value.id}.{b.attr}", a)
                return {"attr"}
            case ast.keyword():
                self._known(a.arg or "", b.arg or "", a.value)
                return {"arg"}
            case ast.Constant(value=str(text)) if isinstance(b.value, str):
                if not self._same_text(text, b.value):
                    raise OtherCodeError(f"line {a.lineno}: {text!r} and {b.value!r}")
                return {"value"}
            case _:
                return set()

    def _known(self, a: str, b: str, node: ast.AST) -> None:
        if a != b and (a, b) not in self.fields and self._with_new(a) != b:
            raise OtherCodeError(f"line {getattr(node, 'lineno', '?')}: {a} and {b}")

    def _with_new(self, text: str) -> str:
        return self.word.sub(lambda _: self.new, text)

    def _same_text(self, a: str, b: str) -> bool:
        """The text with the new words for the old ones, laid out as it may be; or word by word with names renamed."""
        if _squeezed(self._with_new(a)) == _squeezed(b):
            return True
        pairs = list(zip_longest(_words(a), _words(b)))
        return all(one == other or (one, other) in self.fields for one, other in pairs)


def same_but_for(a: str, b: str, old: str, new: str) -> None:
    """Raises OtherCodeError where module `b` is not `a` with names changed and `old` for `new` in texts.

    `old` has to be a word that stands nowhere else, also with an underscore before or behind it. Names may change in
    each function by themselves, each for one other and never so that two become one: a local name that hides what the
    function reads of the module or of Python is not the same.
    """
    _Comparison(old, new).modules(ast.parse(a), ast.parse(b))


def _bound(scope: ast.ClassDef | ast.FunctionDef) -> frozenset[str]:
    """All names that a class binds, or a function and what is nested in it."""
    if isinstance(scope, ast.ClassDef):
        targets = {node.target for node in scope.body if isinstance(node, ast.AnnAssign)}
        functions = {node.name for node in scope.body if isinstance(node, ast.FunctionDef)}
        return frozenset(functions | {node.id for node in targets if isinstance(node, ast.Name)})
    found = set()
    for node in ast.walk(scope):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.FunctionDef(name=name) if node is not scope:
                found.add(name)
            case _:
                pass
    return frozenset(found)


def _squeezed(text: str) -> str:
    return "".join(re.sub(r"\b[0-9a-f]{64}\b", "sha256", text).split())


def _words(text: str) -> list[str]:
    whole = re.sub(r"\w+ …", "…", re.sub(r"\b[0-9a-f]{64}\b", "sha256", text))  # a long equation is cut anywhere
    return re.findall(r"\w+|[^\w\s]", whole)
