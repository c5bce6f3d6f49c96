"""The comparison of modules that other tests rest on takes a renaming, and nothing else."""

from __future__ import annotations

import pytest

from tests.renaming import OtherCodeError, same_but_for

MODULE = '''
"""A model of plainname."""
from torch import Tensor
class Weights(NamedTuple):
    plainname: Tensor
    weight: Tensor
def f(z: Tensor, w: Weights) -> Tensor:
    """Reads plainname."""
    plainname_1 = len(w.plainname)
    return g(plainname_1 @ w.weight, 0.5)
class Model:
    def forward(self, plainname: Tensor) -> Tensor:
        def inner(v): return plainname + v + max(3, 4)
        return Weights(plainname, self.weight), _checked("plainname", plainname), inner
'''


@pytest.mark.parametrize("new", ["x", "os", "eval", "forward", "sum", "inner2", "w2"])
def test_a_renaming_is_taken(new: str) -> None:
    same_but_for(MODULE, MODULE.replace("plainname", new), "plainname", new)


def test_other_names_may_give_way() -> None:
    made = MODULE.replace("weight: Tensor", "weight_1: Tensor").replace("w.weight", "w.weight_1")
    same_but_for(MODULE, made.replace("plainname", "weight"), "plainname", "weight")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.5", "0.6"),
        ('_checked("plainname"', '_checked("other"'),
        ("Reads plainname", "Reads plainname and eval"),
        ("g(", "h("),
        ("return g(plainname_1", "return g(z"),
        ("def forward(self, plainname: Tensor)", "def forward(self, plainname: Any)"),
        ("self.weight)", "self.bias)"),
        ("plainname + v", "plainname - v"),
        ("len(w.plainname)", "len(w.weight)"),
        ("return g", "import os; return g"),
        ("max(3, 4)", "min(3, 4)"),
        ("from torch import Tensor", "from torch import Tensor, load"),
        ("Weights(plainname, self.weight)", "Weights(plainname=plainname)"),
    ],
)
def test_any_other_difference_is_told(old: str, new: str) -> None:
    assert old in MODULE
    with pytest.raises(OtherCodeError):
        same_but_for(MODULE, MODULE.replace(old, new).replace("plainname", "name"), "plainname", "name")


@pytest.mark.parametrize("name", ["max", "v", "_checked", "Weights", "self"])
def test_a_name_that_hides_another_is_told(name: str) -> None:
    """`forward` reads `max`, `_checked` and `Weights`, and has `self` and `v` already."""
    with pytest.raises(OtherCodeError):
        same_but_for(MODULE, MODULE.replace("plainname", name), "plainname", name)


def test_a_field_that_hides_its_own_type_is_told() -> None:
    with pytest.raises(OtherCodeError):
        same_but_for(MODULE, MODULE.replace("plainname", "Tensor"), "plainname", "Tensor")
