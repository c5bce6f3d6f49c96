"""How long `deqc compile` takes from the shell, against the import of the libraries it stands on.

The goal for the four-scale example: at most 0.4 s, and at most 2.5 times the import of PyYAML, Jinja2 and jsonschema.
Times are of the processor, which other work on the machine changes least; Python may keep compiled modules, as always.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

SPEC = Path(__file__).resolve().parents[1] / "examples/specs/multiscale.yaml"
SECONDS, RATIO = 0.4, 2.5
COMMANDS = {
    "python alone": ("-c", "pass"),
    "import yaml, jinja2, jsonschema": ("-c", "import yaml, jinja2, jsonschema"),
    "deqc --version": ("-m", "deqc", "--version"),
    "deqc --help": ("-m", "deqc", "--help"),
    "deqc check": ("-m", "deqc", "check", str(SPEC)),
    "deqc compile": ("-m", "deqc", "compile", "--stdout", str(SPEC)),
}


def main() -> int:
    """Prints the medians; status 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs + 1):  # interleaved, so that a busy moment of the machine meets all alike
        for name, command in COMMANDS.items():
            times[name].append(_processor_time([sys.executable, *command]))
    medians = {name: statistics.median(seconds[1:]) for name, seconds in times.items()}  # the first filled the caches
    for name, seconds in medians.items():
        print(f"{name:<32} {seconds * 1e3:6.0f} ms")
    compiling = medians["deqc compile"]
    ratio = compiling / medians["import yaml, jinja2, jsonschema"]
    print(f"{ratio:.2f} times the imports; goals: {SECONDS * 1e3:.0f} ms and {RATIO} times")
    return 0 if compiling <= SECONDS and ratio <= RATIO else 1


def _processor_time(command: list[str]) -> float:
    """The seconds that a command keeps a processor busy."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
