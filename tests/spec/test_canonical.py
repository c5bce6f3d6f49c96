"""The canonical form: equal for specs of equal meaning, different where the meaning differs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deqc.spec.canonical import canonical, sha256
from tests.spec.reading import HEAD, good, several, single

BLOCKS = 'blocks: {dense: {params: {out: null, bias: true}, body: [{linear: {out: "${out}", bias: "${bias}"}}, tanh]}}'

SAME = {
    "short and long forms": (
        single("[{linear: 4}, {residual: [tanh]}]"),
        single("[{linear: {out: 4}}, {residual: {body: tanh}}]"),
    ),
    "a step and a chain of one": (single("tanh"), single("[tanh]")),
    "defaults of steps": (single("[{linear: 4}]"), single("[{linear: {out: 4, bias: true}}]")),
    "defaults that are computations": (
        single("[{conv2d: {out: 2, kernel: 3}}]"),
        single("[{conv2d: {out: 2, kernel: [3, 3], stride: 1, padding: half}}]"),
    ),
    "defaults of blocks": (single("[{dense: 4}]", BLOCKS), single("[{dense: {out: 4, bias: true}}]", BLOCKS)),
    "the declared default, where it is not used": (
        single("[{dense: {out: 4, bias: true}}]", BLOCKS),
        single("[{dense: {out: 4, bias: true}}]", BLOCKS.replace("bias: true", "bias: false")),
    ),
    "unused blocks and constants": (single("[tanh]"), single("[tanh]", f"{BLOCKS}\nconstants: {{width: 3}}")),
    "a block's body and its full form": (
        single("[b]", "blocks: {b: [tanh]}"),
        single("[b]", "blocks: {b: {params: {}, body: tanh}}"),
    ),
    "integers and floats": (single("[{times: 2}]"), single("[{times: 2.0}]")),
    "an integer that an expression comes to": (single("[{times: '${scale.size}'}]"), single("[{times: 4}]")),
    "constants": (single("[{linear: '${w // 2}'}]", "constants: {w: 8}"), single("[{linear: 4}]")),
    "constants among shapes": (
        single("[{linear: '${in.features * w}'}]", "constants: {w: 2}"),
        single("[{linear: '${in.features*(1 + 1)}'}]"),
    ),
    "conditions": (single("[{linear: '${4 if w > 3 else in.size}'}]", "constants: {w: 8}"), single("[{linear: 4}]")),
    "the shape of the scale": (several("{each: {linear: '${scale.size}'}}"), several("[{linear: 4}, {linear: 3}]")),
    "rule and matrix": (
        several("[tanh, tanh]", "mapping_layers: {down: {linear: '${to.features}'}, up: null}"),
        several("[tanh, tanh]", "mapping_layers: [[identity, {linear: 3}], [null, identity]]"),
    ),
    "no mapping layers": (
        several("[tanh, tanh]"),
        several("[tanh, tanh]", "mapping_layers: [[identity, null], [null, identity]]"),
    ),
    "no post-fuse layers": (several("[tanh, tanh]"), several("[tanh, tanh]", "post_fuse_layers: [null, identity]")),
    "scale and scales of one": (
        single("[{sum: [$z, $x]}]", "head: $z"),
        f"{HEAD}scales: [[4]]\nmain_layers: [{{sum: [$z.0, $x]}}]\nhead: $z.0\n",
    ),
    "this scale and its index": (several("[tanh, $z]"), several("[tanh, $z.1]")),
    "identities": (single("[identity, tanh, identity]"), single("[tanh]")),
    "zeros": (several("[tanh, tanh]", "init: [null, null]"), several("[tanh, tanh]")),
    "zeros as a step": (single("[tanh]", "init: [zeros]"), single("[tanh]", "init: zeros")),
    "settings": (
        single("[tanh]"),
        single(
            "[tanh]",
            """
            kind: deq
            init: zeros
            solver: {method: auto, atol: 0.001, rtol: 1.0e-3, max_steps: 32, coupling: sample, on_failure: warn,
                     termination: {mode: abs_norm, norm: max}}
            adjoint: {method: implicit, linear_solver: {method: auto, rtol: 1e-3, atol: 0}}
            """,
        ),
    ),
    "short settings": (
        single("[tanh]", "solver: anderson\nadjoint: jfb"),
        single("[tanh]", "solver: {method: anderson, history: 5}\nadjoint: {method: jfb}"),
    ),
    "description and comments": (single("[tanh]"), "# a comment\n" + single("[tanh]", "description: a model")),
    "the order of sections": (
        single("[tanh]", "solver: newton\ninit: step"),
        single("[tanh]", "init: step\nsolver: newton"),
    ),
    "the order of fields": (single("[{linear: {out: 4, bias: false}}]"), single("[{linear: {bias: false, out: 4}}]")),
}

DIFFERENT = {
    "the name": (single("[tanh]"), single("[tanh]").replace("name: M", "name: N")),
    "the order of steps": (single("[tanh, relu]"), single("[relu, tanh]")),
    "the order of branches": (single("[{sum: [$x, tanh]}]"), single("[{sum: [tanh, $x]}]")),
    "the order of inputs": (
        single("[$x]").replace("{x: [4]}", "{x: [4], y: [4]}"),
        single("[$x]").replace("{x: [4]}", "{y: [4], x: [4]}"),
    ),
    "the order of encoder values": (
        single("[tanh]", "encoder: {a: tanh, b: tanh}"),
        single("[tanh]", "encoder: {b: tanh, a: tanh}"),
    ),
    "the order of parameters": (
        single("[{b: {m: 1, n: 1}}]", "blocks: {b: {params: {m: 1, n: 1}, body: [tanh]}}"),
        single("[{b: {m: 1, n: 1}}]", "blocks: {b: {params: {n: 1, m: 1}, body: [tanh]}}"),
    ),
    "rows and columns": (
        several("[tanh, tanh]", "mapping_layers: [[identity, tanh], [null, identity]]"),
        several("[tanh, tanh]", "mapping_layers: [[identity, null], [tanh, identity]]"),
    ),
    "no connection and identity": (
        several("[tanh, tanh]", "mapping_layers: [[identity, null], [identity, null]]"),
        several("[tanh, tanh]", "mapping_layers: [[identity, null], [null, identity]]"),
    ),
    "a field": (single("[{linear: 4}]"), single("[{linear: {out: 4, bias: false}}]")),
    "a block and what it comes to": (single("[b]", "blocks: {b: [tanh]}"), single("[tanh]")),
    "an option": (single("[tanh]", "solver: {method: anderson, history: 6}"), single("[tanh]", "solver: anderson")),
    "a tolerance": (single("[tanh]", "solver: {atol: 1e-4}"), single("[tanh]")),
    "the linear solver": (single("[tanh]", "adjoint: {linear_solver: lu}"), single("[tanh]")),
    "the start": (single("[tanh]", "init: step"), single("[tanh]")),
    "a head that changes nothing and none": (single("[tanh]", "head: [tanh]"), single("[tanh]")),
    "a size": (single("[tanh]"), single("[tanh]").replace("{x: [4]}", "{x: [5]}")),
    "true and one": (
        single("[{b: true}]", "blocks: {b: {params: {m: null}, body: [tanh]}}"),
        single("[{b: 1}]", "blocks: {b: {params: {m: null}, body: [tanh]}}"),
    ),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_equal_meaning(one: str, other: str) -> None:
    assert canonical(good(one)) == canonical(good(other))
    assert sha256(good(one)) == sha256(good(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_different_meaning(one: str, other: str) -> None:
    assert sha256(good(one)) != sha256(good(other))


def test_the_form_is_json_without_places() -> None:
    form = json.loads(canonical(good(single("[{linear: 4}]"))))
    assert form["deqc"] == 1
    assert form["main_layers"] == [[["linear", {"out": 4, "bias": True, "transpose": False}]]]
    assert form["solver"]["method"] == "auto"
    assert form["adjoint"]["linear_solver"]["options"] == {"atol": 0.0, "max_steps": 32, "rtol": 0.001}


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_hash_does_not_depend_on_the_run(seed: str) -> None:
    path = Path(__file__).parents[2] / "examples" / "specs" / "multiscale.yaml"
    code = (
        "import sys; from tests.spec.reading import good; from deqc.spec.canonical import sha256; "
        "print(sha256(good(open(sys.argv[1]).read())))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": seed},
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout.strip() == sha256(good(path.read_text(encoding="utf-8")))
