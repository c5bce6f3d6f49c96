"""An expression with all that is known of it computed: what is left reads only names that are not known yet."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import replace

from deqc.diagnostics import Problems
from deqc.spec.expressions import Expression, Number, evaluate
from deqc.spec.expressions.tree import Binary, Call, Conditional, Constant, Name, Tree, Unary

Known = Map[str, "Number | Map[str, Number]"]


def folded(expression: Expression, known: Known) -> Number | Expression:
    """The number that it comes to, or the shorter expression."""
    tree = _fold(expression.tree, known)
    return tree.value if isinstance(tree, Constant) else replace(expression, tree=tree)


def _fold(tree: Tree, known: Known) -> Tree:
    match tree:
        case Constant():
            return tree
        case Name():
            return _computed(tree, known) if _is_known(tree, known) else tree
        case Unary():
            operand = _fold(tree.operand, known)
            return _computed(replace(tree, operand=operand), {}, operand)
        case Binary():
            left, right = _fold(tree.left, known), _fold(tree.right, known)
            return _computed(replace(tree, left=left, right=right), {}, left, right)
        case Call():
            arguments = tuple(_fold(one, known) for one in tree.arguments)
            return _computed(replace(tree, arguments=arguments), {}, *arguments)
        case Conditional():
            condition = _fold(tree.condition, known)
            if isinstance(condition, Constant) and isinstance(condition.value, bool):
                return _fold(tree.then if condition.value else tree.otherwise, known)
            then, otherwise = _fold(tree.then, known), _fold(tree.otherwise, known)
            return replace(tree, then=then, condition=condition, otherwise=otherwise)


def _is_known(name: Name, known: Known) -> bool:
    value = known.get(name.name)
    return name.member in value if isinstance(value, Map) else value is not None and name.member is None


def _computed(tree: Tree, known: Known, *parts: Tree) -> Tree:
    """The tree as a constant if all its parts are; a division by zero stays as it is."""
    if not all(isinstance(part, Constant) for part in parts):
        return tree
    value = evaluate(Expression("", tree, tree.span), known, Problems())
    return tree if value is None else Constant(value, tree.span)
