"""Functions that run in a process of their own; importing this module imports the flows."""

from __future__ import annotations

import sys
from pathlib import Path

import fastapi  # noqa: F401 -- Prefect imports it in a process's first run; here once for all
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from faberdb.errors import FaberError
from faberdb.policy import Autonomy
from faberdb.release.journal import LISTENERS
from flows.evaluate import evaluate
from flows.release import release
from flows.rollback import rollback
from tests.faults import saboteur

TOLD = ".told"
"""The file in the project's folder with the last release's error."""


def run_release(root: str, fault: str = "", how: str = "", requester: str = "Priya") -> None:
    """Run the release flow; exit with the error's code, or die at the fault.

    Args:
        root: the project's folder.
        fault: `step:stage:n`, the n-th such moment; "" for none.
        how: `kill`, `fail`, or `drift`: somebody creates a table, and it goes on.
    """
    _run(lambda: release(root, "production", requester=requester), fault, how, root)


def run_staging(root: str, autonomy: str) -> None:
    """Run the release flow for staging at a level of autonomy."""
    _run(lambda: release(root, "staging", requester="Priya", autonomy=Autonomy(autonomy)), "", "")


def run_evaluate(root: str) -> None:
    """Run the evaluate flow."""
    _run(lambda: evaluate(root, requester="Priya"), "", "")


def run_rollback(
    root: str, release_id: str, fault: str = "", how: str = "", requester: str = "Priya"
) -> None:
    """Run the rollback flow likewise."""
    _run(lambda: rollback(root, "production", release=release_id, requester=requester), fault, how)


def run_rollback_to(root: str, revision: str, snapshot: str = "") -> None:
    """Run the rollback flow back to a revision, or to a snapshot."""
    _run(lambda: rollback(root, "production", to=revision, snapshot=snapshot, requester="Priya"), "", "")


def _run(flow: object, fault: str, how: str, root: str = "") -> None:
    if fault:
        LISTENERS.append(saboteur(fault, how, root))
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            flow()  # type: ignore[operator]
    except FaberError as error:
        print(error, file=sys.stderr)
        if root:  # what a fork writes to stderr, no test reads for certain
            Path(root, TOLD).write_text(str(error))
        sys.exit(error.exit_code)
