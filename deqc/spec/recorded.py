"""The setting `record` of the solver: the numbers of steps after which the state is kept."""

from __future__ import annotations

from deqc.diagnostics import Problems, Span
from deqc.spec.tree import Node, Scalar, Sequence

_BEGINS_ANEW = "cascade"


def recorded(node: Node, key: Span, method: str, max_steps: object, problems: Problems) -> tuple[int, ...]:
    """The numbers in ascending order, none above `max_steps`; what is wrong is a diagnostic."""
    if method == _BEGINS_ANEW:
        message = f"{method} has nothing to record: it runs several solvers, and each begins anew"
        problems.add("E087", key, message, hint="use one solver, such as newton, or remove it")
    last, numbers = 0, list[int]()
    for one in node.items if isinstance(node, Sequence) else ():
        number = one.value if isinstance(one, Scalar) else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            continue  # that has been told
        if number <= last:
            message = f"{number} does not come after {last}"
            problems.add("E087", one.span, message, expected="numbers of steps in ascending order")
        elif isinstance(max_steps, int) and number > max_steps:
            message = f"there is no state after {number} steps: the solve takes at most {max_steps}"
            problems.add("E087", one.span, message, hint=f"record an earlier one, or let it take `max_steps: {number}`")
        numbers.append(number)
        last = max(last, number)
    return tuple(numbers)
