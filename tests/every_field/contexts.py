"""Specs in which a field matters, each with a hole `@` where its value stands.

A spec is given by the sections in which it differs from a plain one; `scales` takes the place of `scale`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import tables
import yaml

from deqc import check
from deqc.diagnostics import Severity
from deqc.fields import Field
from deqc.ops import STEPS
from deqc.ops.base import HEAD, Op
from deqc.ops.weights import WEIGHT_FIELDS
from deqc.settings import IN_EVALUATION, INNER, JACOBIAN, LINEAR, NEURAL_ODE, SOLVER, TERMINATION, WATCH
from deqc.solvers import ADJOINTS, INNER_SOLVERS, LINEAR_SOLVERS, QUANTITIES, SOLVERS
from deqc.solvers.base import Iteration
from deqc.solvers.linear import FACTORISING, FACTORS, LEARNT, SHARING

HOLE = "@"
PLAIN = yaml.safe_load(
    "{deqc: 1, name: M, input: {x: [4]}, scale: [4], main_layers: [{sum: [{linear: 4}, [$x, {linear: 4}]]}, tanh]}"
)


@dataclass(frozen=True)
class Context:
    """A spec with a hole, values to try in it beside those that the schema names, and what else a value needs.

    `refused` are values that the schema names for other methods.
    """

    sections: dict[str, Any]
    values: tuple[object, ...] = ()
    needs: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()

    def text(self, value: object) -> str:
        """The spec with this value."""
        needed = self.needs.get(value, {}) if isinstance(value, str) else {}
        document = {**PLAIN, **needed, **_filled(self.sections, value)}
        if "scales" in document:
            del document["scale"]
        return f"{tables.flow(document, nested=True)}\n"


def _filled(hollow: Any, value: object) -> Any:
    if isinstance(hollow, dict):
        return {(value if key == HOLE else key): _filled(one, value) for key, one in hollow.items()}
    if isinstance(hollow, list):
        return [_filled(one, value) for one in hollow]
    return value if hollow == HOLE else hollow


def context(sections: str, *values: object) -> Context:
    """A context whose sections are written as YAML."""
    return Context(yaml.safe_load(sections), values)


_EACH = "scales: [[4], [4]], main_layers: {each: [{sum: [{linear: 4}, $x]}, tanh]}"
_SQUARE = "head: [{matmul: {right: $W}}]"
_BLOCK = "{times: '${n}'}"

# The solvers that adjoints work with, and the kind of model that they are for.
NEEDS = MappingProxyType(
    {
        name: {"solver": one.solvers[0]} if one.solvers else {"kind": one.kinds[0]}
        for name, one in ADJOINTS.items()
        if one.solvers or "deq" not in one.kinds
    }
    | {"odeint_adjoint": {"kind": "neural_ode", "solver": "torchdiffeq.dopri5"}}
)
# The solvers whose integrator takes an option of odeint_adjoint, where that of NEEDS does not.
BACK = {
    "step_size": "torchdiffeq.rk4",
    "max_order": "torchdiffeq.explicit_adams",
    "algorithm": "torchdiffeq.scipy_solver",
}

# What is not a step or a setting of a method.
SECTIONS = {
    "deqc": context("{deqc: '@'}"),
    "kind": context("{kind: '@'}"),
    "name": context("{name: '@'}", "Model", "Other"),
    "description": context("{description: '@'}", "one", "another"),
    "constants": context("{constants: '@', head: [{times: '${a}'}]}", {"a": 2}, {"a": 3}),
    "constants.*": context("{constants: {a: '@'}, head: [{times: '${a}'}]}", 2, 0.5),
    "input": context("{input: '@'}", {"x": [4]}, {"x": [4], "y": [4]}, {"y": [4], "x": [4]}),
    "input.*": context("{input: {x: '@'}}", [4], [5], ["L", 4]),
    "input.*.shape": context("{input: {x: {shape: '@'}}}", [4], [5]),
    "input.*.dtype": context("{input: {x: [4], k: {shape: [4], dtype: '@'}}, head: [$k, {slice: {stop: 2}}]}"),
    "input.*.batch": context("{input: {x: [4], k: {shape: [4], batch: '@'}}, head: [{sum: [identity, $k]}]}"),
    "input.*.layout": context(
        "{input: {x: [4], a: {shape: [4, 4], batch: false, layout: '@'}}, scale: [4, 1], "
        "main_layers: [tanh, {matmul: {left: $a}}]}"
    ),
    "parameters": context(f"{{parameters: '@', {_SQUARE}}}", {"W": [4, 4]}, {"W": [4, 5]}),
    "parameters.*": context(f"{{parameters: {{W: '@'}}, {_SQUARE}}}", [4, 4], [4, 5]),
    "parameters.*.shape": context(f"{{parameters: {{W: {{shape: '@'}}}}, {_SQUARE}}}", [4, 4], [4, 5]),
    **{
        f"parameters.*.{name}": context(f"{{parameters: {{W: {{shape: [4, 4], {name}: '@'}}}}, {_SQUARE}}}")
        for name in ("init", "parametrize", "constraint", "trainable")
    },
    "modules": context("{modules: '@', head: [net]}", {"net": "same"}, {"net": [5]}),
    "modules.*": context("{modules: {net: '@'}, head: [net]}", "same", [5]),
    "modules.*.out": context("{modules: {net: {out: '@'}}, head: [net]}", [5], [6]),
    "modules.*.deterministic": context("{modules: {net: {out: same, deterministic: '@'}}, head: [{sum: [net, net]}]}"),
    "blocks": context("{blocks: '@', head: [b]}", {"b": ["tanh"]}, {"b": ["sin"]}),
    "blocks.*": context("{blocks: {b: '@'}, head: [b]}", ["tanh"], {"body": ["sin"]}),
    "blocks.*.body": context("{blocks: {b: {body: '@'}}, head: [b]}", ["tanh"], ["sin"]),
    "blocks.*.params": context(f"{{blocks: {{b: {{params: '@', body: {_BLOCK}}}}}, head: [b]}}", {"n": 2}, {"n": 3}),
    "blocks.*.params.*": context(f"{{blocks: {{b: {{params: {{n: '@'}}, body: {_BLOCK}}}}}, head: [b]}}", 2, 3),
    "blocks.*.params.*.default": context(
        f"{{blocks: {{b: {{params: {{n: {{default: '@'}}}}, body: {_BLOCK}}}}}, head: [b]}}", 2, 3
    ),
    "blocks.*.params.*.description": context(
        f"{{blocks: {{b: {{params: {{n: {{default: 2, description: '@'}}}}, body: {_BLOCK}}}}}, head: [b]}}",
        "the factor",
        "by what it is multiplied",
    ),
    "argument": context(f"{{blocks: {{b: {{params: {{n: 1}}, body: {_BLOCK}}}}}, head: [{{b: '@'}}]}}", 2, {"n": 3}),
    "argument.*": context(f"{{blocks: {{b: {{params: {{n: 1}}, body: {_BLOCK}}}}}, head: [{{b: {{n: '@'}}}}]}}", 2, 3),
    "step.*": context(
        f"{{blocks: {{b: {{params: {{n: 2}}, body: {_BLOCK}}}, c: tanh}}, head: [{{'@': {{}}}}]}}", "b", "c"
    ),
    "encoder": context("{encoder: '@', head: [{sum: [$h, identity]}]}", {"h": "$x"}, {"h": ["$x", "tanh"]}),
    "encoder.*": context("{encoder: {h: '@'}, head: [{sum: [$h, identity]}]}", "$x", ["$x", "tanh"]),
    "scale": context(
        "{scale: '@', main_layers: [{linear: '${scale.size}'}, {sum: [tanh, [$x, {linear: '${scale.size}'}]]}]}",
        [4],
        [5],
    ),
    "scales": context("{scales: '@', main_layers: {each: [tanh, {sum: [identity, $x]}]}}", [[4]], [[4], [4]]),
    "init": context("{init: '@'}", "zeros", "step", ["$x"]),
    "init.each": context(f"{{{_EACH}, init: {{each: '@'}}}}", "$x", ["$x", "tanh"]),
    "main_layers": context("{main_layers: '@'}", ["tanh", {"sum": ["identity", "$x"]}], {"sum": ["sin", "$x"]}),
    "main_layers.each": context(
        "{scales: [[4], [4]], main_layers: {each: '@'}}", {"sum": ["sin", "$x"]}, {"sum": ["cos", "$x"]}
    ),
    "mapping_layers": context(
        f"{{{_EACH}, mapping_layers: '@'}}", None, [["tanh", None], ["sin", "identity"]], {"down": "tanh", "up": None}
    ),
    "mapping_layers.same": context(
        f"{{{_EACH}, mapping_layers: {{same: '@', down: tanh, up: sin}}}}", "identity", "tanh"
    ),
    "mapping_layers.down": context(f"{{{_EACH}, mapping_layers: {{down: '@', up: sin}}}}", None, "tanh", "sin"),
    "mapping_layers.up": context(f"{{{_EACH}, mapping_layers: {{down: tanh, up: '@'}}}}", None, "tanh", "sin"),
    "post_fuse_layers": context(f"{{{_EACH}, post_fuse_layers: '@'}}", None, [None, "tanh"], {"each": "tanh"}),
    "post_fuse_layers.each": context(f"{{{_EACH}, post_fuse_layers: {{each: '@'}}}}", "tanh", "sin"),
    "head": context("{head: '@'}", ["tanh"], {"a": "tanh"}, {"a": "tanh", "b": "sin"}),
    "head.*": context("{head: {a: '@'}}", "tanh", "sin"),
    "time": context("{kind: neural_ode, time: '@'}", {"stop": 1}, {"stop": 2}),
    "time.start": context("{kind: neural_ode, time: {start: '@'}}", 0, 0.5),
    "time.stop": context("{kind: neural_ode, time: {stop: '@'}}", 1, 2),
    "time.dynamics": context("{kind: neural_ode, time: {dynamics: '@'}}"),
    "time.saveat": context("{kind: neural_ode, time: {saveat: '@'}}", [0.5], [0.5, 1], [0, 1]),
    "solver": context("{solver: '@'}"),
    "solver.method": context("{solver: {method: '@'}}"),
    "solver.termination": context("{solver: {termination: '@'}}"),
    "solver.mask": context(
        "{input: {x: [4], m: {shape: [4], dtype: bool}, n: {shape: [4], dtype: bool}}, solver: {mask: '@'}}", "$m", "$n"
    ),
    "solver.record": context("{solver: {record: '@'}}", [6], [6, 12]),
    "solver.eval": context("{solver: {method: picard, eval: '@'}}", {"max_steps": 60}, {"damping": 0.5}),
    "solver.linear_solver": context("{solver: {method: newton_krylov, assume: symmetric, linear_solver: '@'}}"),
    "solver.linear_solver.method": context(
        "{solver: {method: newton_krylov, assume: symmetric, linear_solver: {method: '@'}}}"
    ),
    "solver.eval.linear_solver": context(
        "{solver: {method: newton_krylov, eval: {linear_solver: '@'}}}", {"rtol": 1e-6}, {"max_steps": 30}
    ),
    "adjoint": replace(context("{adjoint: '@'}"), needs=NEEDS),
    "adjoint.linear_solver": context("{adjoint: {assume: symmetric, linear_solver: '@'}}"),
    "adjoint.linear_solver.method": context("{adjoint: {assume: symmetric, linear_solver: {method: '@'}}}"),
    "jacobian_regularization": context("{jacobian_regularization: '@'}"),
    "jacobian_regularization.quantity": context("{jacobian_regularization: {quantity: '@'}}"),
}


def _repeated(outer: str, inner: str) -> dict[str, Any]:
    counted = {"repeat": {"times": 2, "index": inner, "body": [{"times": "${1 + i}"}, {"plus": "${j}"}]}}
    return {"repeat": {"times": 3, "index": outer, "body": [counted]}}


def _attention(fields: str, positions: str, heads: str = "'@'") -> str:
    """Attention over four tokens with 8 features: positions `r` for those before, `s` for all where none is hidden."""
    rows = "'${4 if c else 7}'" if positions == "s" else "4"
    constants = "c: '@'" if positions == "s" else f"h: {heads}"
    bias = "[2, 4]" if positions == "s" else "['${h}', '${8 // h}']"
    at = positions if "@" in positions else f"${positions}"
    return (
        f"{{constants: {{{constants}}}, input: {{x: [4, 8], {'s' if positions == 's' else 'r'}: [{rows}, 8]}}, "
        f"parameters: {{u: {bias}, v: {bias}}}, main_layers: tanh, head: [$x, {{relative_attention: "
        f"{{{fields}, value: {{linear: 8}}, positions: {at}, content_bias: $u, position_bias: $v}}}}]}}"
    )


# Without these, some fields of the step are refused: it has no weights, no remainder, no square matrix.
BESIDE: dict[str, dict[str, Any]] = {
    "instance_norm": {"affine": True},
    "conv_transpose2d": {"stride": 2},
    "embedding": {"count": 8, "out": 8},
    "slice": {"stop": 2},
}
# Fields of steps that show only beside other things than what their steps require.
STEPS_ALIKE: dict[str, Context] = {
    "as.name": context(
        "{head: '@'}",
        [{"as": {"name": "a"}}, "tanh", {"as": {"name": "b"}}, {"sum": ["identity", "$a"]}],
        [{"as": {"name": "b"}}, "tanh", {"as": {"name": "a"}}, {"sum": ["identity", "$a"]}],
    ),
    "repeat.index": context("{head: '@'}", *([_repeated(a, b)] for a, b in ("ij", "ji"))),
    **{
        f"{name}.weight": context(
            f"{{input: {{x: {x}}}, parameters: {{V: {v}, W: {w}}}, main_layers: tanh, "
            f"head: [$x, {{{name}: {{weight: '@'}}}}]}}",
            "$V",
            "$W",
        )
        for name, x, v, w in (
            ("linear", [8], [6, 8], [5, 8]),
            ("conv1d", [4, 8], [6, 4, 3], [5, 4, 3]),
            ("conv2d", [4, 8, 8], [6, 4, 3, 3], [5, 4, 3, 3]),
            ("conv3d", [2, 4, 4, 4], [6, 2, 3, 3, 3], [5, 2, 3, 3, 3]),
            ("conv_transpose2d", [4, 8, 8], [4, 6, 3, 3], [4, 5, 3, 3]),
            ("embedding", "{shape: [4], dtype: int64}", [9, 4], [9, 5]),
        )
    },
    "expand.like": context(
        "{input: {x: [4], a: [4, 2], b: [4, 3]}, head: [{reshape: [4, 1]}, {expand: {like: '@'}}]}", "$a", "$b"
    ),
    "linear.transpose": context(
        "{input: {x: [4]}, parameters: {W: [4, 4]}, head: [$x, {linear: {weight: $W, transpose: '@'}}]}"
    ),
    "matmul.right": context("{parameters: {V: [4, 3], W: [4, 2]}, head: [{matmul: {right: '@'}}]}", "$V", "$W"),
    "permute.dims": context(
        "{input: {x: [4, 3, 2]}, main_layers: tanh, head: [$x, {permute: '@'}]}", [1, 0, 2], [2, 1, 0]
    ),
    "reshape.shape": context("{head: [{reshape: '@'}]}", [2, 2], [4, 1]),
    # How many heads there are, and whether they look ahead, decides the shapes of what else is given.
    "relative_attention.heads": context(_attention("heads: '@', query: {linear: 8}, key: {linear: 8}", "r"), 2, 4),
    "relative_attention.causal": context(
        _attention("heads: 2, query: {linear: 8}, key: {linear: 8}, causal: '@'", "s", heads="2")
    ),
    "relative_attention.query": context(
        _attention("heads: 2, query: '@', key: {linear: 8}", "r", heads="2"), {"linear": 8}, [{"linear": 8}, "tanh"]
    ),
    "relative_attention.key": context(
        _attention("heads: 2, query: {linear: 8}, key: '@'", "r", heads="2"), {"linear": 8}, [{"linear": 8}, "tanh"]
    ),
    "relative_attention.positions": context(
        _attention("heads: 2, query: {linear: 8}, key: {linear: 8}", "'@'", heads="2"), "$r", ["$r", "tanh"]
    ),
    "last.dim": context(
        "{input: {x: [4, 4], a: [2, 3]}, main_layers: tanh, head: [$x, {last: {dim: '@', like: $a}}]}", 0, 1
    ),
    "last.like": context("{input: {x: [4], a: [2], b: [3]}, head: [{last: {dim: 0, like: '@'}}]}", "$a", "$b"),
}


def contexts(place: str) -> Iterator[tuple[Context, ...]]:
    """The specs in which the field at this place is tried, each with others that will do as well."""
    if place in SECTIONS:
        yield (SECTIONS[place],)
        return
    if place == "adjoint.method":
        yield (replace(context("{adjoint: {method: '@'}}"), needs=NEEDS),)
        others = frozenset(name for name, one in ADJOINTS.items() if NEURAL_ODE not in one.kinds)
        yield (replace(context("{kind: neural_ode, adjoint: {method: '@'}}"), needs=NEEDS, refused=others),)
        return
    above, _, name = place.rpartition(".")
    if any(above == section for section, *_ in _METHODS):
        yield from ((one,) for section, field, one in settings() if (section, field.name) == (above, name))
    elif place.startswith("parameters.*."):
        field, variant, option = place.split(".")[2:]
        sections = {"parameters": {"W": {"shape": [4, 4], field: _with_option(WEIGHTS[field], variant, option)}}}
        yield (Context({**yaml.safe_load(f"{{{_SQUARE}}}"), **sections}),)
    elif place.startswith("step."):
        name, *rest = place.split(".")[1:]
        yield tuple(_steps(STEPS[name], *rest))


WEIGHTS = {one.name.removeprefix("weight_"): one for one in WEIGHT_FIELDS}
SHAPES = ([8], [64], [4, 8], [8, 8], [8, 8, 8], [1, 28, 28], [2, 4, 4, 4], {"shape": [8], "dtype": "int64"})
PARAMETERS = {"content_bias": [8, 8], "position_bias": [8, 8]}


def _with_option(field: Field, variant: str, option: str) -> dict[str, Any]:
    """The variant with a hole for one of its options."""
    options = {one.name: next(iter(one.examples), 1) for one in field.variants[variant].fields if one.required}
    return {variant: {**options, option: HOLE}}


def _steps(op: Op, name: str, *option: str) -> Iterator[Context]:
    """The step with a hole for a field, or for an option of one, after inputs of many shapes."""
    if f"{op.name}.{name}" in STEPS_ALIKE:
        yield STEPS_ALIKE[f"{op.name}.{name}"]
        return
    field = {one.name: one for one in op.fields}[name]
    hole = _with_option(field, *option) if option else HOLE
    fields = {**required(op), **BESIDE.get(op.name, {}), name: hole}
    yield from (placed(op, {op.name: fields}, shape) for shape in fitting(op.name))


@cache
def fitting(name: str) -> tuple[Any, ...]:
    """The inputs that the step's example takes."""
    op = STEPS[name]
    tried = ((shape, check(placed(op, tables.example(op), shape).text(None))) for shape in SHAPES)
    return tuple(shape for shape, found in tried if not any(one.severity is Severity.ERROR for one in found))


