"""What a numerical method tells the schema, the documentation and the compiler about itself."""

from __future__ import annotations

from dataclasses import dataclass

from deqc.fields import Field


@dataclass(frozen=True)
class Description:
    """A solver, an adjoint method or a linear solver: its name, what it does with the source, and its own options.

    `max_steps` is the method's default for the setting of that name; None where the method takes no such setting.
    """

    name: str
    summary: str
    fields: tuple[Field, ...] = ()
    max_steps: int | None = 32

    @property
    def defaults(self) -> dict[str, object]:
        """The default of each of its own options."""
        return {field.name: field.default for field in self.fields}
