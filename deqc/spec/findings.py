"""What a JSON Schema validator finds, said as diagnostics: one for each cause, at the right place."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import Any

from deqc.diagnostics import Problems, Related, Span
from deqc.fields import Kind
from deqc.ops import STEPS
from deqc.spec import availability
from deqc.spec.names import did_you_mean
from deqc.spec.places import Path, covered, entry_at, node_at, shown
from deqc.spec.tree import Mapping, Node, Scalar, Sequence

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
    ordered = sorted(findings, key=lambda finding: len(finding.path))
    crowded = {finding.path for finding in ordered if finding.keyword == "maxProperties" and finding.message is None}
    reporter = _Reporter(root, problems)
    for finding in ordered:
        if not any(finding.path[: len(path)] == path and finding.path != path for path in crowded):
            reporter.report(finding)


class _Reporter:
    def __init__(self, root: Mapping, problems: Problems) -> None:
        self._root = root
        self._problems = problems
        self._keys_done: set[Path] = set()

    def report(self, finding: Finding) -> None:
        """The diagnostic of one finding."""
        node = node_at(self._root, finding.path)
        if finding.keyword in ("additionalProperties", "required"):
            if isinstance(node, Mapping) and finding.path not in self._keys_done:
                self._keys(finding, node)
            return
        if covered(self._problems, node.span):
            return
        if finding.keyword == "not":
            self._refused(finding, node)
        elif finding.keyword == "maxProperties" and finding.message is None and isinstance(node, Mapping):
            self._several_names(node)
        elif finding.message is None:
            self._empty(finding, node)
        else:
            self._value(finding, node, finding.message)

    def _value(self, finding: Finding, node: Node, message: str) -> None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, str) and availability.is_planned_value(finding.path, value):
            words = [word for word in finding.rule if word is not None] if finding.keyword == "enum" else []
            available = f"; available: {', '.join(words)}" if words else ""
            dimension = "the dimension name " if finding.keyword == "pattern" else ""
            message = f"{dimension}{availability.not_available(value)}{available}"
            self._problems.add("E025", node.span, message, hint="write a number" if dimension else None)
            return
        hint = None
        if finding.keyword == "enum" and isinstance(value, str):
            near = did_you_mean(value, [word for word in finding.rule if isinstance(word, str)])
            hint = f"did you mean '{near}'?" if near else None
        elif message.startswith("mapping_layers") or message.endswith("or {each: computation}"):
            hint = "with `scales:` a list has one entry for each scale"
        elif isinstance(node, Mapping) and "computations" in message:
            hint = "write a list: `[…, …]`"
        self._problems.add(_CODES.get(finding.keyword, "E022"), node.span, f"{message}, found {shown(node)}", hint=hint)

    def _refused(self, finding: Finding, node: Node) -> None:
        message, span = finding.message or "this may not stand here", node.span
        related: list[Related] = []
        code = "E028" if "chain" in message else "E022"
        if finding.path == ("scale",):
            first, second = entry_at(self._root, ("scale",)), entry_at(self._root, ("scales",))
            if first is not None and second is not None:
                code, span, related = "E031", first.key.span, [Related(second.key.span, "`scales` is written here")]
        self._problems.add(code, span, message, related=related)

    def _empty(self, finding: Finding, node: Node) -> None:
        if isinstance(node, Sequence):
            message, hint = "an empty chain: a computation has at least one step", "write `identity` to change nothing"
        else:
            message, hint = "an empty step", "write its name, such as `tanh`"
        self._problems.add(_CODES.get(finding.keyword, "E022"), node.span, message, hint=hint)

    def _several_names(self, node: Mapping) -> None:
        first, *others = node
        hint = "write each step as an entry of its own in the list"
        op = STEPS.get(first.name)
        if op is not None and {entry.name for entry in others} <= {field.name for field in op.fields}:
            if isinstance(first.value, Scalar) and first.value.value is None:
                hint = f"the fields of '{first.name}' have to be indented further than its name"
            else:
                written = ", ".join(f"{entry.name}: …" for entry in others)
                hint = f"write the fields inside: {{{first.name}: {{{op.principal or 'field'}: …, {written}}}}}"
        names = ", ".join(f"'{entry.name}'" for entry in node)
        self._problems.add("E029", others[0].key.span, f"a step has one name, found {names}", hint=hint)

    def _keys(self, finding: Finding, node: Mapping) -> None:
        """Unknown and missing keys of one mapping: a key that was probably misspelt is not also missing."""
        self._keys_done.add(finding.path)
        allowed = list(finding.schema.get("properties", {}))
        closed = finding.schema.get("additionalProperties") is False
        written = [entry.name for entry in node]
        missing = [name for name in finding.schema.get("required", ()) if name not in written]
        owner = str(finding.path[-1]) if finding.path else "a spec"
        op = STEPS.get(owner)
        if op is not None and allowed != [field.name for field in op.fields]:
            op = None
        for entry in node:
            if not closed or entry.name in allowed:
                continue
            near = did_you_mean(entry.name, [name for name in allowed if name not in written])
            if near in missing:
                missing.remove(near)
            if (finding.path == () and near == "scale") or near == "scales":
                missing = [name for name in missing if name != "scale"]
            hint = f"did you mean '{near}'?" if near else None
            if availability.is_planned_key(finding.path, entry.name, op is not None):
                if op is not None and entry.name in ("weight",):  # takes the place of sizes
                    missing = []
                if not availability.follows_from_method(self._root, finding.path):
                    self._problems.add("E025", entry.key.span, availability.not_available(entry.name))
                continue
            if op is not None and op.principal is not None and near is None:
                kind = next(field.kind for field in op.fields if field.name == op.principal)
                if kind in (Kind.COMPUTATION, Kind.BRANCHES):
                    shape = f"{{{entry.name}: …}}"
                    hint = f"write `[{shape}]`" if kind is Kind.COMPUTATION else f"write `[{shape}, …]`"
                    missing = [name for name in missing if name != op.principal]
            expected = f"one of {', '.join(allowed)}" if hint is None and allowed else None
            self._problems.add(
                "E020",
                entry.key.span,
                f"{owner} has no {_part(finding.path, op)} '{entry.name}'",
                expected=expected,
                hint=hint,
            )
        for name in missing:
            self._missing(finding.path, node, owner, name, op is not None)

    def _missing(self, path: Path, node: Mapping, owner: str, name: str, step: bool) -> None:
        entry = entry_at(self._root, path)
        span = entry.key.span if entry is not None else _start(node)
        if path == () and name == "scale":
            self._problems.add(
                "E021", span, "a spec needs 'scale' or 'scales'", hint="write the shape of the state: `scale: [64]`"
            )
            return
        hint = f"write `{{{owner}: {{{name}: …}}}}`" if step else None
        self._problems.add("E021", span, f"{owner} needs '{name}'", hint=hint)


def _part(path: Path, op: object) -> str:
    return (
        "field"
        if op is not None
        else "section"
        if path == ()
        else "setting"
        if path[0] in ("solver", "adjoint")
        else "key"
    )


def _start(node: Mapping) -> Span:
    """Where the document starts: its first key."""
    return node.entries[0].key.span if node.entries else node.span
