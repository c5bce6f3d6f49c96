"""Steps that do not exist, and what was probably meant by them."""

from __future__ import annotations

from deqc.diagnostics import Span
from deqc.ops import STEPS
from deqc.settings import SECTIONS, planned
from deqc.spec import intended
from deqc.spec.aliases import said_of_weights
from deqc.spec.availability import not_available
from deqc.spec.names import did_you_mean
from deqc.spec.places import covered
from deqc.spec.reader import Reader

_ELSEWHERE = {
    "step": "`step` stands alone: `init: step`",
    "each": "`each` goes with `scales:`; with `scale:` there is one computation",
    **dict.fromkeys(("None", "none", "nil", "NULL"), "write `null`"),
    "same": "a rule goes with `scales:`, in `mapping_layers`",
    "z": "`$z` reads the state",
    "activation": "an activation is a step by its own name, such as `relu`",
    **dict.fromkeys(("Sequential", "sequential"), "a chain is a list of its steps: `[…, …]`"),
    **dict.fromkeys(
        ("int", "number", "bool", "value"), "the type of a block's parameter is written in full: `{type: …}`"
    ),
    **{
        one.name: f"`{one.name}` is a section of its own, at the start of a line"
        for one in SECTIONS
        if one.name not in ("scale", "input")
    },
}


def unknown_step(name: str, span: Span, reader: Reader) -> None:
    """Reports a step that does not exist, with what was probably meant."""
    if planned("step", name):
        reader.problems.add("E025", span, not_available(name))
        return
    if covered(reader.problems, span):  # a tag, or a colon without a space
        return
    known = [*STEPS, *reader.signatures, *reader.modules]
    head, colon, tail = name.replace("\uff1a", ":").partition(":")
    near = did_you_mean(name, known)
    if name.startswith("-"):
        hint = f"write a space after the dash: `- {name.split()[0][1:] or '…'}`"
    elif colon and head in known:
        hint = f"write a space after the colon: `{{{head}: {tail.strip() or '…'}}}`"
    elif name in reader.values:
        hint = f"`${name}` reads the value {name}"
    elif name in reader.constants:
        hint = f"`${{{name}}}` reads the number {name}"
    elif (said := said_of_weights(name)) is not None:
        hint = f"it is said of a layer, by a field: `{{linear: {{out: …, {said}}}}}`"
    elif name in _ELSEWHERE:
        hint = _ELSEWHERE[name]
    elif called := intended.step(name, known):
        hint = f"write `{called}`"
    elif several := intended.steps(name, known):
        hint = f"steps are the entries of a list: write `{several}` in `[…]`"
    else:
        hint = f"did you mean '{near}'?" if near else "a step is an op or one of the spec's `blocks`"
    reader.problems.add("E042", span, f"there is no step '{name}'", hint=hint)
