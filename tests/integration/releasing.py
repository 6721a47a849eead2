"""Releases without Prefect: the steps of the release and rollback flows, one after the other."""

from __future__ import annotations

from faberdb.connection import connect
from faberdb.release import execution, permission, rollback, undo
from faberdb.release.approval import Decision, Vote
from faberdb.release.lock import hold_environment
from faberdb.release.opening import close_release
from faberdb.release.record import Outcome, Release, read_release
from faberdb.target import Target, open_target
from tests.flows.shoplet import Shoplet


def with_snapshot(target: Target, release: Release) -> Release:
    """The release with its snapshot, taken and proven."""
    execution.snapshot_release(target, release)
    execution.prove_release_snapshot(target, read_release(target.ledger, release.id))
    return read_release(target.ledger, release.id)


def begin(shoplet: Shoplet, target: Target) -> Release:
    """Up to the moment after the revisions ran: approved, with its snapshot, and open."""
    release = shoplet.approve()
    execution.check_plan(target, release)
    release = with_snapshot(target, release)
    with hold_environment(target.dsn, release.id):
        execution.apply_release(target, release)
    return read_release(target.ledger, release.id)


def land(shoplet: Shoplet) -> Release:
    """Release what is pending in production."""
    with open_target(shoplet.root, "production") as target:
        release = begin(shoplet, target)
        seen = execution.verify_revisions(target, release)
        close_release(target, release, Outcome.RELEASED, fingerprint=seen["fingerprint"])
        return read_release(target.ledger, release.id)


def begin_undo(target: Target, release: Release) -> Release:
    """Up to the moment after the databases' names were exchanged, agreed to by another person."""
    if permission.ask_rollback(target, release, requester="Priya", cause="test"):
        digest = permission.rollback_digest(release)
        vote = Vote(digest=digest, decision=Decision.APPROVE, approver="Morgan")
        permission.cast_rollback_vote(target, release, vote)
    rollback.open_rollback(target, release, cause="test", requester="Priya")
    with hold_environment(target.dsn, release.id):
        for step in (rollback.choose_way, undo.safety_snapshot, undo.restore_release, undo.swap_back):
            step(target, read_release(target.ledger, release.id))
    return read_release(target.ledger, release.id)


def end_undo(target: Target, release: Release) -> Release:
    """From there to its end."""
    undo.count_later_rows(target, release)
    undo.verify_undone(target, release)
    undo.close_rolled_back(target, release, rollback.choose_way(target, release))
    return read_release(target.ledger, release.id)


def write(target: Target, *statements: str) -> None:
    with connect(target.dsn, purpose="test") as conn:
        for statement in statements:
            conn.execute(statement.encode())


def read(target: Target, query: str, database: str = "") -> list[tuple[object, ...]]:
    with connect(target.dsn.with_database(database or target.dsn.database), purpose="test") as conn:
        return conn.execute(query.encode()).fetchall()
