"""`module`: a user's own nn.Module, handed to the model and called like a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deqc.fields import Field, Kind
from deqc.ops.base import Attributes, Op
from deqc.ops.code import Attribute, Code, Text, call, literal
from deqc.types import Type

ARGUMENTS = Field(
    "args",
    Kind.BRANCHES,
    "What the module is called with, each computed from the incoming value; that value alone if absent.",
    default=None,
)


class Module(Op):
    """y = module(x, …): operand 0 stands for the module's parameters, the others are its arguments."""

    name = "module"
    summary = "A module of the user's, called with values of the spec."
    step = False
    rows = False
    has_rule = False
    function = "_call"

    def infer(self, attributes: Attributes, *types: Type) -> Type:
        """The shape that the spec declares."""
        return Type(tuple(attributes["shape"]), any(t.batched for t in types[1:]))

    def flops(self, attributes: Attributes, types: Sequence[Type], result: Type) -> int:
        """Not known."""
        return 0

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """The module itself, which stands in the place of its parameters."""
        module, *arguments = tensors
        return module(*arguments)

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`_call(m.cell, w.cell, x, …)`."""
        return self.checked(attributes, result, call("_call", Attribute(Text("m"), attributes["name"]), *operands))

    def checked(self, attributes: Attributes, result: Type, code: Code) -> Code:
        """The call, with the shape of what it returns checked: a wrong one would broadcast without a word."""
        return call("_checked", literal(f"the result of {attributes['name']}"), code, *result.shape)


OP = Module()
