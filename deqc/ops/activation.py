"""What all activations share: y = φ(x) entry by entry, and its derivative as an op of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from deqc.ops.base import Attributes, Make, Op, Value
from deqc.ops.code import Attribute, Code, Infix, Text, call, compare, method
from deqc.types import Type


class Derivative(Op):
    """φ'(x) as a factor that the adjoint computes once at z*."""

    step = False
    repeats = True

    def __init__(self, activation: Activation) -> None:
        self.activation = activation
        self.name = f"{activation.name}_derivative"
        self.summary = f"The derivative of {activation.name}."

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """Written from x or from y, whichever is cheaper."""
        return self.activation.derivative(attributes, operands[0])


class Activation(Op):
    """y = φ(x); `reads` says whether φ' is written from x ("input") or from y ("output")."""

    elementwise = True
    unbatched = True
    reads: ClassVar[str] = "input"
    torch_name: ClassVar[str]  # "torch.tanh", "F.relu"

    def __init__(self) -> None:
        self.companions = (Derivative(self),)

    def arguments(self, attributes: Attributes) -> tuple[object, ...]:
        """The constants that follow x in the call."""
        return ()

    def meaning(self, torch: Any, attributes: Attributes, *tensors: Any) -> Any:
        """Torch's own function."""
        module, _, name = self.torch_name.partition(".")
        home = torch.nn.functional if module == "F" else torch
        return getattr(home, name)(tensors[0], *self.arguments(attributes))

    def emit(self, attributes: Attributes, result: Type, *operands: Code) -> Code:
        """`torch.tanh(x)`."""
        return call(self.torch_name, operands[0], *self.arguments(attributes))  # type: ignore[arg-type]

    def derivative(self, attributes: Attributes, v: Code) -> Code:
        """φ' from x or y; only a name may stand for v."""
        raise NotImplementedError(self.name)

    def adjoint(self, make: Make, node: Value, g: Any) -> Sequence[Any]:
        """G · φ'."""
        v = node if self.reads == "output" else node.operands[0]
        return (make("mul", g, make(f"{self.name}_derivative", v, **node.attributes)),)


def where_true(condition: Infix, v: Code) -> Code:
    """`(condition).to(v.dtype)`: 1 where it holds, 0 elsewhere."""
    return method(condition, "to", Attribute(v, "dtype"))


def positive(v: Code) -> Code:
    """1 where v > 0, 0 elsewhere."""
    return where_true(compare(v, ">", Text("0")), v)
