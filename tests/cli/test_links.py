"""What deqc writes stays in its folder, whatever links a stranger put there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.cli.test_commands import GOOD, call

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links of POSIX")

SWEPT = GOOD.replace("input:", "constants: {c: 1}\ninput:").replace("tanh", 'tanh, {times: "${c}"}')
UNTIDY = GOOD.replace("input: {", "input:   {")
LEFT = re.compile("leads out of its folder and stays as it is|must be a folder inside the project")

# Each writes below `work`, or would: the command, and the path at which a link may stand.
COMMANDS = {
    "compile": (["compile", "good.yaml"], "tiny_model.py"),
    "compile to a folder": (["compile", "good.yaml", "-o", "out/"], "out/tiny_model.py"),
    "compile to a deep folder": (["compile", "good.yaml", "-o", "out/deep/"], "out/deep/tiny_model.py"),
    "compile to a file": (["compile", "good.yaml", "-o", "out/model.py"], "out/model.py"),
    "a sweep": (["compile", "swept.yaml", "-o", "out/", "--set", "c=1,2"], "out/tiny_model_c_2.py"),
    "compile beside a spec": (["compile", "out/good.yaml"], "out/tiny_model.py"),
    "the configured folder": (["compile", "--config", "named.toml"], "out/tiny_model.py"),
    "graph": (["graph", "good.yaml", "-o", "out/model.svg"], "out/model.svg"),
    "fmt": (["fmt", "out/good.yaml"], "out/good.yaml"),
    "init": (["init", "dense", "fresh"], "deqc-1.schema.json"),
}
ALL = pytest.mark.parametrize(("command", "file"), COMMANDS.values(), ids=COMMANDS)
IN_A_FOLDER = pytest.mark.parametrize(
    ("command", "file"),
    [c for c in COMMANDS.values() if "/" in c[1]],
    ids=[n for n, c in COMMANDS.items() if "/" in c[1]],
)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with specs, and beside it a folder that is nobody's business."""
    folder, outside = tmp_path / "work", tmp_path / "outside"
    (folder / "out").mkdir(parents=True)
    outside.mkdir()
    for name in ("good.yaml", "out/good.yaml"):
        (folder / name).write_text(UNTIDY)
    (folder / "swept.yaml").write_text(SWEPT)
    (folder / "named.toml").write_text('specs = ["good.yaml"]\noutput = "out"\n')
    monkeypatch.chdir(folder)
    return folder


def linked(work: Path, file: str, to: Path) -> None:
    """Puts a link at a file's place; what stood there goes to where it leads."""
    place = work / file
    place.parent.mkdir(exist_ok=True)
    if place.exists():
        to.write_bytes(place.read_bytes())
        place.unlink()
    place.symlink_to(to)


def contents(folder: Path) -> dict[str, bytes | None]:
    """All below a folder, links not followed."""
    return {
        str(one.relative_to(folder)): one.read_bytes() if one.is_file() and not one.is_symlink() else None
        for one in sorted(folder.rglob("*"))
    }


@ALL
def test_without_links_all_of_it_is_written(work: Path, command: list[str], file: str) -> None:
    call(*command)
    assert (work / file).is_file()


@ALL
def test_a_link_to_a_file_outside(work: Path, command: list[str], file: str) -> None:
    linked(work, file, work.parent / "outside/file")
    (work.parent / "outside/file").touch()
    before = contents(work.parent)
    result = call(*command, status=2 if command[0] != "init" else 0)
    assert bool(LEFT.search(result.stderr)) == (command[0] != "init")  # init leaves a schema that is there
    assert contents(work.parent / "outside") == {"file": before["outside/file"]}
    if command[0] != "init":
        assert contents(work.parent) == before  # neither half of it, nor the other modules of a sweep


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "fmt"])  # which reads what it writes
def test_a_link_to_a_file_outside_that_is_not_there(work: Path, name: str) -> None:
    command, file = COMMANDS[name]
    linked(work, file, work.parent / "outside/file")
    before = contents(work.parent)
    assert LEFT.search(call(*command, status=2).stderr)
    assert contents(work.parent) == before


