"""No text makes deqc fail: specs drawn from the schema, and good specs changed as texts and as documents."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import from_schema, mutation
from tests.fuzz.answer import answered

QUICK = 100  # tries of each kind in every run
PART = 1000  # tries in one part of the long run
PARTS = 5  # of each kind: 15,000 tries in all


def written(documents: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    """The documents as text, in one of the styles in which YAML writes them."""

    def dump(document: object, flow: bool | None) -> str:
        return yaml.safe_dump(document, sort_keys=False, width=10**6, default_flow_style=flow, allow_unicode=True)

    return st.builds(dump, documents, st.sampled_from((None, True, False)))


KINDS = {
    "schema": written(from_schema.documents()),
    "text": mutation.texts(),
    "document": written(mutation.documents()),
}


def tried(kind: str, count: int, part: int) -> tuple[int, int]:
    """How many different texts were tried and how many of them compile."""
    seen: dict[str, bool] = {}

    @seed(part)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(KINDS[kind])
    def test(text: str) -> None:
        seen[text] = False
        seen[text] = answered(text)

    test()
    return len(seen), sum(seen.values())


@pytest.mark.parametrize("kind", KINDS)
def test_any_spec_is_answered(kind: str) -> None:
    tries, compiled = tried(kind, QUICK, 0)
    assert tries >= 0.9 * QUICK
    assert compiled


@pytest.mark.slow
@pytest.mark.parametrize("part", range(1, PARTS + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_specs_are_answered(kind: str, part: int, capsys: pytest.CaptureFixture[str]) -> None:
    tries, compiled = tried(kind, PART, part)
    with capsys.disabled():
        print(f"\n{kind}, part {part}: {tries} tries, {compiled} of them compile")
    assert tries >= 0.9 * PART
