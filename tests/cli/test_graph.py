"""`deqc graph`: what stands in the picture, that it is well-formed, and that text stays text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from deqc.cli.main import deqc
from deqc.compiler import compile_text
from deqc.picture import mermaid, scene, svg
from deqc.picture.scene import Box, Scene

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples/specs").glob("*.yaml"))
MULTISCALE = next(path for path in EXAMPLES if path.stem == "multiscale")
SVG = "{http://www.w3.org/2000/svg}"


def call(*arguments: str | Path, status: int = 0) -> Result:
    result = CliRunner().invoke(deqc, ["graph", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result


def drawn(path: Path) -> Scene:
    return scene(compile_text(path.read_text(encoding="utf-8"), "m.yaml"))


def texts(picture: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(picture).iter(f"{SVG}text")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    content = drawn(path)
    picture = svg(content)
    assert svg(drawn(path)) == picture
    root = ElementTree.fromstring(picture)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for one in root.iter(f"{SVG}rect"):
        if "class" in one.attrib:
            assert 0 <= float(one.attrib["x"]) <= float(one.attrib["x"]) + float(one.attrib["width"]) <= width
            assert 0 <= float(one.attrib["y"]) <= float(one.attrib["y"]) + float(one.attrib["height"]) <= height
    shown = texts(picture)
    for box in (*content.inputs, *content.encoder, *content.main, *content.head):
        assert box.name in shown
        assert box.shape in shown
    assert mermaid(content).count("main_0[") == 1


def test_the_mapping_matrix() -> None:
    shown = texts(svg(drawn(MULTISCALE)))
    assert [shown.count(f"dense {size}") for size in (4, 3, 2, 1)] == [3, 3, 3, 3]
    assert svg(drawn(MULTISCALE)).count('class="identity"') == 4
    edges = [line for line in mermaid(drawn(MULTISCALE)).splitlines() if " -->|" in line and "main_" in line.split()[0]]
    assert len(edges) == 16


def test_what_is_hoisted_stands_outside_of_the_loop() -> None:
    assert drawn(MULTISCALE).hoisted == (("inject", "(B, 10)"),)
    assert drawn(MULTISCALE).main[0].reads == (("x", "(B, 4)"),)


def test_sixteen_scales() -> None:
    sizes = ", ".join(f"[{k + 2}]" for k in range(16))
    text = (
        f"deqc: 1\nname: M\ninput: {{x: [4]}}\nscales: [{sizes}]\nmain_layers: {{each: tanh}}\n"
        'mapping_layers: {down: {linear: "${to.features}"}, up: null}\n'
    )
    picture = svg(scene(compile_text(text, "m.yaml")))
    assert picture.count('class="mapping"') == 120
    assert picture.count('class="identity"') == 16
    assert len(picture) < 100_000


def test_text_stays_text() -> None:
    content = drawn(MULTISCALE)
    bad = "</text><script>&\"'`|]\n--> end"
    hostile = replace(content, name=bad, head=(Box(bad, (bad,), bad),))
    root = ElementTree.fromstring(svg(hostile))
    assert not list(root.iter(f"{SVG}script"))
    text = mermaid(hostile)
    assert len(text.splitlines()) == len(mermaid(replace(content, head=(Box("a", ("a",), "a"),))).splitlines())
    assert "<script" not in text
    assert "`" not in text


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "model.svg"
    assert call(MULTISCALE, "-o", file).stdout == f"{file} written\n"
    assert call(MULTISCALE, "-o", file).stdout == f"{file} is up to date\n"
    assert file.read_bytes() == call(MULTISCALE).stdout_bytes
    call(MULTISCALE, "-o", tmp_path / "model.mmd")
    assert (tmp_path / "model.mmd").read_text() == call(MULTISCALE, "--format", "mermaid").stdout
    for name in (file, tmp_path / "model.mmd"):  # drawn anew where the model is another
        old = name.read_bytes()
        assert call(MULTISCALE.with_name("dense.yaml"), "-o", name).stdout == f"{name} written\n"
        assert name.read_bytes() != old
    file.write_text("mine")
    assert "stays as it is" in call(MULTISCALE, "-o", file, status=2).stderr


def test_the_name_of_the_file_says_what_it_holds(tmp_path: Path) -> None:
    call(MULTISCALE, "-o", tmp_path / "model.md")
    lines = (tmp_path / "model.md").read_text().splitlines(keepends=True)
    assert (lines[0], lines[-1]) == ("```mermaid\n", "```\n")
    assert "".join(lines[1:-1]) == call(MULTISCALE, "--format", "mermaid").stdout
    assert "is up to date" in call(MULTISCALE, "-o", tmp_path / "model.md").stdout
    for name, form, words in (
        ("m.png", None, "must end in .svg or .mmd or .md"),
        ("m", None, "must end in .svg or .mmd or .md"),
        ("m.svg", "mermaid", "must end in .mmd or .md"),
        ("m.mmd", "svg", "must end in .svg:"),
    ):
        option = [] if form is None else ["--format", form]
        assert words in " ".join(call(MULTISCALE, "-o", tmp_path / name, *option, status=2).stderr.split())
        assert not (tmp_path / name).exists()


def test_a_wrong_spec(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("deqc: 1\n")
    call(tmp_path / "m.yaml", status=1)
