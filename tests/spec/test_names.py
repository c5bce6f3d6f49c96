"""Names: what may be one, what is reserved, and what was probably meant."""

from __future__ import annotations

import keyword

import pytest

from deqc.diagnostics import Problems, Span
from deqc.spec.names import MODULE_NAMES, RESERVED, check_name, did_you_mean

SPAN = Span("f", 1, 1, 1, 2)


def refusal(name: str, path: bool = False) -> str | None:
    problems = Problems()
    good = check_name(name, SPAN, "a block", problems, path=path)
    assert good is (not problems.found)
    return None if good else problems.found[0].code


@pytest.mark.parametrize("name", ["x", "W", "inject", "dense2", "a_b", "x" * 64, "weight", "in_", "linear"])
def test_good_names(name: str) -> None:
    assert refusal(name, path=True) is None


@pytest.mark.parametrize(
    "name", ["", "_x", "2x", "a-b", "a b", "a.b", "é", "x²", "ﬁ", "x\n", "x\0", "$x", "x" * 65, "х", "a" * 10000]
)
def test_malformed_names(name: str) -> None:
    assert refusal(name) == "E040"


@pytest.mark.parametrize(
    "name", ["in", "from", "match", "type", "self", "z", "z0", "torch", "f", "scale", "to", "true", "min"]
)
def test_reserved_names(name: str) -> None:
    assert refusal(name) == "E041"


def test_names_of_torch_modules_are_refused_only_in_paths() -> None:
    assert refusal("children") is None
    assert refusal("children", path=True) == "E041"


def test_the_hint_is_a_good_name() -> None:
    for name in ["a-b", "2x", "in", "z", "my block"]:
        problems = Problems()
        assert not check_name(name, SPAN, "a block", problems)
        hint = problems.found[0].hint
        assert hint is not None
        assert refusal(hint.removeprefix("write '").removesuffix("'")) is None, hint


def test_every_keyword_of_this_python_is_reserved() -> None:
    assert set(keyword.kwlist) <= RESERVED
    assert set(keyword.softkwlist) - {"_"} <= RESERVED


def test_every_name_that_torch_modules_own_is_known() -> None:
    nn = pytest.importorskip("torch.nn")
    owned: set[str] = set(nn.Module.__annotations__)
    for module in (nn.Module(), nn.ModuleList(), nn.ModuleDict()):
        owned.update(dir(module))
    assert {name for name in owned if not name.startswith("_")} <= MODULE_NAMES


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("linaer", "linear"),
        ("Linear", "linear"),
        ("LINEAR", "linear"),
        ("layernorm", "layer_norm"),
        ("layer-norm", "layer_norm"),
        ("tahn", "tanh"),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_did_you_mean(name: str, meant: str | None) -> None:
    assert did_you_mean(name, ["tanh", "linear", "layer_norm", "conv2d"]) == meant


def test_did_you_mean_does_not_depend_on_the_order_of_candidates() -> None:
    candidates = ["ab1", "AB1", "ab-1", "ab_1"]
    assert {did_you_mean("ab", order) for order in (candidates, candidates[::-1])} == {did_you_mean("ab", candidates)}


def test_did_you_mean_takes_no_time_on_endless_names() -> None:
    assert did_you_mean("x" * 1_000_000, ["linear"]) is None
