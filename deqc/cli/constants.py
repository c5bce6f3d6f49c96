"""The constants of a configuration: it sets them for all specs, and each spec takes those that it declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import click

from deqc import sources
from deqc.cli.configuration import Configuration
from deqc.cli.options import Number
from deqc.cli.reading import Report, specs_of
from deqc.diagnostics import Diagnostic, Problems, Related, Severity, SpecError

if TYPE_CHECKING:
    from deqc.spec.tree import Mapping as Tree


@dataclass
class Constants:
    """What a configuration sets, and the names that specs were seen to declare."""

    settings: Configuration
    _seen: set[str] = field(default_factory=set)

    @property
    def values(self) -> Mapping[str, Number]:
        """Every constant that the configuration sets."""
        values: Mapping[str, Number] = self.settings.get("constants")
        return values

    def of(self, text: str) -> dict[str, Number]:
        """Those that the spec declares."""
        if not self.values:
            return {}
        from deqc.spec.loader import compose
        from deqc.spec.tree import Mapping as Tree

        root = compose(text, "", Problems())
        if root is None:  # what cannot be read may declare any of them
            self._seen.update(self.values)
            return {}
        section = root.get("constants")
        names = {entry.name for entry in section} if isinstance(section, Tree) else set()
        self._seen |= names
        return {name: value for name, value in self.values.items() if name in names}

    def traced(
        self,
        found: Iterable[Diagnostic],
        text: str,
        file: str,
        given: Mapping[str, Number],
        settings: Tree | None = None,
    ) -> list[Diagnostic]:
        """What was found in a spec with its constants, those that `given` sets on the call included.

        `settings` of the solver are as for `compile_text`.

        A mistake that is not there without a constant of the configuration names the line that sets it.
        """
        told = list(found)
        if not told:
            return told
        from deqc.front import check_text

        own = {name: value for name, value in self.of(text).items() if name not in given}
        lines: list[list[Related]] = [[] for _ in told]
        for name, value in own.items():
            others = {one: number for one, number in own.items() if one != name}
            without = check_text(text, file, {**others, **given}, settings)
            line = Related(self.settings.places[name], f"'{name}' is set to {str(value).lower()} here")
            for one, blamed in zip(told, lines, strict=True):
                if one not in without:
                    blamed.append(line)
        return [replace(one, related=(*one.related, *blamed)) for one, blamed in zip(told, lines, strict=True)]

    def tell_undeclared(self, report: Report) -> None:
        """Warns of each that is declared neither by a spec of this call nor by one that the configuration names."""
        from deqc.spec.names import did_you_mean

        self._look_further()
        for name in (one for one in self.values if one not in self._seen):
            near = did_you_mean(name, self._seen)
            choice = f"declared: {', '.join(sorted(self._seen))}" if self._seen else "the specs declare no constants"
            warning = Diagnostic(
                "N107",
                f"no spec declares the constant '{name}'",
                self.settings.places[name],
                hint=f"did you mean '{near}'?" if near else choice,
                severity=Severity.WARNING,
            )
            report.diagnostics.append(warning)

    def _look_further(self) -> None:
        """Reads the specs that the configuration names, where those of the call leave a constant over."""
        specs = self.settings.specs()
        if not specs or self._seen.issuperset(self.values):
            return
        try:
            for path in specs_of(specs, self.settings, only_specs=True):
                self.of(sources.read(path))
        except (OSError, SpecError, click.ClickException):  # what cannot be read may declare any of them
            self._seen.update(self.values)
