"""What other libraries call the things of the language: a name that is near in meaning and far in spelling."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

_NAMES: Final = {
    # settings
    "atol": "tol tolerance abstol",
    "rtol": "reltol",
    "max_steps": "maxiter maxiters maxiterations iterations niter numsteps nsteps",
    "history": "m window memory mem",
    "ridge": "lam lambda regularization reg",
    "damping": "tau beta mixing relaxation lr stepsize",
    # values of settings
    "zeros": "zero",
    # steps
    "sum": "add",
    "mul": "multiply product prod",
    "concat": "cat concatenate",
    "conv2d": "conv convolution",
    "linear": "dense fc",
    "batch_norm": "batchnorm2d batchnorm1d bn",
    "layer_norm": "norm ln",
    "group_norm": "gn",
    "residual": "skip shortcut",
    "silu": "swish",
    # fields
    "out": "outchannels outfeatures units",
    "kernel": "kernelsize",
    "body": "layers",
    # what is said of weights
    "normal": "gaussian randn",
    "xavier": "xavieruniform glorot glorotuniform xaviernormal",
    "kaiming_uniform": "kaiming he heuniform default",
    "parametrize": "parametrization parameterization reparametrization",
    "weight_init": "init initializer kernelinitializer",
    "bias_init": "biasinitializer",
    "constraint": "kernelconstraint",
    "init": "initializer",
    "std": "sd sigma scale",
}
_MEANT: Final = {word: name for name, words in _NAMES.items() for word in words.split()}


def meant(name: str, candidates: Collection[str]) -> str | None:
    """The candidate that other libraries call `name`, if there is one."""
    known = _MEANT.get(name.lower().replace("_", "").replace("-", ""))
    return known if known is not None and known in candidates else None
