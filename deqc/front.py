"""The first stages of the compiler: what a spec says and means. All that is wrong with it is found here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from deqc.choose import choose
from deqc.diagnostics import Diagnostic, Problems, SpecError
from deqc.lower import lower
from deqc.spec.build import build
from deqc.spec.loader import compose
from deqc.spec.meant import sections_as_meant
from deqc.spec.model import Number, Spec
from deqc.spec.overlay import with_solver
from deqc.spec.tree import Mapping as Tree
from deqc.spec.validate import validate

NONE: Mapping[str, Number] = MappingProxyType({})


def check_text(
    text: str, file: str, constants: Mapping[str, Number] = NONE, settings: Tree | None = None
) -> list[Diagnostic]:
    """All that is wrong or doubtful in a spec, in reading order; checks as much as `compile_text` does."""
    problems = Problems()
    try:
        spec = read_spec(text, file, constants, problems, settings)
        lowered = lower(spec, problems)
        if lowered is not None:
            choose(spec, lowered, problems)
    except SpecError as error:
        return list(error.diagnostics)
    return list(problems.sorted())


def read_spec(
    text: str, file: str, constants: Mapping[str, Number], problems: Problems, settings: Tree | None = None
) -> Spec:
    """The spec that a text holds; `constants` replace its own, and `settings` of the solver go before its own.

    Raises:
        SpecError: it holds none; every mistake found so far.
    """
    root = compose(text, file, problems)
    if root is None:
        problems.raise_errors()
    assert root is not None
    root = sections_as_meant(root, problems)
    if settings is not None:
        root = with_solver(root, settings)
    validate(root, problems)
    spec = build(root, problems, constants)
    if spec is None:
        problems.raise_errors()
    assert spec is not None
    return spec  # where there are errors all the same, lowering still adds those of the shapes
