"""What other libraries call the things of the language: a name that is near in meaning and far in spelling."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from deqc.ops.weights import CONSTRAINTS, PARAMETRIZATIONS

_NAMES: Final = {
    # sections
    "deqc": "version schema",
    "main_layers": "layers f model",
    "input": "x",
    "scale": "state",
    "head": "output outputs classifier decoder",
    "adjoint": "backward bsolver gradient",
    "jacobian_regularization": "jacreg jacloss jacobianloss jacobianreg",
    # values
    "z": "zstar zhat state hidden",
    # settings
    "method": "name type algorithm solver fsolver core",
    "ignore": "off no none silent",
    "raise": "error exception",
    "termination": "stopmode fstopmode stop",
    "linear_solver": "linsolve bsolver",
    "int64": "int long integer",
    "int": "integer",
    "number": "float real",
    "value": "tensor computation",
    "float": "float32 float16 float64 double half bfloat16",
    "bool": "boolean",
    "atol": "tol tolerance abstol ftol eps feps",
    "rtol": "reltol",
    "max_steps": "maxiter maxiters maxiterations iterations niter numsteps nsteps fmaxiter fthres thres threshold",
    "record": "nstates indexing",
    "neural_ode": "ode node",
    "start": "t0 tstart begin",
    "stop": "t1 tend tstop end until",
    "saveat": "ts times teval",
    "samples": "vecs vectors probes nsamples",
    "history": "m window memory mem",
    "ridge": "lam lambda regularization reg",
    "integrator": "adjointmethod",
    "step_rtol": "adjointrtol",
    "step_atol": "adjointatol",
    "damping": "tau beta mixing relaxation lr stepsize",
    # values of settings
    "picard": "fixedpointiter simplefixedpointiter fixedpoint fixedpointiteration naive banach",
    "anderson": "andersonacceleration",
    "newton": "newtonraphson",
    "newton_krylov": "jfnk",
    "gmres": "krylovjlgmres krylov",
    "bicgstab": "krylovjlbicgstab",
    "cg": "krylovjlcg",
    "implicit": "ift implicitdiff implicitdifferentiation deepequilibriumadjoint steadystateadjoint",
    "jfb": "jacobianfree onestep",
    "phantom": "phantomgrad phantomgradient",
    "unroll": "backprop bptt unrolled unrolling",
    "half": "same",
    "zeros": "zero",
    "times": "n count num repeats iterations scale scaleby",
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
    "out": "outchannels outfeatures units filters embeddingdim",
    "kernel": "kernelsize",
    "count": "numembeddings vocab vocabsize",
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
_MEANT: Final[dict[str, list[str]]] = {}
for _name, _words in _NAMES.items():
    for _word in _words.split():
        _MEANT.setdefault(_word, []).append(_name)

_TORCH: Final = re.compile(r"(?:torch\.|nn\.|functional\.|F\.)+(?P<name>\w+)(?:\(.*\))?\Z")


def bare(name: str) -> str:
    """The name without what stands around it in code for torch: `nn.Tanh()` is Tanh."""
    called = _TORCH.match(name)
    return name if called is None else called["name"]


def meant(name: str, candidates: Collection[str]) -> str | None:
    """The candidate that other libraries call `name`, if there is one."""
    known = _MEANT.get(name.lower().replace("_", "").replace("-", ""), ())
    return next((one for one in known if one in candidates), None)


def said_of_weights(name: str) -> str | None:
    """How a parametrisation or a constraint of that name is said of a layer; None if it is neither."""
    for field, variants in (("parametrize", PARAMETRIZATIONS), ("constraint", CONSTRAINTS)):
        variant = variants.get(name)
        if variant is not None:
            required = any(one.required for one in variant.fields)
            return f"{field}: {{{name}: …}}" if required else f"{field}: {name}"
    return None
