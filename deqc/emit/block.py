"""Nodes as the statements of one function: what is used once and short stands where it is used, the rest has a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from deqc.emit import sizes
from deqc.emit.layout import WIDTH, statement
from deqc.emit.naming import SECTIONS, Namer, wish
from deqc.ir.graph import Node, reachable
from deqc.ops import OPS
from deqc.ops.code import Attribute, Call, Code, Index, Infix, Items, Text, flat, terms
from deqc.ops.module import OP as MODULE

LONGEST = 72  # of an expression inside another
DEEPEST = 3
NAMED = 16  # columns before an expression: `return `, or a name and `=`
ARGUMENT = 5  # columns around an expression that has a line of a call to itself
LISTED = 3  # parameters side by side, from which a list of their layers is clearer than a list of themselves


class Block:
    """The statements that compute some nodes out of given ones."""

    def __init__(
        self,
        roots: tuple[Node, ...],
        given: Mapping[Node, Code],
        reserved: frozenset[str],
        indent: int,
        wishes: Mapping[Node, str] | None = None,
        layers: bool = False,
        dimensions: tuple[str, ...] = (),
        sources: Mapping[Node, Code] = MappingProxyType({}),
    ) -> None:
        self.lines: list[str] = []
        self.names: dict[Node, str] = {}
        self._codes: dict[Node, Code] = dict(given)
        self._depth: dict[Node, int] = {}
        self._namer = Namer(reserved | set(dimensions))
        self._dimensions, self._sources = dimensions, sources
        self.sizes: tuple[str, ...] = ()  # names of dimensions that the statements read
        self._indent = indent
        self._wishes = wishes or {}
        self._layers = layers
        order = tuple(reachable(roots, frozenset(given)))
        self._lists: dict[tuple[str, ...], str] = {}
        self._uses = Counter(o for node in order for o in node.operands)
        self._uses.update(roots)
        self._repeated = {o for node in order if OPS[node.op].repeats for o in node.operands}
        self._roots = set(roots)
        self.functions = {f for node in order if (f := OPS[node.op].function) and not (layers and node.op == "module")}
        self.texts: list[str] = []
        for node in order:
            self._emit(node)

    def code(self, node: Node) -> Code:
        """The expression that stands for a node after the statements."""
        return self._codes[node]

    def known(self, node: Node) -> Code | None:
        """The same, or None for a node that is not part of the block."""
        return self._codes.get(node)

    def where(self, code: Code, condition: str, name: str, other: Code) -> Code:
        """The expression where the condition holds, else the other; a name costs nothing and stands as it is.

        One that is too long for a line beside its condition gets that name, or one like it, in statements.
        """
        if _plain(code):
            return code
        text = f"{flat(code)} if {condition} else {flat(other)}"
        if len(text) + self._indent + ARGUMENT <= WIDTH:
            return Text(text)
        name = self._namer.fresh(name)
        inside = statement(f"{name} = ", code, self._indent + 4)
        self.lines += [f"{name} = {flat(other)}", f"if {condition}:", *(f"    {line}" for line in inside)]
        self.texts.append(flat(code))
        return Text(name)

    def returned(self, code: Code) -> tuple[str, ...]:
        """All statements, and `return` of an expression; under a type of its own where a layer's call hides it."""
        self.texts.append(flat(code))
        self.sizes = sizes.used(self.texts, self._dimensions)
        self.lines[:0] = sizes.statements(self.sizes, self._sources)
        if self._layers and _calls_layer(code):
            name = self._namer.fresh("output")
            return (*self.lines, *statement(f"{name}: Tensor = ", code, self._indent), f"return {name}")
        return (*self.lines, *statement("return ", code, self._indent))

    def _emit(self, node: Node) -> None:
        code = self._expression(node)
        if isinstance(code, Infix) and len(terms(code)) == 2 and len(flat(code)) + self._indent + NAMED > WIDTH:
            for operand in node.operands:  # two long operands read better with names than broken over lines
                self._name(operand)
            code = self._expression(node)
        depth = 1 + max((self._depth.get(o, 0) for o in node.operands), default=0)
        text = flat(code)
        long = len(text) > LONGEST or depth > DEEPEST
        self._codes[node] = code
        if self._uses[node] == 1 and node not in self._repeated and (node in self._roots or not long):
            self._depth[node] = depth
        else:
            self._name(node)

    def _expression(self, node: Node) -> Code:
        operands = tuple(self._codes[o] for o in node.operands)
        if self._layers and node.op == "module":
            return MODULE.checked(node.attributes, node.type, Call(module_code(node.attributes["name"]), operands[1:]))
        if self._layers and self._whole_layer(node):
            return Call(layer_code(node.attributes["layer"]), operands[:1])
        return self._listed(node, OPS[node.op].emit(node.attributes, node.type, *operands))

    def _name(self, node: Node) -> None:
        """Gives the value a name, unless its expression is one."""
        code = self._codes[node]
        if _plain(code):
            return
        name = self._namer.fresh(self._wishes.get(node) or wish(node))
        self.lines.extend(statement(f"{name} = ", code, self._indent))
        self.texts.append(flat(code))
        self._codes[node] = Text(name)
        self.names[node] = name

    def _listed(self, node: Node, code: Code) -> Code:
        """A list of one parameter of several layers, as a comprehension over a list of the layers that has a name."""
        operands = node.operands
        names = {o.attributes["name"] if o.op == "parameter" else None for o in operands}
        if not self._layers or len(operands) < LISTED or len(names) != 1 or None in names or not isinstance(code, Call):
            return code
        if not isinstance(code.arguments[0], Items):
            return code
        paths = tuple(str(o.attributes["layer"]) for o in operands)
        if paths not in self._lists:
            section = SECTIONS[paths[0].partition(".")[0]]
            name = self._lists[paths] = self._namer.fresh(f"{section}_layers")
            layers = Items(tuple(layer_code(path) for path in paths))
            self.lines.extend(statement(f"{name} = ", layers, self._indent))
        listed = Text(f"[layer.{names.pop()} for layer in {self._lists[paths]}]")
        return Call(code.function, (listed, *code.arguments[1:]))

    @staticmethod
    def _whole_layer(node: Node) -> bool:
        """Whether the node reads one layer's own parameters, so that the layer itself may be called."""
        path = node.attributes.get("layer")
        own = all(n.op == "parameter" and n.attributes["layer"] == path for n in node.operands[1:])
        return path is not None and own and OPS[node.op].whole


def _plain(code: Code) -> bool:
    """Whether the expression is a name, or a field of one."""
    return isinstance(code, (Text, Attribute)) and flat(code).replace(".", "").replace("_", "").isalnum()


def _calls_layer(code: Code) -> bool:
    """Whether the type of an expression is that of a layer's call, which type checkers do not know."""
    match code:
        case Call(function=Index()):
            return True
        case Call(function=Attribute(value=value)) | Attribute(value=value) | Index(value=value):
            return _calls_layer(value)
        case Infix(operands=operands):
            return any(map(_calls_layer, operands))
        case _:
            return False


def module_code(name: str) -> Code:
    """`self.cell`, a module of the user's."""
    return Attribute(Text("self"), name)


def layer_code(path: str) -> Code:
    """`self.main_layers["0"]["linear"]`."""
    section, *keys = path.split(".")
    code: Code = Attribute(Text("self"), section)
    for key in keys:
        code = Index(code, f'"{key}"')
    return code
