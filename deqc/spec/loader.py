"""YAML text to a tree in which every node knows where it stands.

The text is read as PyYAML's events, never as its objects: values are those of YAML 1.2's core schema, keys are unique
texts, and tags, merge keys and unbounded aliases are refused. Nesting is counted on events, before PyYAML's scanner is
asked for more, whose time grows with the square of the depth.
"""

from __future__ import annotations

from deqc.diagnostics import Problems
from deqc.spec.composer import Composer
from deqc.spec.events import StopReading
from deqc.spec.text import check_text
from deqc.spec.tree import Mapping


def load(text: str, file: str) -> Mapping:
    """The tree of a spec; raises SpecError with everything that is wrong with the text as YAML."""
    problems = Problems()
    root = compose(text, file, problems)
    problems.raise_errors()
    assert root is not None, "without a tree there are diagnostics"
    return root


def compose(text: str, file: str, problems: Problems) -> Mapping | None:
    """The tree of a spec, as far as it can be read; None where reading had to stop.

    A value that is refused stands in the tree as null, at its place; of two equal keys the first stands.
    """
    checked = check_text(text, file, problems)
    if checked is None:
        return None
    try:
        return Composer(checked, file, problems).document()
    except StopReading:
        return None
