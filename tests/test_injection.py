"""Text from a spec never becomes code: hostile texts wherever the schema lets a string stand, as key and as value.

Either deqc refuses the spec, or the module is the one of a harmless text in the same place, with that text for the
other. What deqc prints of it, in any form, moves no cursor and opens no command.
"""

from __future__ import annotations

import functools
import json
import random
import re
import unicodedata
import xml.etree.ElementTree as Tree
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import deqc
from deqc.cli.github import render_github
from deqc.cli.render import render_json, render_text
from deqc.cli.sarif import render_sarif
from deqc.compiler import Compilation, compile_text
from deqc.diagnostics import Severity
from deqc.explain import explain
from deqc.layout import format_text
from deqc.ops import STEPS
from deqc.picture import mermaid, scene, svg
from deqc.settings import SECTIONS
from tests.renaming import same_but_for
from tests.slot_specs import bases, text
from tests.slots import Place, slots

# ruff: noqa: E501 - a table of texts reads best a kind a line
HOSTILE = (
    *('"""', "'''", '"', "'", "\\", '\\"', "#", "`id`", "%s %(x)d", "{x} {0.__class__}", "{{ 7*7 }}", "{% for %}", "{# #}"),
    *("a\nimport os", "\r\nx", "x\ry", "\u2028import os", "\u2029x", "x\x85y", "x\x00y", "\t", "\x0c", "\x7f"),
    *("\u202eevil", "\u2066x\u2069", "\u200fx", "\u061cx", "x\u200b", "\ufeffx", "\x1b[31mred", "\x9b2J", "\x1b]8;;http://x\x07"),
    *("\ud800", "\udc00x", "\ud83d\udca3", "\U0001f4a3", "\ue000", "\ufffe", "\U000e0041"),
    *("../../etc/passwd", "a/b", "..", "/", "C:\\x", "~", "-", "--help", "file:///etc/passwd"),
    *("::error::owned", "%0A::set-output name=x::y", "x\n::warning::y", "##[error]x", "::stop-commands::x"),
    *("]]><script>alert(1)</script>", '" onload="alert(1)', "<!--", "&lt;&#x26;", "<g/>", "</title>"),
    *('"]; click a "javascript:x"', "a --> b", "%%{init: {}}%%", "end", "#quot;"),
    *("!!python/object/apply:os.system [id]", "!tag x", "&a", "*a", "<<", "%YAML 1.1", "---", "null", "1e999", "0x10", "~x"),
    *("__class__", "__import__('os').system('true')", "x;y", "x): pass\n", "lambda: 0", "x = 1", "a.b", "a-b", "x, y"),
    *("eval", "exec", "os", "self", "torch", "class", "None", "F", "w", "math", "input", "__builtins__", "match", "_"),
    *("$x.__class__", "${__import__}", "${1 .real}", "${x.__class__}", "${9**9**9}", "$z", "$z.99", "$", "${"),
    *("\u0430bc", "ｅｖａｌ", "ﬁ", "ª", "𝐞𝐯𝐚𝐥", "é", "e\u0301", "x" * 65, "x" * 5000),
)  # fmt: skip
HARMLESS = "qjqj"
PLACES = [(document, place) for document, found in bases() for place in found]
CASES = [
    pytest.param(*one, id=f"{one[1].slot.removeprefix('#/')} in {one[1].path[0]}") for one in PLACES if one[1].path
]


def test_no_slot_of_the_schema_is_missed() -> None:
    assert slots() - {place.slot for _, place in PLACES} == set()
    assert len(slots()) > 700


def test_the_texts_are_injected_as_they_are() -> None:
    for one in HOSTILE:
        if not re.search("[\ud800-\udfff]", one):
            assert yaml.safe_load(text({one[:900]: [one]})) == {one[:900]: [one]}


def replaced(value: Any, path: tuple[Any, ...], is_key: bool, new: str) -> Any:
    """The document with the text at this place."""
    if not path:
        return new
    head, *rest = path
    if isinstance(value, dict):
        if is_key and not rest:
            return {new if key == head else key: one for key, one in value.items()}
        return {key: replaced(one, tuple(rest), is_key, new) if key == head else one for key, one in value.items()}
    return [replaced(one, tuple(rest), is_key, new) if k == head else one for k, one in enumerate(value)]


def renamed(value: Any, old: str, new: str) -> Any:
    """The document with another text wherever this one stands, also as `$name` and in expressions."""
    if isinstance(value, dict):
        return {renamed(key, old, new): renamed(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, old, new) for one in value]
    if not isinstance(value, str) or value == old:
        return new if value == old else value
    return re.sub(rf"(?<![\w.]){re.escape(old)}(?!\w)", lambda _: new, value) if value.startswith("$") else value


