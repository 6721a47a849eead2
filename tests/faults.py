"""What strikes a release or its undo at one of its moments, in the process that runs it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from faberdb.connection import connect
from faberdb.errors import Failed
from faberdb.release.journal import Moment
from faberdb.target import open_target


def saboteur(fault: str, how: str, root: str = "") -> Callable[[Moment], None]:
    """A listener that strikes once.

    Args:
        fault: `step:stage:n`, the n-th such moment.
        how: `kill`, `fail`, or `drift`: somebody creates a table, and it goes on.
        root: the project's folder, for `drift`.
    """
    step, stage, count = fault.split(":")
    left = [int(count)]

    def strike(moment: Moment) -> None:
        if (moment.step, moment.stage.value) != (step, stage):
            return
        left[0] -= 1
        if left[0] != 0:
            return
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "drift":
            with open_target(root, "production") as target, connect(target.dsn, purpose="test") as conn:
                conn.execute("CREATE TABLE somebodys ()")
            return
        raise Failed(f"sabotaged at {fault}")

    return strike
