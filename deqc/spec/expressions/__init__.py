"""Expressions `${…}`: numbers computed from constants, parameters and shapes.

`parse` reads one, `evaluate` computes it. The language is small and closed (no calls but `min`, `max` and `abs`), and
every number on the way is bounded, so no expression can run long or grow large.
"""

from deqc.spec.expressions.evaluator import DIMENSION_HINT, FIELDS, evaluate
from deqc.spec.expressions.parser import is_expression, parse
from deqc.spec.expressions.tree import Expression, Number

__all__ = ["DIMENSION_HINT", "FIELDS", "Expression", "Number", "evaluate", "is_expression", "parse"]