def required(op: Op) -> dict[str, Any]:
    """What the step requires, by name."""
    shown: Any = tables.example(op)
    written = shown[op.name] if isinstance(shown, dict) else {}
    return written if isinstance(written, dict) else {str(op.principal): written}


def placed(op: Op, step: object, shape: object) -> Context:
    """A spec with the step after an input, where it may stand."""
    place = {"head": ["$x", step]} if HEAD in op.where else {"init": [step]}
    plain = {"input": {"x": shape}, "parameters": PARAMETERS, "scale": [8], "main_layers": [{"linear": 8}]}
    return Context({**plain, **place})


# What the solver has to be for the values of options that read what its solve leaves.
LEFT: dict[str, dict[str, dict[str, Any]]] = {
    LEARNT.name: {"broyden": {"solver": SHARING[0]}},
    FACTORS.name: {"last_step": {"solver": FACTORISING[0]}},
}
EVALUATED = tuple(one for one in SOLVER if one.name in IN_EVALUATION)
_METHODS: tuple[tuple[str, dict[str, Any], tuple[Any, ...], str], ...] = (
    ("solver", SOLVERS, SOLVER, "{{solver: {{method: {}, {}: '@'}}}}"),
    ("solver.termination", SOLVERS, TERMINATION, "{{solver: {{method: {}, termination: {{{}: '@'}}}}}}"),
    ("solver.termination", SOLVERS, WATCH, "{{solver: {{method: {}, termination: {{mode: rel_norm_safe, {}: '@'}}}}}}"),
    ("solver.eval", SOLVERS, EVALUATED, "{{solver: {{method: {}, eval: {{{}: '@'}}}}}}"),
    (
        "solver.linear_solver",
        INNER_SOLVERS,
        INNER,
        "{{solver: {{method: newton_krylov, assume: symmetric, linear_solver: {{method: {}, {}: '@'}}}}}}",
    ),
    (
        "solver.eval.linear_solver",
        INNER_SOLVERS,
        INNER,
        "{{solver: {{method: trbdf2, assume: symmetric, linear_solver: {}, eval: {{linear_solver: {{{}: '@'}}}}}}}}",
    ),
    ("adjoint", ADJOINTS, (), "{{adjoint: {{method: {}, {}: '@'}}}}"),
    (
        "adjoint.linear_solver",
        LINEAR_SOLVERS,
        LINEAR,
        "{{adjoint: {{assume: symmetric, linear_solver: {{method: {}, {}: '@'}}}}}}",
    ),
    ("jacobian_regularization", QUANTITIES, JACOBIAN, "{{jacobian_regularization: {{quantity: {}, {}: '@'}}}}"),
)


def settings() -> Iterator[tuple[str, Field, Context]]:
    """Every setting, with every method that has it: its section, what it is, and a spec with a hole for it.

    Of torchdiffeq's integrators one stands for all that have the same options.
    """
    for section, table, shared, text in _METHODS:
        first = {tuple(own.name for own in one.fields): name for name, one in reversed(table.items())}
        for method, description in table.items():
            if "." in method and first[tuple(own.name for own in description.fields)] != method:
                continue
            own = description.fields if section != "solver.termination" else ()
            for one in (*shared, *own):
                if one.name == "precision" and isinstance(description, Iteration) and not description.rounded:
                    continue
                made = context(text.format(method, one.name))
                needed = NEEDS.get(method, {}) if table is ADJOINTS else {}
                needed = {**needed, "solver": BACK[one.name]} if table is ADJOINTS and one.name in BACK else needed
                by_value = LEFT.get(one.name, {}) if table is LINEAR_SOLVERS else {}
                alike = [like for each in table.values() for like in each.fields if like.name == one.name]
                others = {word for like in alike for word in like.choices}
                refused = frozenset(others.difference(one.choices)) if one in own else frozenset()
                yield section, one, replace(made, sections={**needed, **made.sections}, needs=by_value, refused=refused)
