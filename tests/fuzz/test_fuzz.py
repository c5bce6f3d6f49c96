"""No text makes deqc fail: specs drawn from the schema, and good specs changed as texts and as documents."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import from_schema, mutation
from tests.fuzz.answer import answered

QUICK = 100  # tries of each kind in every run
LONG = 3400  # and in the long run, which has more than ten thousand in all


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


def tried(kind: str, count: int) -> tuple[int, int]:
    """How many specs were tried, and how many of them compile."""
    compiled: list[bool] = []

    @seed(count)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(KINDS[kind])
    def test(text: str) -> None:
        compiled.append(answered(text))

    test()
    return len(compiled), sum(compiled)


@pytest.mark.parametrize("kind", KINDS)
def test_any_spec_is_answered(kind: str) -> None:
    tries, compiled = tried(kind, QUICK)
    assert tries >= QUICK
    assert compiled


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_specs_are_answered(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    tries, compiled = tried(kind, LONG)
    with capsys.disabled():
        print(f"\n{kind}: {tries} tries, {compiled} of them compile")
    assert tries >= LONG
    assert 20 * compiled > tries, "next to nothing compiles: what is made of good specs is not tried"
