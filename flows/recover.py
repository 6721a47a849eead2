"""Recover: a run died; its release is continued or taken back."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.code import checked_out
from flows.settings import FLOW
from tasks.recovering import decide_recovery, read_dead_run, start_recovery


@flow(name="recover", **FLOW)
def recover(run: str) -> dict[str, Any]:
    """Started by an automation when a run crashed.

    1. Read what the dead run was for.
    2. Ask the ledger what becomes of its release: a living process keeps it, a step that failed takes it
       back, anything else is continued. After three tries it is left to a person.
    3. Start that one run.

    Args:
        run: Id of the run that died.
    """
    dead = read_dead_run(run)
    with checked_out(dead.project, dead.ref) as project:
        return start_recovery(dead, decide_recovery(project, dead))
