"""No command opens a socket or looks up a name, whatever addresses stand in a spec."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Events of Python itself (PEP 578): raised before the call is made, wherever it comes from.
WATCHED = """
import sys

def watch(event, arguments):
    if event.startswith(("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "subprocess.", "os.system", "os.exec")):
        print("OPENED", event, file=sys.stderr)
        sys.stderr.flush()
        import os
        os._exit(86)

sys.addaudithook(watch)
"""
RUN = f"{WATCHED}\nfrom deqc.__main__ import main\nsys.argv[0] = 'deqc'\nmain()\n"
SPEC = """\
# yaml-language-server: $schema=http://127.0.0.1:9/deqc-1.schema.json
# $ref: http://127.0.0.1:9/other.json
deqc: 1
name: Model
description: "http://127.0.0.1:9/ and {$ref: http://127.0.0.1:9/}"
input: {x: [4]}
scale: [4]
main_layers: [{sum: [{linear: 4}, $x]}, tanh]
"""
REMOTE = '$schema: http://127.0.0.1:9/s.json\n$ref: "http://127.0.0.1:9/spec.yaml"\n' + SPEC


def run(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "control",
    [
        "import socket; socket.socket()",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
        "import subprocess; subprocess.run(['true'])",
    ],
)
def test_the_watch_sees_what_it_is_for(control: str, tmp_path: Path) -> None:
    assert run(f"{WATCHED}\n{control}", folder=tmp_path).returncode == 86


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("check spec.yaml", 0),
        ("check remote.yaml", 1),
        ("compile spec.yaml", 0),
        ("compile remote.yaml", 1),
        ("explain spec.yaml", 0),
        ("explain E031", 0),
        ("graph spec.yaml", 0),
        ("fmt spec.yaml remote.yaml", 0),
        ("diff spec.yaml other.yaml", 1),
        ("diff spec.yaml remote.yaml", 1),
        ("schema", 0),
        ("init dense fresh", 0),
    ],
)
def test_a_command_stays_off_the_network(command: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "other.yaml").write_text(SPEC.replace("tanh", "sin"))
    (tmp_path / "remote.yaml").write_text(REMOTE)
    done = run(RUN, *command.split(), folder=tmp_path)
    assert done.returncode == status, done.stderr
    assert "OPENED" not in done.stderr


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/spec.yaml", "//127.0.0.1/spec.yaml", "file:///etc/passwd"])
def test_an_address_is_not_a_spec(address: str, tmp_path: Path) -> None:
    done = run(RUN, "check", address, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "OPENED" not in done.stderr
