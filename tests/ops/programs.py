"""Random specs: chains, branches, blocks and mappings over one to four scales, in the shapes that passes look for."""

from __future__ import annotations

import json
from random import Random
from typing import Any

Shape = tuple[int, ...]
Step = Any  # a step or a chain as YAML has it

ACTIVATIONS = (
    "tanh",
    "sigmoid",
    "relu",
    "sin",
    "cos",
    "elu",
    "softplus",
    "gelu",
    "silu",
    "mish",
    "softsign",
    "hardtanh",
)
RARE = ("abs", "square", {"leaky_relu": 0.2}, {"softshrink": 0.05}, {"clamp": {"min": -0.4}}, {"plus": 0.3}, "softmax")
SPARSE = ("tanh", "relu", "sigmoid", "cos", {"plus": 0.2}, {"times": 0.5}, "gelu")
# Names that generated code also gives.
_TAKEN = """
    v w u at e u0 record count index g h h0 h1 z1 z2 z0_1 y0 y1 a a_1 c p p_1 total joined weight bias weight_1 inject
    inject_1 mapping mapping_bias main main_bias mask eye rows vjp linearize pullback jacobian map zip list set
    filter object x y x_1 fz g_z0 g_z1 d_z0 d_a normed product part packed encoder head start weights solve step layer
    main_layers_1 encoder_layers main_layers_ mode zeros_ result batch
"""


def spec(seed: int) -> str:
    """The text of a random spec; equal seeds give equal text."""
    return json.dumps(_Maker(Random(seed)).spec(), indent=1)


