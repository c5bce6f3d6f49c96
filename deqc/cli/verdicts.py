"""What `deqc verify` says of a module: as tables, and as a document for programs."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Final

from deqc.cli.solutions import aligned, finite, number, sample, subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deqc.cli.given import Given
    from deqc.compiler import Compilation
    from deqc.verification import Verification

_LEFT: Final = frozenset({0, 3, 4})


def table(compilation: Compilation, found: Verification, given: Given) -> str:
    """What was verified, the checks, the spectrum of df/dz, and what solving took."""
    parts = [
        [f"{compilation.spec.name}, {given}", *_facts(compilation, found)],
        aligned([("check", "error", "limit", "", ""), *_checks(found)], _LEFT),
        aligned(list(_spectrum(found)), frozenset({0, 3})),
        aligned([("cost, of the sample with most", "steps", "f", "products"), *_costs(found)], frozenset({0})),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _facts(compilation: Compilation, found: Verification) -> Iterator[str]:
    """How much is solved, and how it is differentiated."""
    from deqc.emit.render import adjoint_text

    shown = "sample" if len(found.samples) == 1 else "samples"
    time = compilation.plan.solver.time
    way = "" if time is None else f" from t = {time.start} to {time.stop},"
    yield f"{len(found.samples)} {shown} of {found.size} numbers,{way} in float64 and eval mode"
    yield f"adjoint {adjoint_text(compilation.plan.adjoint)}: {found.exactness}"


def _checks(found: Verification) -> Iterator[tuple[str, ...]]:
    for one in found.checks:
        error, limit = ("" if value is None else number(value) for value in (one.error, one.limit))
        yield one.name, error, limit, one.verdict, one.remark


def _spectrum(found: Verification) -> Iterator[tuple[str, ...]]:
    spectrum = found.spectrum
    if spectrum is None:
        return
    yield "df/dz at z*" if spectrum.abscissa is None else "df/dz - I at the end", "worst", "median", ""
    how = "eigenvalues" if spectrum.dense else "estimated by products alone: the state is large"
    yield "spectral radius", f"{max(spectrum.radius):.3f}", f"{median(spectrum.radius):.3f}", how
    if spectrum.abscissa is not None:
        yield "spectral abscissa", f"{max(spectrum.abscissa):.3f}", f"{median(spectrum.abscissa):.3f}", how
    if spectrum.distance:
        least, middle = min(spectrum.distance), median(spectrum.distance)
        yield "distance of I - df/dz from singular", f"{least:.1e}", f"{middle:.1e}", "smallest singular value"


def _costs(found: Verification) -> Iterator[tuple[str, ...]]:
    steps, products = (max(getattr(one, name) for one in found.samples) for name in ("steps", "njvp"))
    yield "solve", str(steps), str(found.calls), str(products)
    if found.backward is not None:
        yield "backward solve", str(found.backward.steps), str(found.backward.calls or ""), str(found.backward.products)


def document(compilation: Compilation, found: Verification, given: Given) -> str:
    """All that is known, as `schemas/verify-1.schema.json` describes it."""
    spectrum, backward, time = found.spectrum, found.backward, compilation.spec.solver.time
    content = {
        **subject(compilation, given),
        "good": found.good,
        "size": found.size,
        "time": time and {"start": time.start, "stop": time.stop, "saveat": list(time.saveat)},
        "adjoint": found.exactness,
        "checks": [
            {
                "name": one.name,
                "verdict": one.verdict,
                "error": finite(one.error),
                "limit": one.limit,
                "remark": one.remark,
            }
            for one in found.checks
        ],
        "gradients": [
            {
                "name": one.name,
                "norm": finite(one.norm),
                "error": finite(one.error),
                "error_as_set": finite(one.error_as_set),
            }
            for one in found.gradients
        ],
        "spectrum": spectrum
        and {
            "dense": spectrum.dense,
            "radius": list(spectrum.radius),
            "distance": spectrum.distance and list(spectrum.distance),
            "abscissa": spectrum.abscissa and list(spectrum.abscissa),
        },
        "calls": found.calls,
        "samples": [sample(one) for one in found.samples],
        "backward": backward and {"steps": backward.steps, "calls": backward.calls, "products": backward.products},
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
