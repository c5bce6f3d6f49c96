"""A piece of a canonical document in the words of the language, short: what `deqc diff` and `deqc graph` show."""

from __future__ import annotations

import json
from typing import Any

from deqc.fields import Kind
from deqc.ops import STEPS


def text(value: Any) -> str:
    """A piece of a canonical document as a spec would write it, without what is the default."""
    if is_chain(value):
        steps = [_step(step) for step in value]
        return steps[0] if len(steps) == 1 else f"[{', '.join(steps)}]"
    if isinstance(value, list):
        return _step(value) if is_step(value) else f"[{', '.join(map(text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {text(one)}' for key, one in value.items())}}}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def is_step(value: Any) -> bool:
    """Whether it is one step: a reference, or a name with fields."""
    if isinstance(value, str):
        return value.startswith("$") and not value.startswith("${")
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)


def is_chain(value: Any) -> bool:
    """Whether it is a computation."""
    return isinstance(value, list) and bool(value) and all(map(is_step, value))


def _step(step: Any) -> str:
    if isinstance(step, str):
        return step
    name, fields = step
    defaults = {one.name: one for one in STEPS[name].fields} if name in STEPS else {}
    said = {key: value for key, value in fields.items() if not _is_default(defaults.get(key), value)}
    if not said:
        return str(name)
    principal = STEPS[name].principal if name in STEPS else None
    if list(said) == [principal]:
        return f"{{{name}: {text(said[principal])}}}"
    return f"{{{name}: {text(said)}}}"


def _is_default(field: Any, value: Any) -> bool:
    if field is None:
        return value is None
    if field.kind is Kind.COMPUTATION and isinstance(field.default, str):
        return bool(value == [[field.default, {}]])
    return bool(value == field.default)
