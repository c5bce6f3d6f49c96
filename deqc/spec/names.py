"""Which names a spec may give, and which name was probably meant.

The list of reserved names is fixed, so that a spec is right or wrong whatever Python runs deqc.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

from deqc.diagnostics import Problems, Span
from deqc.ops import STEPS
from deqc.settings import WATCH, planned
from deqc.solvers import LINEAR_SOLVERS, SOLVERS, Iteration
from deqc.spec.aliases import bare, meant
from deqc.types import BATCH

MAX_LENGTH: Final = 64
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Keywords and soft keywords of every Python up to 3.14.
_PYTHON: Final = _words(
    """
    False None True and as assert async await break class continue def del elif else except finally for from global if
    import in is lambda nonlocal not or pass raise return try while with yield
    case match type
    """
)
_PYTHON_MODULES: Final = _words(
    """
    abc ast array asyncio base64 bisect builtins bz2 calendar click cmath cmd code codecs collections contextlib
    copy csv ctypes dataclasses datetime decimal deqc difflib dis email enum errno fractions functools gc getpass
    glob graphlib gzip hashlib heapq hmac html http importlib inspect io ipaddress itertools jinja2 json keyword
    linecache locale logging lzma math mimetypes mmap numbers numpy opcode operator os pathlib pickle pkgutil
    platform posix pprint profile pstats pydoc queue random re resource runpy sched secrets select selectors
    shelve shlex shutil signal site socket sqlite3 ssl stat statistics string struct subprocess symtable sympy sys
    sysconfig tarfile tempfile test textwrap threading time timeit token tokenize tomllib torch trace traceback
    types typing unittest urllib uuid venv warnings weakref xml yaml zipfile zipimport zlib zoneinfo
    """
)
# Words that the spec language and its expressions read themselves.
_LANGUAGE: Final = _words("scale scales to true false null min max abs")
# Names that the methods of a generated module use beside the spec's own, and those that no module may hold.
_GENERATED: Final = _words(
    """
    self z z0 depth output target torch nn math warnings enum
    f F equilibrium fixed_point final_state saved_states integrate
    pack unpack cast Any int range tuple super Weights Encoded Linearization Operators
    Output Tensor State eval exec compile open globals
    """
)
# Arguments of the functions of a generated module, which read sizes under the names of dimensions.
DIMENSION_NAMES: Final = _words("u w m at needed bool vjp linearize pullback jacobian")
# What a generated module reads or defines beside its class: its class cannot be called so.
CLASS_NAMES: Final = _words(
    """
    ADJOINT_ATOL ADJOINT_RTOL ADJOINT_STEPS ATOL JACOBIAN_SAMPLES JACOBIAN_STEPS MAX_STEPS
    PHANTOM_DAMPING PHANTOM_STEPS RECORD RTOL START STOP STOPS
    COEFFICIENTS LINEAR_MEMORY LINEAR_RTOL LINEAR_STEPS SAFETY LEAST_FACTOR MOST_FACTOR FIRST_FACTOR FIRST_STEP ORDER
    ERROR_POWER PAST_POWER DEADBAND NEWTON_GOAL NEWTON_SHRINK
    Settings TRAINING EVALUATION
    ADJOINT_DRIFT ADJOINT_MEMORY PROBES REFINES ROUNDINGS SHINE_FALLBACK SHINE_STEPS
    Callable ClassVar DeepEquilibriumSolution Learnt Map NamedTuple Narrow Record Solution Status Test TypeAlias
    checkpoint dataclass enum error jacobian jvp linearize math odeint odeint_adjoint products pullback vjp warnings
    all any bool bytes callable classmethod complex dict enumerate filter float frozenset getattr hasattr id isinstance
    issubclass iter len list map max min next object open print property repr reversed round set setattr slice sorted
    staticmethod str sum vars zip
    ArithmeticError AssertionError AttributeError BaseException Exception IndexError KeyError NotImplementedError
    ImportError OverflowError RuntimeError RuntimeWarning StopIteration TypeError UserWarning ValueError
    Warning ZeroDivisionError
    """
) | {
    name.upper()
    for method in (*SOLVERS.values(), *LINEAR_SOLVERS.values())
    if isinstance(method, Iteration)
    for option in (*method.numbers, *method.constant_names, *(field.name for field in WATCH))
    for name in (option, f"adjoint_{option}")
}
# Modules that Python, torch and what stands around them import: a model's file may not hide one where it is imported.
FILE_NAMES: Final = _PYTHON_MODULES | frozenset(word.lower() for word in _PYTHON)
# What nn.Module, nn.ModuleList and nn.ModuleDict own: no submodule can be called so.
MODULE_NAMES: Final = _words(
    """
    T_destination add_module append apply bfloat16 buffers call_super_init children clear compile cpu cuda double
    dump_patches eval extend extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half insert
    ipu items keys load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters
    pop register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty train
    training type update values xpu zero_grad
    """
)
# What a generated model owns beside what every torch module does: its methods, and the sections of its layers.
MODEL_NAMES: Final = _words(
    """
    weights solve step pack unpack encode project_ value_and_grad fixed_point deqc_version spec_sha256
    Status Record DeepEquilibriumSolution
    encoder init main_layers mapping_layers post_fuse_layers head params
    """
)
# What every tuple owns: no member of a named tuple can be called so.
TUPLE_NAMES: Final = frozenset({"count", "index"})
RESERVED: Final = _PYTHON | _LANGUAGE | _GENERATED


def check_name(name: str, span: Span, what: str, problems: Problems, path: bool = False, member: bool = False) -> bool:
    """Whether `name` may be given to `what` (say, "a block").

    `path` where it becomes part of a parameter's path, `member` where it names an entry of a tuple.
    """
    if not _IDENTIFIER.match(name):
        expected = "a letter, then letters, digits and underscores (ASCII)"
        problems.add("E040", span, f"{name!r} is not a name for {what}", expected=expected, hint=_spelling(name))
    elif len(name) > MAX_LENGTH:
        message = f"the name of {what} has {len(name)} characters; at most {MAX_LENGTH} are allowed"
        problems.add("E040", span, message)
    elif name in RESERVED:
        problems.add("E041", span, f"{name!r} is reserved and cannot name {what}", hint=f"write '{_other(name)}'")
    elif path and name in MODULE_NAMES:
        message = f"{name!r} belongs to every torch module and cannot name {what}"
        problems.add("E041", span, message, hint=f"write '{_other(name)}'")
    elif member and name in TUPLE_NAMES:
        message = f"{name!r} belongs to every tuple and cannot name {what}"
        problems.add("E041", span, message, hint=f"write '{_other(name)}'")
    else:
        return True
    return False


def check_dimension_name(name: str, span: Span, problems: Problems) -> bool:
    """Whether a dimension may be called so: generated functions read its size under that name."""
    if name == BATCH:
        message = f"{name!r} is the batch, which shapes leave out, and cannot name a dimension"
        problems.add("E041", span, message, hint="remove it")
        return False
    if name in DIMENSION_NAMES:
        message = f"{name!r} is reserved and cannot name a dimension"
        problems.add("E041", span, message, hint=f"write '{name.upper() if len(name) == 1 else _other(name)}'")
        return False
    return check_name(name, span, "a dimension", problems)


def check_class_name(name: str, span: Span, problems: Problems) -> bool:
    """Whether a model may be called so: its name is that of the generated class."""
    if not check_name(name, span, "a model", problems):
        return False
    if name in CLASS_NAMES:
        problems.add("E041", span, f"{name!r} is reserved and cannot name a model", hint=f"write '{name}Model'")
        return False
    if name.lower() in FILE_NAMES:
        message = f"{name!r} cannot name a model: its file, {name.lower()}.py, would hide a module of that name"
        problems.add("E041", span, message, hint=f"write '{name}Model'")
        return False
    return True


def check_module_name(name: str, span: Span, problems: Problems) -> bool:
    """Whether a module of the user's may be called so: it is an attribute of the model beside the model's own."""
    if not check_name(name, span, "a module", problems, path=True, member=True):
        return False
    if name in STEPS or planned("step", name):
        message = f"'{name}' is a step of the language and cannot name a module"
        problems.add("E044", span, message, hint=f"write '{_other(name)}'")
        return False
    if name in MODEL_NAMES:
        message = f"{name!r} belongs to every generated model and cannot name a module"
        problems.add("E041", span, message, hint=f"write '{_other(name)}'")
        return False
    return True


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate nearest to `name`, in meaning or in spelling, if one is near enough to suggest."""
    name = bare(name)
    by_folded = {candidate.lower().replace("-", "_"): candidate for candidate in sorted(candidates, reverse=True)}
    if (known := meant(name, by_folded.values())) is not None:
        return known
    # The comparison is quadratic in the length; no name is so long.
    folded = name[: 2 * MAX_LENGTH].lower().replace("-", "_")
    near = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.65)
    return by_folded[near[0]] if near else None


def _spelling(name: str) -> str | None:
    spelt = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_0123456789").rstrip("_")
    return f"write '{spelt}'" if spelt and len(name) <= MAX_LENGTH else None


def _other(name: str) -> str:
    return f"{name}_" if len(name) > 2 else f"{name}_value"
