"""The command `imgsearch`."""

from __future__ import annotations

import os
import signal
import sys

from imgsearch import _native
from imgsearch import _runtime as _runtime


def main() -> int:
    """Runs the command that `sys.argv` names, and returns its exit status."""
    # Python's handler only takes note of Ctrl-C, which would wait for the end of the command. What the command does
    # about it, it says itself; a signal that is ignored stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # As the program does without Python: threads for element-wise operations wait longer for each other than they save.
    os.environ.setdefault("CANDLE_NUM_THREADS", "1")
    return _native.run_program(["imgsearch", *sys.argv[1:]])
