"""How the interpreter runs for a command: it lives for a second, and most of that goes into imports."""

from __future__ import annotations

import atexit
import gc
import sys

_ALLOCATED = 100_000  # objects between two looks for cycles; importing makes 85,000 that all stay
_TURN_S = 0.0005


def make_ready() -> None:
    """Look for cycles rarely and not at the end, and let a thread that has an answer go on while others import.

    By Python's defaults importing looks through all objects 120 times and the end of the process once more, and
    a thread whose server answered waits 5 ms for its turn.
    """
    gc.set_threshold(_ALLOCATED)
    sys.setswitchinterval(_TURN_S)
    atexit.register(gc.freeze)
