"""What a JSON Schema validator finds, said as diagnostics: one for each cause, at the right place."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import Any

from deqc.diagnostics import Problems, Related
from deqc.ops import STEPS
from deqc.spec import availability
from deqc.spec.expected_keys import Keys
from deqc.spec.names import did_you_mean
from deqc.spec.places import Path, covered, entry_at, example, node_at, shown
from deqc.spec.step_hints import named_output
from deqc.spec.tree import Mapping, Node, Scalar, Sequence
from deqc.spec.value_hints import of_linear_solver, value_hint

_CODES = {
    "minimum": "E023",
    "exclusiveMinimum": "E023",
    "maximum": "E023",
    "exclusiveMaximum": "E023",
    "maxLength": "E023",
    "enum": "E024",
    "const": "E024",
    "minItems": "E026",
    "maxItems": "E026",
    "minProperties": "E026",
}


@dataclass(frozen=True)
class Finding:
    """One violation: the path into the document, the schema's keyword and value, the schema around it, its message."""

    path: Path
    keyword: str
    rule: Any
    schema: Map[str, Any]
    message: str | None


def report(root: Mapping, findings: Iterable[Finding], problems: Problems) -> None:
    """Adds a diagnostic for each cause, in reading order; what follows from another mistake is left out."""
    section = root.get("blocks")
    ordered = sorted(findings, key=lambda finding: len(finding.path))
    taken = {entry.name for entry in section if entry.name in STEPS} if isinstance(section, Mapping) else set()
    crowded = {finding.path for finding in ordered if finding.keyword == "maxProperties" and finding.message is None}
    reporter = _Reporter(root, problems)
    keys: dict[Path, list[Finding]] = {}
    for finding in ordered:
        if any(finding.path[: len(path)] == path and finding.path != path for path in crowded):
            continue
        if taken.intersection(finding.path[2 if finding.path[:1] == ("blocks",) else 1 :]):
            continue  # a block may not have the name of a step; that its uses do not fit the step follows
        if finding.keyword in ("additionalProperties", "required"):
            keys.setdefault(finding.path, []).append(finding)
        else:
            reporter.report(finding)
    for path, several in keys.items():
        reporter.keys(path, several)


class _Reporter:
    def __init__(self, root: Mapping, problems: Problems) -> None:
        self._root = root
        self._problems = problems

    def report(self, finding: Finding) -> None:
        """The diagnostic of one finding."""
        node = node_at(self._root, finding.path)
        if covered(self._problems, node.span) or availability.of_another_method(self._root, finding.path):
            return
        if finding.keyword == "not":
            self._refused(finding, node)
        elif finding.keyword == "maxProperties" and finding.message is None and isinstance(node, Mapping):
            self._several_names(finding.path, node)
        elif finding.message is None:
            self._empty(finding, node)
        else:
            self._value(finding, node, finding.message)

    def _value(self, finding: Finding, node: Node, message: str) -> None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, str) and availability.is_planned_value(finding.path, value):
            words = [word for word in finding.rule if word is not None] if finding.keyword == "enum" else []
            available = f"; available: {', '.join(words)}" if words else ""
            self._problems.add("E025", node.span, f"{availability.not_available(value)}{available}")
            return
        choices = [word for word in finding.rule if isinstance(word, str)] if finding.keyword == "enum" else []
        hint = value_hint(self._root, finding.path, node, message, choices)
        if hint is None and choices and choices[0] not in message:
            hint = f"one of {', '.join(choices)}"
        self._problems.add(_CODES.get(finding.keyword, "E022"), node.span, f"{message}, found {shown(node)}", hint=hint)

    def _refused(self, finding: Finding, node: Node) -> None:
        message, span = finding.message or "this may not stand here", node.span
        related: list[Related] = []
        code = "E028" if "chain" in message else "E022"
        if finding.path == ("scale",):
            first, second = entry_at(self._root, ("scale",)), entry_at(self._root, ("scales",))
            if first is not None and second is not None:
                code, span, related = "E031", first.key.span, [Related(second.key.span, "`scales` is written here")]
        op = STEPS.get(str(finding.path[-1])) if finding.path else None
        required = [field.name for field in op.fields if field.required] if op is not None else []
        hint = f"write `{example(op.name, required)}`" if op is not None and message.startswith(f"{op.name} ") else None
        self._problems.add(code, span, message, hint=hint, related=related)

    def _empty(self, finding: Finding, node: Node) -> None:
        if isinstance(node, Sequence):
            message, hint = "an empty chain: a computation has at least one step", "write `identity` to change nothing"
        else:
            message, hint = "an empty step", "write its name, such as `tanh`"
        self._problems.add(_CODES.get(finding.keyword, "E022"), node.span, message, hint=hint)

    def _several_names(self, path: Path, node: Mapping) -> None:
        first, *others = node
        place = others[0]
        known = [entry for entry in node if entry.name in STEPS or self._is_block(entry.name)]
        strange = [entry for entry in node if entry not in known]
        if len(known) == 1:  # what is beside it is the mistake, on either side
            place = strange[0]
        hint = "write each step as an entry of its own in the list"
        if len(known) == 1 and did_you_mean(place.name, STEPS) is None:
            hint = f"'{place.name}' is neither a step nor a field of '{known[0].name}': remove it"
        op = STEPS.get(first.name)
        if op is not None and {entry.name for entry in others} <= {field.name for field in op.fields}:
            if isinstance(first.value, Scalar) and first.value.value is None:
                hint = f"the fields of '{first.name}' have to be indented further than its name"
            else:
                inside = [name for name in (op.principal, *(entry.name for entry in others)) if name is not None]
                hint = f"write the fields inside: {example(first.name, inside)}"
        hint = named_output(self._root, path) or hint
        names = ", ".join(f"'{entry.name}'" for entry in node)
        self._problems.add("E029", place.key.span, f"a step has one name, found {names}", hint=hint)

    def _is_block(self, name: str) -> bool:
        section = self._root.get("blocks")
        return isinstance(section, Mapping) and section.entry(name) is not None

    def keys(self, path: Path, findings: list[Finding]) -> None:
        """The diagnostics of what is unknown or missing in one mapping."""
        node = node_at(self._root, path)
        if not isinstance(node, Mapping):
            return
        allowed = max((list(finding.schema.get("properties", {})) for finding in findings), key=len)
        if of_linear_solver(self._root, path):
            return
        closed = any(finding.keyword == "additionalProperties" for finding in findings)
        required = dict.fromkeys(name for finding in findings for name in finding.schema.get("required", ()))
        Keys(self._root, path, node, allowed, list(required), self._problems).report(closed)