@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
@pytest.mark.parametrize(
    ("name", "there"),
    [
        (name, there)
        for name, (command, file) in COMMANDS.items()
        for there in (True, False)
        if "/" in file and (there or "out/good.yaml" not in command)  # a spec in there is gone with it
    ],
)
def test_a_link_to_a_folder_outside(work: Path, name: str, absolute: bool, there: bool) -> None:
    command = COMMANDS[name][0]
    outside = work.parent / "outside"
    if absolute:
        command = [f"{work}/{one}" if "/" in one else one for one in command]
    (work / "out").rename(outside / "moved") if there else (work / "out/good.yaml").unlink()
    if not there:
        (work / "out").rmdir()
    (work / "out").symlink_to(outside / "moved")
    before = contents(work.parent)
    assert LEFT.search(call(*command, status=1 if "--config" in command else 2).stderr)
    assert contents(work.parent) == before


@IN_A_FOLDER
def test_a_link_from_a_folder_inside_to_one_outside(work: Path, command: list[str], file: str) -> None:
    """The link is neither the first part nor the last."""
    linked_folder = work / "a/out"
    linked_folder.parent.mkdir()
    (work / "out").rename(work.parent / "outside/out")
    linked_folder.symlink_to(work.parent / "outside/out")
    (work / "named.toml").write_text('specs = ["good.yaml"]\noutput = "a/out"\n')
    before = contents(work.parent)
    assert LEFT.search(
        call(
            *[f"a/{one}" if one.startswith("out/") else one for one in command],
            status=1 if "--config" in command else 2,
        ).stderr
    )
    assert contents(work.parent) == before


@ALL
def test_a_link_to_what_is_beside_it_is_followed_and_stays(work: Path, command: list[str], file: str) -> None:
    linked(work, file, (work / file).with_name("aside"))
    call(*command)
    assert (work / file).is_symlink()
    assert "3" in (work / file).with_name("aside").read_text()
    assert UNTIDY not in (work / file).with_name("aside").read_text()


@ALL
def test_a_loop_of_links_ends(work: Path, command: list[str], file: str) -> None:
    (work / file).parent.mkdir(exist_ok=True)
    (work / file).unlink(missing_ok=True)
    (work / file).symlink_to("loop")
    (work / file).with_name("loop").symlink_to(Path(file).name)
    outside = contents(work.parent / "outside")
    call(*command, status=0 if command[0] == "init" else 2)
    assert contents(work.parent / "outside") == outside == {}


def test_folders_named_outside_are_the_callers(work: Path) -> None:
    """Who writes out a path means it, also through links that are none of the project's."""
    (work.parent / "link").symlink_to(work.parent / "outside")
    call("compile", "good.yaml", "-o", f"{work.parent / 'link'}/")
    assert (work.parent / "outside/tiny_model.py").is_file()
    call("compile", "good.yaml", "-o", "../outside/second/")
    assert (work.parent / "outside/second/tiny_model.py").is_file()


def test_a_link_put_there_meanwhile_is_replaced_and_not_followed(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the move somebody makes the file a link: the link goes, and where it led stays as it was."""
    victim = work.parent / "outside/victim.py"
    victim.write_text("mine = 1\n")
    move = os.replace

    def late(source: str, target: Path) -> None:
        Path(target).symlink_to(victim)
        move(source, target)

    monkeypatch.setattr(os, "replace", late)
    call("compile", "good.yaml", "-o", "out/")
    assert victim.read_text() == "mine = 1\n"
    assert not (work / "out/tiny_model.py").is_symlink()


def test_what_compile_would_refuse_is_not_read_by_check(work: Path) -> None:
    linked(work, "tiny_model.py", work.parent / "outside/file")
    (work.parent / "outside/file").write_text('"""Generated by deqc 0 from the spec\nsecret\n')
    result = call("compile", "good.yaml", "--check", status=2)
    assert LEFT.search(result.stderr)
    assert "secret" not in result.output
