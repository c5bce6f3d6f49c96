"""Code trees against two oracles: Python's own parser for what they mean, `ruff format` for where lines break."""

from __future__ import annotations

import ast
import random
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deqc.emit.layout import WIDTH, statement
from deqc.ops.code import (
    Attribute,
    Call,
    Code,
    Index,
    Infix,
    Items,
    Keyword,
    Lambda,
    Text,
    add,
    flat,
    literal,
    matmul,
    method,
    product,
    subtract,
)

NAMES = ("z", "u", "h0", "at.joined_2", "w.mapping_bias", "w.main_0_linear_weight", "w.encoder_features_conv2d_weight")
FUNCTIONS = ("F.linear", "torch.tanh", "F.conv_transpose2d", "Weights")


def _some(generator: random.Random, depth: int) -> Code:
    """A random expression."""
    kind = generator.random()
    if depth == 0 or kind < 0.2:
        return Text(generator.choice(NAMES))
    if kind < 0.5:
        arguments = tuple(_some(generator, depth - 1) for _ in range(generator.choice((1, 1, 2, 3, 5))))
        keyword = (Keyword("padding", literal(1)),) if generator.random() < 0.25 else ()
        return Call(Text(generator.choice(FUNCTIONS)), arguments + keyword)
    if kind < 0.58:
        return Items(tuple(_some(generator, depth - 1) for _ in range(generator.choice((2, 3, 4, 6)))))
    if kind < 0.66:
        return Index(Text(generator.choice(NAMES)), "0")
    if kind < 0.72:
        return Call(Text("_pull"), (Lambda("v", _some(generator, depth - 1)), Text("z")))
    if kind < 0.8:
        return method(_some(generator, depth - 1), generator.choice(("sum", "t")), 1)
    make, count = generator.choice(((add, 4), (product, 4), (matmul, 2), (subtract, 2)))
    return make(*(_some(generator, depth - 1) for _ in range(generator.randint(2, count))))


def test_lines_break_where_ruff_breaks_them() -> None:
    """Statements with expressions in expressions; what lies deeper has names of its own in generated code."""
    generator = random.Random(0)
    blocks = []
    for number in range(600):
        before = generator.choice(("a = ", "g_joined_2 = ", "return "))
        lines = statement(before, _some(generator, 2), 4)
        blocks.append("\n".join([f"def f{number}():", *(f"    {line}" for line in lines)]))
    ours = "\n\n\n".join(blocks) + "\n"
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", str(WIDTH), "-"]
    theirs = subprocess.run(command, input=ours, capture_output=True, text=True, check=True).stdout
    assert sum("(\n" in block for block in blocks) > 80  # many do not fit on a line
    for own, other in zip(ours.split("\n\n\n"), theirs.split("\n\n\n"), strict=True):
        assert own.strip() == other.strip()


def test_parentheses_stand_where_python_needs_them() -> None:
    generator = random.Random(1)
    for _ in range(600):
        code = _some(generator, 4)
        tree = ast.dump(_tree(code))
        assert ast.dump(ast.parse(flat(code), mode="eval").body) == tree
        parsed = ast.parse("\n".join(statement("a = ", code, 0))).body[0]
        assert isinstance(parsed, ast.Assign)
        assert ast.dump(parsed.value) == tree


OPERATORS: dict[str, type[ast.operator]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "@": ast.MatMult}


def _tree(code: Code) -> ast.expr:
    """The syntax tree that the code stands for: operands of one operator from left to right."""
    match code:
        case Text(text=text):
            return ast.parse(text, mode="eval").body
        case Call(function=function, arguments=arguments):
            positional = [_tree(a) for a in arguments if not isinstance(a, Keyword)]
            named = [ast.keyword(a.name, _tree(a.value)) for a in arguments if isinstance(a, Keyword)]
            return ast.Call(_tree(function), positional, named)
        case Attribute(value=value, name=name):
            return ast.Attribute(_tree(value), name, ast.Load())
        case Items(items=items, brackets=brackets):
            kind = ast.Tuple if brackets == "()" else ast.List
            return kind([_tree(item) for item in items], ast.Load())
        case Index(value=value, index=index):
            return ast.Subscript(_tree(value), ast.parse(index, mode="eval").body, ast.Load())
        case Infix(operator=operator, operands=operands):
            tree = _tree(operands[0])
            for operand in operands[1:]:
                tree = ast.BinOp(tree, OPERATORS[operator](), _tree(operand))
            return tree
        case Lambda(argument=argument, body=body):
            arguments_of = ast.arguments([], [ast.arg(argument)], None, [], [], None, [])
            return ast.Lambda(arguments_of, _tree(body))
        case _:
            raise AssertionError(code)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (matmul(product(Text("a"), Text("b")), Text("c")), "(a * b) @ c"),
        (product(Text("a"), matmul(Text("b"), Text("c"))), "a * (b @ c)"),
        (product(matmul(Text("a"), Text("b")), Text("c")), "(a @ b) * c"),
        (matmul(matmul(Text("a"), Text("b")), Text("c")), "a @ b @ c"),
        (matmul(Text("a"), matmul(Text("b"), Text("c"))), "a @ (b @ c)"),
        (subtract(Text("a"), subtract(Text("b"), Text("c"))), "a - (b - c)"),
        (subtract(subtract(Text("a"), Text("b")), Text("c")), "a - b - c"),
        (add(Text("a"), add(Text("b"), Text("c"))), "a + (b + c)"),
        (add(subtract(Text("a"), Text("b")), product(Text("c"), Text("d"))), "a - b + c * d"),
        (product(literal(-0.5), Text("a")), "-0.5 * a"),
        (method(literal(-1), "abs"), "(-1).abs()"),
        (method(add(Text("a"), Text("b")), "sum"), "(a + b).sum()"),
        (Items((Text("a"),), "()"), "(a,)"),
        (literal(1e200), "1e200"),
        (literal("\"'\n\u2028\\"), '"\\"\'\\n\\u2028\\\\"'),
    ],
)
def test_texts(code: Code, text: str) -> None:
    assert flat(code) == text
    ast.parse(text)


@given(st.text())
@example("\u2028\u202e\U0001f600\x00\x7f\r\n\"'\\")
@settings(derandomize=True, deadline=None)
def test_a_text_stays_a_text(text: str) -> None:
    written = flat(literal(text))
    assert written.isascii()
    assert "\n" not in written
    node = ast.parse(written, mode="eval").body
    assert isinstance(node, ast.Constant)
    assert node.value == text
