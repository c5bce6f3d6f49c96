"""Good specs with some tokens deleted, moved or replaced: deqc answers with diagnostics or a module, nothing else."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

import deqc
from deqc.cli.render import render_text
from deqc.diagnostics import Severity

EXAMPLES = sorted((Path(__file__).parent.parent / "examples" / "specs").glob("*.yaml"))
TOKENS = re.compile(r"\$\{[^}]*\}|\$?[A-Za-z_][\w.]*|\d+(?:\.\d+)?|[\[\]{},:\"-]|\s+|.")
WORDS = "null true -1 0 3.0 1e400 [] {} [[]] [null] '' ~ 'x' $z.99 $z.-1 ${1/0} ${in.size} {each:tanh} {tanh:{}} step"
SURPRISES = WORDS.split(" ")


def mutated(text: str, rng: random.Random) -> str:
    tokens = TOKENS.findall(text)
    pool = [*tokens, *SURPRISES]
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        here, there = rng.randrange(len(tokens)), rng.randrange(len(tokens))
        match rng.randrange(5):
            case 0:
                tokens[here] = rng.choice(pool)
            case 1:
                tokens[here] = ""
            case 2:
                tokens.insert(here, rng.choice(pool))
            case 3:
                tokens[here], tokens[there] = tokens[there], tokens[here]
            case _:
                tokens[there:there] = tokens[here : here + rng.randrange(1, 12)]
    return "".join(tokens)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.stem for example in EXAMPLES])
def test_a_mutated_spec_is_answered(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    rng = random.Random(example.stem)
    for _ in range(25):
        spec = mutated(text, rng)
        found = deqc.check(f"{spec}\n")
        lines = f"{spec}\n".split("\n")
        for diagnostic in found:
            assert 1 <= diagnostic.span.line <= len(lines), spec
            assert 1 <= diagnostic.span.column <= len(lines[diagnostic.span.line - 1]) + 1, spec
        render_text(found, {"<spec>": spec})
        if any(diagnostic.severity is Severity.ERROR for diagnostic in found):
            with pytest.raises(deqc.SpecError):
                deqc.compile(f"{spec}\n")
        else:
            compile(deqc.compile(f"{spec}\n"), "<module>", "exec")
