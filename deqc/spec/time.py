"""The section `time` of a neural ODE."""

from __future__ import annotations

from deqc.diagnostics import Problems
from deqc.settings import TIME
from deqc.spec.model import Time
from deqc.spec.tree import Mapping, Node, Scalar, Sequence


def time(node: Node | None, problems: Problems) -> Time | None:
    """When the neural ODE begins and ends; None after a diagnostic."""
    written = node if isinstance(node, Mapping) else None
    values = {one.name: one.default for one in TIME}
    if written is not None:
        values |= {e.name: e.value.value for e in written if e.name in values and isinstance(e.value, Scalar)}
    start, stop = values["start"], values["stop"]
    saved = written.get("saveat") if written is not None else None
    items = saved.items if isinstance(saved, Sequence) else ()
    times = [
        (float(one.value), one.span)
        for one in items
        if isinstance(one, Scalar) and isinstance(one.value, (int, float)) and not isinstance(one.value, bool)
    ]
    if problems.errors or not (isinstance(start, (int, float)) and isinstance(stop, (int, float))):
        return None
    entry = written.entry("stop") or written.entry("start") if written is not None else None
    if entry is not None and not start < stop:
        problems.add("E085", entry.value.span, f"time.stop is {stop:g}, and time.start {start:g}: no time passes")
        return None
    last = -float("inf")
    for at, span in times:
        if not start <= at <= stop:
            problems.add("E085", span, f"{at:g} lies outside of the time from {start:g} to {stop:g}")
        elif at <= last:
            problems.add("E085", span, f"{at:g} does not come after {last:g}", expected="times in ascending order")
        last = max(last, at)
    return Time(float(start), float(stop), str(values["dynamics"]), tuple(at for at, _ in times))