def variants(document: Any, place: Place, new: str) -> Iterator[Any]:
    """The document with the text in this place; and wherever what stood there stood, so that references still hold."""
    yield replaced(document, place.path, place.is_key, new)
    old = place.path[-1] if place.is_key else functools.reduce(lambda value, key: value[key], place.path, document)
    if isinstance(old, str) and re.fullmatch(r"\w+", old):
        yield renamed(document, old, new)


WORDS = {*STEPS, *(section.name for section in SECTIONS), "$z"}


def unsigned(source: str) -> str:
    """A module without the checksum of its spec."""
    return re.sub(r"\b[0-9a-f]{64}\b", "", source)


def harmless_or_refused(document: Any, place: Place, hostile: str) -> None:
    length = len(hostile) if hostile.isidentifier() else 4
    pairs = zip(variants(document, place, hostile), variants(document, place, "qj" * length), strict=True)
    for injected, _ in pairs:
        spec = text(injected)
        found = deqc.check(spec)
        quiet(found, spec)
        if any(one.severity is Severity.ERROR for one in found):
            continue
        made = compile_text(spec, "<spec>")
        if injected == document:  # it says what it said before
            continue
        neutral = ("qj" * length)[:length]
        plain = [text(one) for one in variants(document, place, neutral)]
        index = [text(one) for one in variants(document, place, hostile)].index(spec)
        if any(one.severity is Severity.ERROR for one in deqc.check(plain[index])):
            # a word of the language means what it says; a default that every call replaces is read by nobody
            assert hostile in WORDS or unsigned(made.source) == unsigned(deqc.compile(text(document)))
            continue
        same_but_for(deqc.compile(plain[index]), made.source, neutral, hostile)
        shown_quietly(made, spec)


@pytest.mark.parametrize(("document", "place"), CASES)
def test_some_texts_in_every_slot(document: Any, place: Place) -> None:
    for hostile in random.Random(repr(place)).sample(HOSTILE, 2):
        harmless_or_refused(document, place, hostile)


@pytest.mark.slow
@pytest.mark.parametrize(("document", "place"), CASES)
def test_every_text_in_every_slot(document: Any, place: Place) -> None:
    for hostile in HOSTILE:
        harmless_or_refused(document, place, hostile)


DENSE = {"deqc": 1, "name": "Model", "input": {"x": [4]}, "scale": [4], "main_layers": [{"linear": 4}, "tanh"]}


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_every_text_as_a_description(hostile: str) -> None:
    document = {**DENSE, "description": "words"}
    harmless_or_refused(document, Place(("description",), False, ""), hostile)


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
@pytest.mark.parametrize("path", [("name",), ("input", "x")], ids=["model", "input"])
def test_every_text_as_a_name(path: tuple[str, ...], hostile: str) -> None:
    harmless_or_refused(DENSE, Place(path, len(path) > 1, ""), hostile)


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_every_text_as_a_comment_and_without_escapes(hostile: str) -> None:
    raw = hostile.encode("utf-8", errors="replace").decode()
    spec = f"# {raw}\n{text(DENSE)}"
    found = deqc.check(spec)
    quiet(found, spec)
    if not any(one.severity is Severity.ERROR for one in found):
        laid_out = format_text(spec, "<spec>")
        assert printable(laid_out.replace("\t", " "))
        assert yaml.safe_load(laid_out) == yaml.safe_load(spec)


def shown_quietly(made: Compilation, spec: str) -> None:
    """Reports and pictures of a model show its texts and nothing else."""
    drawn = scene(made)
    for shown in (explain(made, ir=True), mermaid(drawn), made.source, format_text(spec, "<spec>")):
        assert printable(shown), shown
    picture = svg(drawn)
    assert printable(picture)
    elements = list(Tree.fromstring(picture).iter())
    assert {one.tag.rpartition("}")[2] for one in elements} <= ELEMENTS
    assert not any(name.startswith("on") or "href" in name for one in elements for name in one.attrib)
    for line in mermaid(drawn).splitlines():
        assert not re.match(r"\s*(click|%%\{|style|class|link)", line)


ELEMENTS = {"svg", "title", "desc", "style", "defs", "marker", "path", "polyline", "rect", "text", "tspan", "g", "line"}


def printable(shown: str) -> bool:
    """Lines and tabs, and what Python calls printable or Unicode leaves to private use."""
    return all(one.isprintable() or one in "\n\t" or unicodedata.category(one) == "Co" for one in shown)


def quiet(found: list[deqc.Diagnostic], spec: str) -> None:
    """Diagnostics in every form hold no control characters but line ends, and one command of GitHub a line."""
    github = render_github(found)
    for shown in (render_text(found, {"<spec>": spec}), github, "\n".join(map(str, found))):
        assert printable(shown), shown
    assert len(github.splitlines()) == len(found)
    assert all(line.startswith(("::error file=", "::warning file=", "::notice file=")) for line in github.splitlines())
    for shown in (render_json(found), render_sarif(found)):
        assert shown.isascii()
        assert printable(shown)
        json.loads(shown)
