"""`autograd`: the cotangent of an operand of an op without a rule, by torch's own autograd."""

from __future__ import annotations

from deqc.ops.base import Attributes, Op
from deqc.ops.code import Code, Lambda, Text, call
from deqc.types import Type


class Autograd(Op):
    """The cotangent of operand `index` of the op `of`, from g and the operands."""

    name = "autograd"
    summary = "The cotangent of an operand of an op without a rule, by torch's autograd."
    step = False
    rows = False
    repeats = True
    has_rule = False
    function = "_pull"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """That of the operand."""
        return types[1 + int(attributes["index"])]

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_pull(lambda v: op(v), x, g)`."""
        g, *rest = operands
        x = rest[attributes["index"]]
        rest[attributes["index"]] = Text("v")
        body = attributes["of"].emit(attributes["constants"], attributes["result"], *rest)
        return call("_pull", Lambda("v", body), x, g)


OP = Autograd()
