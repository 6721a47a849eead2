"""Runs that were left in mid-flight by a stack that ended, or was killed, with everything that ran them.

Their heartbeats' end is noticed only by a server that heard them, and a new one did not. So the next stack
settles them, where nobody else can have been running them.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from deployments.api import PrefectApi
from faberdb.progress import Progress

_BEGUN = ("RUNNING", "CANCELLING")
_NOT_BEGUN = "PENDING"


class LostRun(Struct, frozen=True, kw_only=True):
    """A run without a process."""

    id: str
    name: str
    begun: bool  # False: a worker took it and had not started it
    top: bool  # False: another run's part, and that one is settled


def lost_runs(api: PrefectApi) -> list[LostRun]:
    """What is in mid-flight; asked before any worker of the new stack runs, so all of it is lost."""
    return [
        LostRun(
            id=run["id"],
            name=run["name"],
            begun=run["state"]["type"] in _BEGUN,
            top=run["parent_task_run_id"] is None,
        )
        for run in api.runs_in(*_BEGUN, _NOT_BEGUN)
    ]


def settle(api: PrefectApi, lost: Sequence[LostRun], *, recover: bool, progress: Progress) -> None:
    """Let what had not begun begin again, and mark the others crashed.

    Args:
        api: the stack's Prefect, with the deployments registered.
        lost: what `lost_runs` found.
        recover: have the ledger asked what becomes of their releases; an automation may do so too, and
            recovering twice is recovering once.
        progress: told each one.
    """
    for run in lost:
        if not run.begun and run.top:
            progress(f"the run {run.name} begins again: its worker ended before it began")
            api.set_state(run.id, "SCHEDULED", "Scheduled", "Its worker ended before it began.")
            continue
        api.set_state(run.id, "CRASHED", "Crashed", "What ran it was ended.")
        if run.top and recover:
            progress(f"the run {run.name} was cut off; the ledger is asked what becomes of its release")
            api.create_run("recover/faber-db", {"run": run.id}, key=f"lost-{run.id}")
