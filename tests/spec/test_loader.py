"""The loader: YAML 1.2's values, places, every mistake with its line and column, and limits that hold."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deqc.diagnostics import Diagnostic, Problems, Span, SpecError
from deqc.spec.loader import compose, load
from deqc.spec.text import FORBIDDEN, MAX_BYTES, decode
from deqc.spec.tree import Mapping, Node, Scalar, Sequence, to_data


def data(text: str) -> object:
    return to_data(load(text, "f"))


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as caught:
        load(text, "f")
    return caught.value.diagnostics


def where(diagnostic: Diagnostic) -> tuple[int, int]:
    return diagnostic.span.line, diagnostic.span.column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("+1.5E+2", 150.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("4.0", 4.0),
        ("-0.0", -0.0),
        ("010", 10),
        ("-010", -10),
        ("+7", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("9007199254740992", 2**53),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("-0x1", "-0x1"),
        ("off", "off"),
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("2026-01-01", "2026-01-01"),
        ("=", "="),
        ("1e", "1e"),
        (".", "."),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("null", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("''", ""),
        ("${in.channels * 5}", "${in.channels * 5}"),
    ],
)
def test_scalars_of_the_core_schema(text: str, expected: object) -> None:
    assert data(f"a: {text}") == {"a": expected}
    (entry,) = load(f"a: {text}", "f")
    assert isinstance(entry.value, Scalar)
    assert type(entry.value.value) is type(expected)
    assert entry.value.plain is (text[0] not in "'\"")


def test_the_tree_keeps_order_and_places() -> None:
    text = "b: {linear: 64}\na:\n  - 'x y'\n  - [1,\n     2]\n"
    root = load(text, "f")
    assert [entry.name for entry in root] == ["b", "a"]
    assert root.span == Span("f", 1, 1, 5, 8)
    flow, block = root.get("b"), root.get("a")
    assert isinstance(flow, Mapping)
    assert isinstance(block, Sequence)
    assert flow.span == Span("f", 1, 4, 1, 16)
    assert flow.entries[0].key.span == Span("f", 1, 5, 1, 11)
    assert block.span == Span("f", 3, 3, 5, 8)
    assert [item.span for item in block.items] == [Span("f", 3, 5, 3, 10), Span("f", 4, 5, 5, 8)]
    assert root.get("c") is None


def test_a_pair_inside_a_flow_list_ends_with_its_value() -> None:
    (entry,) = load("a: [linear: 64  , tanh]", "f")
    assert isinstance(entry.value, Sequence)
    assert entry.value.items[0].span == Span("f", 1, 5, 1, 15)


def test_aliases_share_their_node() -> None:
    root = load("a: &dense [{linear: 4}, tanh]\nb: *dense\nc: [*dense]\n", "f")
    assert root.get("b") is root.get("a")
    chain = [{"linear": 4}, "tanh"]
    assert to_data(root) == {"a": chain, "b": chain, "c": [chain]}


def test_line_ends_and_byte_order_mark() -> None:
    assert data("\ufeffa: 1\r\nb: 2\r\n") == {"a": 1, "b": 2}
    assert [where(d) for d in mistakes("\ufeffa: 1\r\na: 2\ra: 3")] == [(2, 1), (3, 1)]
    assert data("%YAML 1.2\n---\na: 1\n...\n") == {"a": 1}


# Mistakes: the text, then `line:column code part of the message` for each.

MISTAKES = {
    "empty": ("", ["1:1 E007 empty"]),
    "only a comment": ("# nothing\n", ["1:1 E007 empty"]),
    "only a start": ("---\n", ["1:1 E007 empty"]),
    "a scalar": ("linear", ["1:1 E008 a mapping"]),
    "a list": ("- a\n- b\n", ["1:1 E008 a mapping"]),
    "two documents": ("a: 1\n---\nb: 2\n", ["2:1 E007 second document"]),
    "text after the end": ("a: 1\n...\nb: 2\n", ["3:1 E004 does not belong"]),
    "YAML 1.1": ("%YAML 1.1\n---\na: 1\n", ["1:1 E007 directive"]),
    "tag handles": ("%TAG ! tag:x,2000:\n---\na: 1\n", ["1:1 E007 directive"]),
    "every duplicate": ("a: 1\nb: {c: 1, c: 2}\na: 2\na: 3\n", ["2:11 E010 'c'", "3:1 E010 'a'", "4:1 E010 'a'"]),
    "tags": ("a: !!str 1\nb: !x [1]\n", ["1:4 E012 tags", "2:4 E012 tags"]),
    "merge keys": ("a: &a {b: 1}\nc:\n  <<: *a\n", ["3:3 E011 merge"]),
    "keys that are no text": (
        "1: a\ntrue: b\n? [c]\n: d\n~: e\n1.5: f\n",
        ["1:1 E009 not 1", "2:1 E009 not true", "3:3 E009 a text", "5:1 E009 not ~", "6:1 E009 not 1.5"],
    ),
    "no key": ("a: {: 1}\nb: 2\n", ["1:5 E004 missing before ':'"]),
    "an empty key": ("?\n: 1\n", ["1:2 E009 not nothing"]),
    "numbers": (
        "a: .nan\nb: -.inf\nc: 1e999\nd: 9007199254740993\ne: -9007199254740993\nf: 0xffffffffffffffff\n",
        [f"{line}:4 E014 " for line in range(1, 7)],
    ),
    "no values": ("a:\nb: [1]\nc: {d: }\n", ["1:1 E013 'a'", "3:5 E013 'd'"]),
    "an empty item": ("a:\n  -\n  - 1\n  -   \n", ["2:3 E013 list item", "4:3 E013 list item"]),
    "unknown aliases": ("a: &one 1\nb: *on\nc: *three\n", ["2:4 E015 did you mean '*one'", "3:4 E015 '*three'"]),
    "an alias inside": ("a: &a [1, *a]\n", ["1:11 E015 inside"]),
    "an anchor twice": ("a: &a 1\nb: &a 2\n", ["2:4 E015 twice"]),
    "an alias as key": ("a: &a b\n*a : 1\n", ["2:1 E009 a text"]),
    "controls": ("a: \x1b[31m\nb\x00: 1\n", ["1:4 E003 U+001B", "2:2 E003 U+0000"]),
    "line separators": ("a: 1\x85b: 2\u2028", ["1:5 E003 U+0085", "1:10 E003 U+2028"]),
    "direction marks": ("# \u202e\na: 1\n", ["1:3 E003 U+202E"]),
    "escaped controls": ('a: "\\u202e"\nb: "\\0"\nc: "\\ud800"\n', ["1:4 E003", "2:4 E003", "3:4 E003"]),
    "no such character": ('a: "\\U00110000"\n', ["1:7 E004 no meaning"]),
    "a tab": ("a:\n\tb: 1\n", ["2:1 E004 tab"]),
    "an at sign": ("a: @b\n", ["1:4 E004 cannot start with '@'"]),
    "an open list": ("a: [1, 2\n", ["2:1 E004 expected ',' or ']', found the end of the file"]),
    "an open mapping": ("a: {b: 1\nc: 2\n", ["2:2 E004 expected ',' or '}', found ':'"]),
    "the wrong bracket": ("a: [1, 2}\n", ["1:9 E004 expected ',' or ']', found '}'"]),
    "an open quote": ("a: 'b\nc: d\n", ["1:4 E004 quote"]),
    "an escape": ('a: "\\q"\n', ["1:6 E004 escape"]),
    "two colons": ("a: b: c\n", ["1:5 E004 second ':'"]),
    "too deep": ("name: x\n  input: 3\n", ["2:3 E004 value above goes on"]),
    "no colon": ("a: 1\nfoo\nb: 2\n", ["2:1 E004 without ':'"]),
    "a list on the key's line": ("a: - b\n", ["1:4 E004 list item"]),
    "a comma too many": ("a: [1,,2]\n", ["1:7 E004 missing before ','"]),
    "out of column": ("a:\n  - b:\n      c: 1\n     d: 2\n", ["4:6 E004 does not belong"]),
    "an unquoted expression": ("a: {out: ${width}}\n", ["1:10 E004 in quotes"]),
    "an unquoted expression in a list": ("a: [1, ${in.x * 5}]\n", ["1:8 E004 in quotes"]),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes(text: str, expected: list[str]) -> None:
    found = mistakes(text)
    shown = [f"{d.span.line}:{d.span.column} {d.code} {d.message}" for d in found]
    assert len(found) == len(expected), shown
    for diagnostic, line in zip(found, expected, strict=True):
        place, code, *part = line.split(" ", 2)
        assert f"{diagnostic.span.line}:{diagnostic.span.column} {diagnostic.code}" == f"{place} {code}", shown
        assert "".join(part) in diagnostic.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: {linear:64}", "write a space after the colon: `linear: 64`"),
        ("a: [{tanh}]", "a step without fields is written without braces: `tanh`"),
        ("a:\n  - conv2d:\n    out: 3\n    kernel: 3", "indent what belongs to 'conv2d' further than 'conv2d' itself"),
        ("a: {out: ${width}}", 'write "${width}"'),
        ("a:\n\tb: 1", "YAML is indented with spaces"),
        ("head:\nsolver: newton", "write a value after the colon, or remove the key"),
        ("a:\n  b: 1\n  c:", "write a value after the colon"),
        ("1: a", "keys are words; where a list is meant, write each entry after a dash: `- …`"),
    ],
)
def test_hints(text: str, hint: str) -> None:
    assert mistakes(text)[0].hint == hint


def test_the_first_of_two_places_is_shown_too() -> None:
    (duplicate,) = mistakes("a: 1\nb: 2\na: 3\n")
    assert [where_related.span.line for where_related in duplicate.related] == [1]
    (unclosed,) = mistakes("a: {b: [1, 2}\n")
    assert [where_related.span for where_related in unclosed.related] == [Span("f", 1, 8, 1, 9)]


def test_what_can_be_read_is_read() -> None:
    problems = Problems()
    root = compose("a: .nan\nb: 2\nb: 3\n1: 4\nc: [1]\n", "f", problems)
    assert root is not None
    assert to_data(root) == {"a": None, "b": 2, "c": [1]}
    assert [d.code for d in problems.sorted()] == ["E014", "E010", "E009"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {linear:64}", {"a": {"linear": 64}}),
        ("a: {linear: 3, linear:64}", {"a": {"linear": 3, "linear:64": None}}),
        ("a: {linear:3, linear:64}", {"a": {"linear": 3, "linear:64": None}}),
        ("a: {b:, c: , d}", {"a": {"b": None, "c": None, "d": None}}),
        ("a: {'linear:64'}", {"a": {"linear:64": None}}),
        ("a: {b , c}", {"a": ["b", "c"]}),
        ("a: {1, [2]}", {"a": [1, [2]]}),
        ("a: {b , c: }", {"a": {"b": None, "c": None}}),
        ("a: {'b' , c: 1}", {"a": {"b": None, "c": 1}}),
        ("a: [{tanh}, 1]", {"a": [{"tanh": None}, 1]}),
    ],
)
def test_a_key_without_a_value_is_read_as_it_was_meant(text: str, expected: object) -> None:
    problems = Problems()
    root = compose(text, "f", problems)
    assert root is not None
    assert to_data(root) == expected
    assert {d.code for d in problems.found} == {"E013"}
    for node in nodes(root):
        if isinstance(node, Mapping):
            assert len({entry.name for entry in node}) == len(node.entries)


def test_bytes_that_are_not_utf8() -> None:
    for raw, place in [
        (b"a: 1\nb: \xe9\n", (2, 4)),
        ("ü: ".encode() + b"\xff", (1, 4)),
        (b"\xef\xbb\xbfa\xff", (1, 2)),
    ]:
        with pytest.raises(SpecError) as caught:
            decode(raw, "f")
        assert where(caught.value.diagnostics[0]) == place
    assert decode(b"\xef\xbb\xbfa: 1", "f") == "a: 1"
    with pytest.raises(SpecError, match="not UTF-8"):
        decode("a: 1".encode("utf-16"), "f")
    with pytest.raises(SpecError, match="larger than"):
        decode(b" " * (MAX_BYTES + 1), "f")


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)
DEEP_BY_ALIAS = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))

ENDLESS = {
    "brackets": ("[" * 20_000, "E005"),
    "brackets on lines": ("[\n" * 20_000, "E005"),
    "braces": ("{a: " * 20_000, "E005"),
    "bare braces": ("{" * 20_000, "E005"),
    "dashes": ("- " * 20_000, "E005"),
    "question marks": ("? " * 20_000, "E005"),
    "pairs": ("[?" * 20_000, "E005"),
    "indentation": ("".join(" " * i + "a:\n" for i in range(1_000)), "E005"),
    "aliases": (LAUGHS, "E006"),
    "depth by aliases": (DEEP_BY_ALIAS, "E005"),
    "items": ("a: [" + "1," * 60_000 + "]", "E006"),
    "a long text by aliases": ("a: &a " + "x" * 500_000 + "\nb: [" + "*a, " * 10_000 + "]", "E006"),
    "mistakes": ("a: 1\n" * 50_000, "E016"),
    "digits": ("a: " + "9" * 500_000, "E014"),
    "a version": ("%YAML " + "9" * 5_000 + ".1\n---\na: 1", "E004"),
    "size": ("#" * (MAX_BYTES + 1), "E002"),
    "zeros": ("\0" * 500_000, "E003"),
}


@pytest.mark.parametrize(("text", "code"), ENDLESS.values(), ids=ENDLESS.keys())
def test_endless_texts_fail_fast(text: str, code: str) -> None:
    start = time.perf_counter()
    found = mistakes(text)
    assert code in {d.code for d in found}
    assert len(found) <= 110
    assert time.perf_counter() - start < 10  # hundredths of a second on a quiet machine


def test_depth_is_allowed_up_to_the_limit() -> None:
    assert data("a: " + "[" * 63 + "]" * 63)
    assert mistakes("a: " + "[" * 64 + "]" * 64)[0].code == "E005"


# Against another reader: every JSON document is YAML 1.2, with the values JSON gives it.

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).filter(lambda t: not FORBIDDEN.search(t))
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(TEXTS.filter(lambda t: t != "<<"), VALUES, max_size=4)


def nodes(node: Node) -> Iterator[Node]:
    yield node
    if isinstance(node, Sequence):
        for item in node.items:
            yield from nodes(item)
    elif isinstance(node, Mapping):
        for entry in node:
            yield entry.key
            yield from nodes(entry.value)


def written(text: str, span: Span) -> str:
    lines = text.split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(DOCUMENTS, st.sampled_from([None, 2]))
def test_json_is_read_as_json(document: dict[str, object], indent: int | None) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    problems = Problems()
    root = compose(text, "f", problems)
    # A merge key is JSON and no spec; the rest is read all the same.
    assume(not problems.found)
    assert root is not None
    assert to_data(root) == document
    for node in nodes(root):
        shown = written(text, node.span)
        if isinstance(node, Scalar):
            assert shown == (node.text if node.plain else json.dumps(node.value, ensure_ascii=False))
        else:
            assert (shown[0], shown[-1]) == (("[", "]") if isinstance(node, Sequence) else ("{", "}"))


WORDS = "a b: -~ ${ } [ ] { } , : # ' \" & * ! !! | > % @ ` ? << --- ... .nan 1e9 \\ \ufeff \x85 é 日 *a &a null"
SPACES = [
    "\\U00110000",
    "1",
    " ",
    "  ",
    "\n",
    "\n  ",
    "\n- ",
    "\n    - ",
    ": ",
    ", ",
    "\r\n",
    "\t",
    "%YAML 1.2\n",
    "- ",
    "? ",
]
PIECES = st.sampled_from([*WORDS.split(" "), *SPACES])


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=80))
def test_any_text_gives_a_tree_or_places_within_it(text: str) -> None:
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    problems = Problems()
    root = compose(text, "f", problems)
    assert root is not None or problems.found
    for diagnostic in problems.found:
        span = diagnostic.span
        assert 1 <= span.line <= len(lines)
        assert 1 <= span.column <= len(lines[span.line - 1]) + 1
        assert (span.line, span.column) <= (span.end_line, span.end_column)
        assert diagnostic.message
        assert "\n" not in diagnostic.message
    for node in nodes(root) if root is not None else ():
        assert not (isinstance(node, Scalar) and isinstance(node.value, float) and not math.isfinite(node.value))
