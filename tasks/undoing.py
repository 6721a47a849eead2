"""The steps of a rollback, one task each."""

from __future__ import annotations

from typing import Any

from prefect import task

from faberdb.plan import UndoWay
from faberdb.release import rollback, undo
from faberdb.release import undo_in_place as in_place
from faberdb.release.going_back import Part, way_to
from tasks.policies import IDEMPOTENT, ONCE, READ
from tasks.resolving import environment_of, release_of


@task(**READ)
def find_way_back(project: str, environment: str, release: str, to: str, snapshot: str) -> list[Part]:
    """What to take back, newest first: releases, or all that came after one snapshot."""
    with environment_of(project, environment) as target:
        return list(way_to(target, release=release, revision=to, snapshot=snapshot))


@task(**ONCE)
def open_rollback(project: str, environment: str, release: str, cause: str, requester: str) -> str:
    """Write the intention to take the release back; returns its id."""
    with release_of(project, environment, release) as (target, record):
        return rollback.open_rollback(target, record, cause=cause, requester=requester).id


@task(**READ)
def choose_undo(project: str, environment: str, release: str) -> str:
    """Ask the database what is there, and choose the way that loses the least."""
    with release_of(project, environment, release) as (target, record):
        return rollback.choose_way(target, record).value


@task(**IDEMPOTENT)
def settle_unfinished(project: str, environment: str, release: str) -> dict[str, Any]:
    """Mark revisions whose transaction was aborted, so that the next release may run."""
    with release_of(project, environment, release) as (target, record):
        return undo.settle_unfinished(target, record)


@task(**IDEMPOTENT)
def take_safety_snapshot(project: str, environment: str, release: str) -> dict[str, Any]:
    """Keep the database as it is before a person takes a release back."""
    with release_of(project, environment, release) as (target, record):
        return undo.safety_snapshot(target, record)


@task(**IDEMPOTENT)
def undo_in_place(project: str, environment: str, release: str) -> bool:
    """Take the release back inside its database; whether that led back, else the snapshot has to."""
    with release_of(project, environment, release) as (target, record):
        return bool(in_place.undo_in_place(target, record)["undone"])


@task(**IDEMPOTENT)
def restore_snapshot_beside(project: str, environment: str, release: str) -> dict[str, Any]:
    """Restore the snapshot beside the live database and prove it."""
    with release_of(project, environment, release) as (target, record):
        return undo.restore_release(target, record)


@task(**IDEMPOTENT)
def swap_databases(project: str, environment: str, release: str) -> dict[str, Any]:
    """Exchange the names; the failed database is set aside."""
    with release_of(project, environment, release) as (target, record):
        return undo.swap_back(target, record)


@task(**IDEMPOTENT)
def count_later_rows(project: str, environment: str, release: str) -> dict[str, Any]:
    """Count what was written after the snapshot, in the database that was set aside."""
    with release_of(project, environment, release) as (target, record):
        return undo.count_later_rows(target, record)


@task(**READ)
def verify_undone(project: str, environment: str, release: str) -> dict[str, Any]:
    """The schema is what it was before."""
    with release_of(project, environment, release) as (target, record):
        return undo.verify_undone(target, record)


@task(**ONCE)
def close_rolled_back(project: str, environment: str, release: str, way: str) -> dict[str, Any]:
    """Write the end, with both causes."""
    with release_of(project, environment, release) as (target, record):
        return undo.close_rolled_back(target, record, UndoWay(way))
