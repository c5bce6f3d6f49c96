"""`python -m deqc`, and the console script."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys


def main() -> None:
    """Runs the command line.

    A reader that closes our pipe ends us quietly, as it ends other tools. A fault of deqc's own ends in one line and
    status 3; with DEQC_TRACEBACK set, in its traceback.
    """
    gc.set_threshold(100_000)  # one compilation leaves next to nothing to collect: looking for it costs a tenth
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without ∂ is no reason to fail
    try:
        from deqc.cli.main import deqc

        deqc(prog_name="deqc")
    except Exception as fault:
        if os.environ.get("DEQC_TRACEBACK"):
            raise
        print(f"deqc: internal error: {type(fault).__name__}: {fault}", file=sys.stderr)
        print(
            "This is a fault of deqc, not of the spec. DEQC_TRACEBACK=1 shows where; please report it.", file=sys.stderr
        )
        sys.exit(3)


if __name__ == "__main__":
    main()
