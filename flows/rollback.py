"""Rollback: take a release back, losing the least, destroying nothing."""

from __future__ import annotations

from typing import Any

from prefect import flow

from faberdb.errors import FaberError
from faberdb.plan import UndoWay
from faberdb.release.going_back import Part
from flows.code import checked_out
from flows.gate import permit_rollback
from flows.settings import FLOW, subflows
from tasks.naming import run_name
from tasks.releasing import exclusive
from tasks.reporting import publish_release, taken_back, undo_failed
from tasks.undoing import (
    choose_undo,
    close_rolled_back,
    count_later_rows,
    find_way_back,
    open_rollback,
    restore_snapshot_beside,
    settle_unfinished,
    swap_databases,
    take_safety_snapshot,
    undo_in_place,
    verify_undone,
)


@flow(name="rollback", flow_run_name=run_name("rollback"), **FLOW)
def rollback(
    project: str,
    environment: str,
    release: str = "",
    requester: str = "",
    cause: str = "",
    ref: str = "",
    to: str = "",
    snapshot: str = "",
) -> dict[str, Any]:
    """Take a release back, by hand or by the release flow itself; or all of them back to a revision or a snapshot.

    1. Find what to take back, and wait for a person where one is asked for.
    2. Hold the environment's release lock, and write the intention.
    3. Choose the way that loses the least.
    4. Abort: settle the revision whose transaction failed. Or else take a safety snapshot, and then:
       down or inverse, in one transaction inside the database; where neither leads back, restore the
       release's snapshot beside, exchange the names, and count the rows that came after in the database
       that was set aside.
    5. Verify that the schema is what it was, and close.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        environment: Name of the environment in faber-db.toml.
        release: Id of the release; empty for the newest of the environment.
        requester: Who asks.
        cause: Why it is taken back; kept in the ledger.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
        to: Revision that becomes the last applied one; instead of a release.
        snapshot: Id of a snapshot that takes the database's place; instead of a release.
    """
    with checked_out(project, ref) as project:
        ended: dict[str, Any] = {}
        for part in find_way_back(project, environment, release, to, snapshot):
            ended = take_back_part(project, environment, part, requester, cause)
        return ended


def take_back_part(project: str, environment: str, part: Part, requester: str, cause: str) -> dict[str, Any]:
    """The runbook for one release, or for one snapshot, which a restoration takes too."""
    cause = cause or part.cause
    release_id = permit_rollback(project, environment, part.release, part.snapshot, requester, cause)
    undo_release(project, environment, release_id, cause, requester)
    return publish_release(project, environment, release_id)


def undo_release(project: str, environment: str, release_id: str, cause: str, requester: str) -> None:
    """Steps 2 to 5 of the runbook."""
    with exclusive(project, environment, release_id):
        open_rollback(project, environment, release_id, cause or "asked by hand", requester)
        way = choose_undo(project, environment, release_id)
        if way == UndoWay.ABORT:
            settle_unfinished(project, environment, release_id)
        else:
            take_safety_snapshot(project, environment, release_id)
            if not (UndoWay(way).in_place and undo_in_place(project, environment, release_id)):
                way = UndoWay.RESTORE_AND_SWAP
                restore_snapshot_beside(project, environment, release_id)
                swap_databases(project, environment, release_id)
                count_later_rows(project, environment, release_id)
        verify_undone(project, environment, release_id)
        close_rolled_back(project, environment, release_id, way)


def take_back(project: str, environment: str, release_id: str, cause: str) -> FaberError:
    """Run the compensating flow after a failure; returns the error to raise, which carries both causes."""
    try:
        with subflows():
            rollback(project, environment, release_id, cause=cause)
    except FaberError as error:
        return undo_failed(project, environment, release_id, error, cause)
    return taken_back(project, environment, release_id, cause)
