"""The plan of four dense scales, mapped on each other: packed weights, newton, gmres."""

from __future__ import annotations

from deqc.chosen import texts
from deqc.emit.plan import (
    AdjointPlan,
    Argument,
    Derivatives,
    LinearPlan,
    Locals,
    Member,
    Plan,
    ScalePlan,
    SectionPlan,
    SolverPlan,
)
from deqc.solvers.newton import NEWTON

SIZES = (4, 3, 2, 1)
STARTS = (0, 4, 7, 9)


def _main_sections() -> tuple[SectionPlan, ...]:
    main = ['    "0.sum.0.dense.linear": nn.Linear(4, 4, bias=False),']
    main += ['    "0.sum.1.dense.linear": nn.Linear(4, 4, bias=False),']
    main += [f'    "{i}.dense.linear": nn.Linear({SIZES[i]}, {SIZES[i]}),' for i in (1, 2, 3)]
    mapping = [f'    "{i}.{j}.dense.linear": nn.Linear({SIZES[i]}, {SIZES[j]}),' for i, j in _pairs()]
    return tuple(
        SectionPlan(name, (f"self.{name} = _tree(", "    {", *("    " + line for line in lines), "    }", ")"))
        for name, lines in (("main_layers", main), ("mapping_layers", mapping))
    )


def _pairs() -> list[tuple[int, int]]:
    return [(i, j) for i in range(4) for j in range(4) if i != j]


def _columns() -> list[tuple[int, int]]:
    """The mappings in the order of the columns of the packed product: three blocks of ten, an entry of h each."""
    return [(1, 0), (0, 1), (0, 2), (0, 3), (2, 0), (2, 1), (1, 2), (1, 3), (3, 0), (3, 1), (3, 2), (2, 3)]


def _weights() -> tuple[str, ...]:
    a = [f'self.main_layers["{i}"]["dense"]["linear"]' for i in range(4)]
    a[0] = 'self.main_layers["0"]["sum"]["0"]["dense"]["linear"]'
    v = {(i, j): f'self.mapping_layers["{i}"]["{j}"]["dense"]["linear"]' for i, j in _pairs()}
    lines = ["main = torch.cat(", "    ["]
    for layer, start, size in zip(a, STARTS, SIZES, strict=True):
        lines.append(f"        F.pad({layer}.weight.t(), (0, 0, {start}, {10 - start - size})),")
    lines += ["    ],", "    1,", ")", "main_bias = torch.cat(", "    ["]
    lines += ["        x.new_zeros(4),", *(f"        {layer}.bias," for layer in a[1:])]
    lines += ["    ]", ")"]
    lines += ['inject = torch.tanh(x @ self.main_layers["0"]["sum"]["1"]["dense"]["linear"].weight.t())']
    lines += ["fuse = torch.cat(", "    ["]
    for i, j in _columns():
        lines.append(f"        F.pad({v[i, j]}.weight.t(), (0, 0, {STARTS[i]}, {10 - STARTS[i] - SIZES[i]})),")
    lines += ["    ],", "    1,", ")", "fuse_bias = torch.cat(", "    ["]
    lines += [f"        {v[pair]}.bias," for pair in _columns()]
    lines += ["    ]", ")", "return Weights(main, main_bias, F.pad(inject, (0, 6)), fuse, fuse_bias)"]
    return tuple(lines)


PLAN = Plan(
    deqc_version="0.1.0",
    spec_name="MultiScaleToy",
    spec_sha256="7d1f0c6f" * 8,
    constants="",
    class_name="MultiScaleToy",
    title=(
        "    h_0 = tanh(A_0 z_0) + tanh(U x)            h_i = tanh(A_i z_i + a_i)     i = 1, 2, 3",
        "    f_j = h_j + sum over i != j of tanh(V_ij h_i + v_ij)",
        "",
        "Input    x (B, 4).     Scales (4), (3), (2), (1).     Parameters 152.",
    ),
    class_doc="The model; parameters are named by their place in the spec.",
    inputs=(Argument("x", "(B, 4)", ("4",)),),
    scales=tuple(ScalePlan((n,), s, s + n) for n, s in zip(SIZES, STARTS, strict=True)),
    single=False,
    size=10,
    like="x",
    images=False,
    weights=(
        Member("main", "(10, 10), the A_i^T on the diagonal"),
        Member("main_bias", "(10,)"),
        Member("inject", "(B, 10), tanh(U x) on scale 0"),
        Member("fuse", "(10, 30), the V_ij^T in the rows of h_i; three columns for every entry of the state"),
        Member("fuse_bias", "(30,)"),
    ),
    f=(
        "h = torch.tanh(torch.addmm(w.main_bias, z, w.main)) + w.inject",
        "t = torch.tanh(torch.addmm(w.fuse_bias, h, w.fuse))",
        "return h + t.view(-1, 3, 10).sum(1)",
    ),
    derivatives=Derivatives(
        members=(
            Member("h", "(B, 10)"),
            Member("dh", "(B, 10), tanh' of the main layers"),
            Member("dt", "(B, 30), tanh' of the mapping layers"),
        ),
        linearize=(
            "a = torch.tanh(torch.addmm(w.main_bias, z, w.main))",
            "h = a + w.inject",
            "t = torch.tanh(torch.addmm(w.fuse_bias, h, w.fuse))",
            "return Linearization(h, 1 - a * a, 1 - t * t)",
        ),
        vjp=(
            "gh = u + (torch.cat([u, u, u], -1) * at.dt) @ w.fuse.t()",
            "return (gh * at.dh) @ w.main.t()",
        ),
        pullback=(
            "at = linearize(z, w)",
            "gt = torch.cat([u, u, u], -1) * at.dt",
            "gh = u + gt @ w.fuse.t()",
            "ga = gh * at.dh",
            "return Weights(z.t() @ ga, ga.sum(0), gh, at.h.t() @ gt, gt.sum(0))",
        ),
        rows=True,
    ),
    sections=_main_sections(),
    locals=Locals("w", "u0", "e"),
    encoded=(),
    encode=(),
    weights_body=_weights(),
    start="zeros",
    start_body=(),
    head=(),
    head_reads_inputs=False,
    outputs=(),
    modules=(),
    starts=(),
    project=(),
    turn=(),
    operators=(),
    start_reads_inputs=False,
    functional=True,
    functions=(),
    autograd_rules=False,
    solver=SolverPlan(
        "newton", "1e-3", "1e-3", "32", "abs_norm", "max", "sample", "warn", texts(NEWTON.defaults), NEWTON
    ),
    adjoint=AdjointPlan(
        "implicit", {}, "gmres", "1e-3", "0.0", "10", {}, linear=LinearPlan("gmres", "GMRES", 1, False, False)
    ),
)