class _Maker:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.free = random.sample(_TAKEN.split(), len(_TAKEN.split())) if random.random() < 0.7 else []
        self.names = 0
        self.blocks = False

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def name(self, plain: str) -> str:
        """A name of the spec's own; often one that generated code would like to use."""
        self.names += 1
        return self.free.pop() if self.free else f"{plain}{self.names}"

    def spec(self) -> dict[str, Any]:
        pick = self.random.choice
        kind = pick(["dense", "dense", "dense", "alike", "alike", "alike", "tokens", "image", "mixed"])
        count = pick([1, 2, 2, 3, 4]) if kind in ("dense", "alike") else pick([1, 1, 2, 3])
        self.scales: list[Shape] = [self.shape(kind) for _ in range(count)]
        self.inputs: dict[str, Shape] = {self.name("x"): pick([(3,), self.scales[0]])}
        if self.chance(0.3):
            self.inputs[self.name("y")] = pick([(2,), self.scales[-1], ()])
        self.values: dict[str, Shape] = dict(self.inputs)
        self.depth = 0
        self.reads_state = False
        self.blocks = self.chance(0.4)
        text: dict[str, Any] = {"deqc": 1, "name": "Model", "input": {n: list(s) for n, s in self.inputs.items()}}
        if self.blocks:
            text["blocks"] = {
                "cell": {
                    "params": {"out": None, "inject": {"default": None, "type": "value"}, "gain": 0.5},
                    "body": [{"sum": [[{"linear": "${out}"}, {"times": "${gain}"}], "$inject"]}, pick(["tanh", "sin"])],
                },
                "twice": {
                    "params": {"times": 2},
                    "body": [{"repeat": {"times": "${times}", "body": ["sin", {"times": 0.7}]}}],
                },
            }
        if self.chance(0.5):
            text["encoder"] = self.encoder()
        if count == 1 and self.chance(0.5):
            text["scale"] = list(self.scales[0])
            text["main_layers"] = self.main(kind, 0)
        else:
            text["scales"] = [list(s) for s in self.scales]
            text["main_layers"] = [self.main(kind, k) for k in range(count)]
            if self.chance(0.9):
                text["mapping_layers"] = self.mapping(kind)
            if self.chance(0.3):
                text["post_fuse_layers"] = [pick([None, "tanh", "sin"]) for _ in range(count)]
        text |= self.start("scale" in text)
        if self.chance(0.6):
            text["head"] = self.head()
        size = sum(_size(s) for s in self.scales)
        text["solver"] = pick(["picard", "picard", "anderson", "newton"] if size <= 40 else ["picard", "anderson"])
        text["adjoint"] = {"linear_solver": pick(["lu", "gmres", "gmres", "picard"])}
        return text

    def shape(self, kind: str) -> Shape:
        pick = self.random.choice
        if kind == "mixed":
            kind = pick(["dense", "tokens", "image"])
        if kind == "tokens":
            return pick([(2, 3), (3, 2), (2, 2)])
        if kind == "image":
            return pick([(2, 4, 4), (4, 2, 2), (2, 2, 4)])
        return (pick([1, 2, 2, 3, 4]),)

    # computations

    def to(self, of: Shape, to: Shape, bias: bool | None = None) -> list[Step]:
        """A product, or a convolution, from one shape to another."""
        pick = self.random.choice
        own = pick([True, False]) if bias is None else bias
        linear = {"linear": {"out": to[-1], "bias": own}}
        if of == () or to == ():
            raise ValueError("scalars only broadcast")
        if len(of) == len(to) == 2 and of[1] == to[1] and self.chance(0.7 if of[0] != to[0] else 0.2):
            return [{"conv1d": {"out": to[0], "kernel": pick([1, 3]), "bias": own}}]
        if len(of) == len(to) and of[:-1] == to[:-1] and len(of) < 3:
            return [linear]
        if len(of) == len(to) == 3:
            mode = pick(["zeros", "zeros", "circular"])
            conv = {"out": to[0], "kernel": pick([1, 3]), "bias": own}
            if of[1:] == to[1:]:
                return [{"conv2d": {**conv, "padding_mode": mode}}]
            if of[1] == 2 * to[1] and of[2] == 2 * to[2]:
                return pick(
                    [
                        [{"conv2d": {**conv, "kernel": 3, "stride": 2}}],
                        [{"conv2d": conv}, pick([{"avg_pool2d": 2}, {"max_pool2d": 2}])],
                    ]
                )
            if to[1] == 2 * of[1] and to[2] == 2 * of[2]:
                up = {"out": to[0], "kernel": 4, "stride": 2, "padding": 1, "bias": own}
                upsample = {"upsample": pick([2, {"factor": 2, "mode": "bilinear"}])}
                return pick([[{"conv2d": conv}, upsample], [{"conv_transpose2d": up}]])
        if len(of) == 3 and len(to) == 1 and self.chance(0.5):
            return ["global_avg_pool", linear]
        chain: list[Step] = ["flatten"] if len(of) > 1 else []
        chain.append({"linear": {"out": _size(to), "bias": own}})
        return chain + ([{"reshape": list(to)}] if len(to) > 1 else [])

    def read(self, shape: Shape) -> list[Step]:
        """A value without the state: an input or an encoder value, brought to the shape."""
        name = self.random.choice([n for n, s in self.values.items() if s])
        have = self.values[name]
        tail = [] if have == shape and self.chance(0.6) else self.to(have, shape)
        return [f"${name}", *tail, *self.maybe(self.random.choice(ACTIVATIONS), 0.3)]

    def maybe(self, step: Step, p: float) -> list[Step]:
        return [step] if self.chance(p) else []

    def steps(self, shape: Shape, length: int) -> list[Step]:
        """A chain that keeps the shape."""
        return [step for _ in range(length) for step in self.step(shape)]

    def branch(self, shape: Shape) -> Step:
        kinds = ["steps", "steps", "read", "identity"] + (["state", "other"] if self.reads_state else [])
        kind = self.random.choice(kinds)
        if kind == "read":
            return self.read(shape)
        if kind == "identity":
            return "identity"
        if kind == "state" and self.own == shape:
            return self.random.choice(["$z", ["$z", "sin"]])
        if kind == "other" and len(self.scales) > 1:
            k = self.random.randrange(len(self.scales))
            return [f"$z.{k}", *self.to(self.scales[k], shape)]
        return self.steps(shape, self.random.choice([1, 1, 2]))

    def step(self, shape: Shape) -> list[Step]:
        pick = self.random.choice
        kinds = ["activation", "activation", "rare", "product", "product", "times"]
        if self.depth < 3:
            kinds += [
                "sum",
                "sum",
                "mul",
                "residual",
                "as",
                "repeat",
                "concat",
                "cut",
                "norm",
                "mask",
                "scalar",
                "cell",
                "twice",
                "bilinear",
                "normalize",
                "reduce",
                "detach",
            ]
            kinds += ["attention", "matmul", "turn", "waves"] if len(shape) == 2 else []
        kind = pick(kinds)
        self.depth += 1
        try:
            match kind:
                case "product":
                    return self.to(shape, shape)
                case "times":
                    return [{"times": pick([0.5, -0.5, 1, 0.8])}]
                case "rare":
                    return [pick(RARE)]
                case "sum" if self.chance(0.4):
                    return [{"sum": [self.to(shape, shape), self.branch(shape), self.read(shape), self.read(shape)]}]
                case "sum":
                    return [{"sum": [self.branch(shape) for _ in range(pick([2, 2, 3]))]}]
                case "mul":
                    return [{"mul": [self.branch(shape), [*self.steps(shape, 1), "sigmoid"]]}]
                case "residual":
                    return [{"residual": self.steps(shape, pick([1, 2]))}, {"times": 0.5}]
                case "as":
                    name = self.name("a")
                    return [
                        {"as": name},
                        *self.steps(shape, 1),
                        {"sum": ["identity", [f"${name}", "sin"]]},
                        {"times": 0.5},
                    ]
                case "repeat":
                    return [{"repeat": {"times": pick([0, 1, 2]), "body": self.steps(shape, 1)}}]
                case "concat":
                    dim = self.random.randrange(len(shape))
                    double = tuple(n * (2 if k == dim else 1) for k, n in enumerate(shape))
                    parts = [self.branch(shape), self.steps(shape, 1)]
                    return [{"concat": {"of": parts, "dim": dim}}, *self.to(double, shape)]
                case "cut":
                    dim = self.random.randrange(len(shape))
                    if shape[dim] < 2:
                        return ["sin"]
                    at = self.random.randrange(1, shape[dim])
                    low = [{"slice": {"dim": dim, "stop": at}}, *self.maybe("tanh", 0.5)]
                    high = [{"slice": {"dim": dim, "start": at}}, *self.maybe("sin", 0.5)]
                    return [{"concat": {"of": [low, high], "dim": dim}}]
                case "norm":
                    norms: list[Step] = ["layer_norm", "rms_norm", {"layer_norm": False}]
                    return [pick([*norms, {"group_norm": pick([1, 2])}] if len(shape) == 3 else norms), {"times": 0.3}]
                case "normalize":
                    return [{"plus": 0.3}, {"normalize": self.random.randrange(len(shape))}, {"times": 0.5}]
                case "bilinear":
                    factors = [self.branch(shape), self.branch(shape)]
                    return [{"bilinear": {"of": factors, "out": shape[-1], "bias": pick([True, False])}}, "tanh"]
                case "reduce":
                    dim = self.random.randrange(len(shape))
                    reduce = {"op": pick(["sum", "mean", "max", "min"]), "dim": dim, "keep": True}
                    name = self.name("a")
                    spread = [{"reduce": reduce}, {"expand": f"${name}"}]
                    return [*self.steps(shape, 1), {"as": name}, {"sum": ["identity", spread]}, "tanh"]
                case "detach":
                    return [{"sum": [["detach", "sin"], self.branch(shape)]}, {"times": 0.5}]
                case "attention":
                    heads = pick([h for h in (1, 2, 3) if shape[1] % h == 0])
                    fields = {n: self.branch(shape) for n in ("query", "key", "value") if self.chance(0.5)}
                    return [{"attention": {"heads": heads, "causal": pick([True, False]), **fields}}]
                case "matmul":
                    side = pick(["left", "right"])
                    aside = [{"permute": [1, 0]}] if side == "right" else []
                    square = {"matmul": {"right": "identity", "transpose": True}}
                    other = [*self.steps(shape, 1), *aside, square, "tanh"]
                    return [{"matmul": {side: other, "transpose": pick([True, False])}}, {"times": 0.2}]
                case "turn":
                    turned = (shape[1], shape[0])
                    return [{"permute": [1, 0]}, *self.steps(turned, 1), {"permute": [1, 0]}]
                case "waves":
                    order = pick(["ascending", "descending"])
                    even = shape[1] + shape[1] % 2
                    cut = [{"slice": {"stop": shape[1]}}] if even > shape[1] else []
                    return [{"sum": ["identity", [{"sinusoidal": {"out": even, "order": order}}, *cut]]}]
                case "mask":
                    return [{"variational_dropout": 0.3}]
                case "scalar":
                    scalars = [n for n, s in self.values.items() if not s]
                    return [{pick(["sum", "mul"]): ["identity", f"${pick(scalars)}"]}] if scalars else ["tanh"]
                case "cell" if self.blocks:
                    inject = {"inject": self.read(shape)} if self.chance(0.6) else {}
                    return [{"cell": {"out": shape[-1], **inject}}]
                case "twice" if self.blocks:
                    return ["twice"]
            return [pick(ACTIVATIONS)]
        finally:
            self.depth -= 1

    # sections

    def encoder(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self.random.choice([1, 1, 2])):
            shape, name = self.random.choice(self.scales), self.name("e")
            found[name] = [*self.read(shape), *self.steps(shape, 1)]
            self.values[name] = shape
        return found

    def main(self, kind: str, k: int) -> Step:
        shape = self.own = self.scales[k]
        if kind == "alike":
            if k == 0:
                self.pattern = self.random.choice(["plain", "plain", "inject", "some", "encoder"])
                self.phi = self.random.choice(SPARSE)
                self.bias = self.random.choice([True, False, None])
            product = self.to(shape, shape, self.bias)
            inject = self.pattern == "inject" or (self.pattern == "some" and self.chance(0.5))
            if inject:
                product = [{"sum": [product, *(self.read(shape) for _ in range(self.random.choice([1, 1, 2, 3])))]}]
            return [*product, self.phi]
        self.reads_state = True
        try:
            tail = [{"times": 0.4}] if self.chance(0.7) else []
            return [*self.steps(shape, self.random.choice([1, 2, 3])), *tail]
        finally:
            self.reads_state = False

    def mapping(self, kind: str) -> Step:
        pick = self.random.choice
        count = len(self.scales)
        density = pick([0.3, 0.7, 1])
        bias, phi = pick([True, False, None]), pick(SPARSE)
        style = pick(["linear", "same", "same", "any"])
        rows: list[list[Step]] = []
        for i, of in enumerate(self.scales):
            row: list[Step] = []
            for j, to in enumerate(self.scales):
                if i == j:
                    row.append(pick(["identity", "identity", "identity", [*self.to(to, to, bias)], {"times": 0.5}]))
                elif not self.chance(density):
                    row.append(None)
                elif style == "linear":
                    row.append(self.to(of, to, bias))
                elif style == "same":
                    row.append([*self.to(of, to, bias), phi])
                else:
                    row.append([*self.to(of, to), *self.steps(to, pick([0, 1]))])
            rows.append(row)
        return rows if count > 1 or self.chance(0.5) else None

    def start(self, single: bool) -> dict[str, Any]:
        kind = self.random.choice(["", "", "zeros", "step", "chains"])
        if not kind:
            return {}
        if kind != "chains":
            return {"init": kind}
        chains = [self.read(s) if self.chance(0.7) else None for s in self.scales]
        if single:
            return {"init": chains[0] or "zeros"}
        return {"init": chains}

    def head(self) -> Step:
        parts: list[Step] = []
        for k, shape in enumerate(self.scales):
            if k == 0 or self.chance(0.5):
                state = "$z" if len(self.scales) == 1 and self.chance(0.5) else f"$z.{k}"
                parts.append([state, *(["flatten"] if len(shape) > 1 else []), {"linear": 2}])
        if self.chance(0.6):
            parts.append(self.read((2,)))
        return [{"sum": parts}, "sin"] if len(parts) > 1 else parts[0]


def _size(shape: Shape) -> int:
    total = 1
    for n in shape:
        total *= n
    return total
