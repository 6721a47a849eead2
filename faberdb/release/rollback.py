"""Deciding about an undo: which release, whether it may be taken back, and by which way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faberdb.connection import connect
from faberdb.errors import CompensationFailed, Refused
from faberdb.ledger import Kind
from faberdb.plan import Plan, UndoWay
from faberdb.progress import Progress
from faberdb.release.evidence import Evidence, find_evidence
from faberdb.release.execution import journal_of
from faberdb.release.leftovers import UNDOING, hold_tool
from faberdb.release.permission import require_rollback_permission
from faberdb.release.record import Outcome, Release, newest_touching, read_release
from faberdb.release.undo_in_place import refuse_to_go_back_far
from faberdb.revision import Standing
from faberdb.target import Target


def open_rollback(target: Target, release: Release, *, cause: str, requester: str) -> Release:
    """Write the intention to take a release back.

    Args:
        cause: why; kept in the ledger and reported with the outcome.
        requester: the person who asked, "" when the release flow takes back its own release.

    Raises:
        Refused: there is nothing to take back.
        CompensationFailed: it was tried by itself as often as the policy allows.
        NotApproved, ApprovalPending: it ended well while the lock was waited for, and nobody agreed to this.
    """
    check_can_roll_back(target, release)
    require_rollback_permission(target, release)  # asked before the lock, and again now that nothing moves
    tries = len(target.ledger.entries(release=release.id, kind=Kind.ROLLBACK_OPENED))
    allowed = target.environment.policy.max_auto_rollback_attempts
    if not requester and tries >= allowed:
        raise CompensationFailed(
            f"Release {release.id} was tried to be taken back {tries} times; it stops here and keeps all.",
            why=release.cause,
            next_step=f"faber-db rollback {release.environment} --release {release.id}",
        )
    target.ledger.append(
        Kind.ROLLBACK_OPENED,
        release=release.id,
        environment=release.environment,
        actor=requester or "faber-db",
        body={"cause": cause},
    )
    return read_release(target.ledger, release.id)


def find_release(target: Target, release: str) -> Release:
    """A release of this environment by id, or the newest that changed it.

    Raises:
        Refused: there is none, or it belongs to another environment.
    """
    if release:
        found: Release | None = read_release(target.ledger, release)
    else:
        found = newest_touching(target.ledger, target.name)
    if found is None:
        raise Refused(
            f"{target.name} has no release to take back.", next_step=f"faber-db status {target.name}"
        )
    if found.environment != target.name:
        raise Refused(
            f"Release {found.id} belongs to {found.environment}, not to {target.name}.",
            next_step=f"faber-db rollback {found.environment} --release {found.id}",
        )
    return found


def check_can_roll_back(target: Target, release: Release) -> None:
    """Refuse what makes no sense, before anybody is asked.

    Raises:
        Refused: it changed nothing, was taken back already, or newer releases stand on it.
    """
    if release.outcome in {Outcome.ROLLED_BACK, Outcome.ABORTED}:
        raise Refused(f"Release {release.id} was taken back already.", next_step="faber-db status")
    if not release.touched:
        raise Refused(
            f"Release {release.id} changed nothing, so there is nothing to take back.",
            next_step="faber-db status",
        )
    newer = newest_touching(target.ledger, release.environment)
    if newer is not None and newer.id != release.id:
        raise Refused(
            f"Release {newer.id} came after {release.id} and would be lost with it.",
            why="Restoring an older snapshot takes every later release back too.",
            next_step=f"faber-db rollback {release.environment} --release {newer.id}",
        )


def choose_way(target: Target, release: Release) -> UndoWay:
    """What has to be done now, by asking the database what is there.

    Raises:
        CompensationFailed: effects stay and the plan has no way to take them back.
    """
    decided = release.done("choose undo")
    if decided is not None:
        return UndoWay(decided["way"])

    def look(progress: Progress) -> Mapping[str, Any]:
        planned = {s.revision for s in release.plan.steps}
        with (
            connect(target.dsn, purpose=f"{UNDOING} {release.id}") as conn,
            # Another session in the middle of a revision would be judged as nothing done, and then commit.
            hold_tool(target, conn, release.id, progress),
        ):
            tracked = target.tool.tracked(conn)
        effects = [t.name for t in tracked if t.name in planned and t.standing is Standing.APPLIED]
        partly = [t.name for t in tracked if t.name in planned and t.standing.unresolved]
        atomic = {s.revision for s in release.plan.steps if s.atomic}
        if not effects and set(partly) <= atomic and target.fingerprint() == release.plan.fingerprint:
            return {"way": UndoWay.ABORT.value, "unfinished": partly}
        way, why = proven_way(release.plan, find_evidence(target, release.digest))
        if way.in_place:
            return {"way": way.value, "effects": effects + partly}
        if way is UndoWay.RESTORE_AND_SWAP:
            refuse_to_go_back_far(target, release)
            return {"way": way.value, "effects": effects + partly} | ({"why": why} if why else {})
        raise CompensationFailed(
            f"{release.environment} keeps {', '.join(effects + partly) or 'a changed schema'}: the plan had"
            " no way to take it back.",
            why=release.plan.undo.why,
            next_step="fix it forward with a new revision, or restore a snapshot: faber-db restore"
            f" {release.environment} --from ID",
        )

    return UndoWay(journal_of(target, release).ensure("choose undo", look)["way"])


def proven_way(plan: Plan, evidence: Evidence | None) -> tuple[UndoWay, str]:
    """The plan's way, or its fallback where the rehearsal showed that the way does not lead back.

    An inverse proves itself again when it runs, so it needs no rehearsal. A down script may do anything: without the
    proof of a rehearsal it gives way to a fallback.

    Returns:
        The way, and why it is not the plan's own, "" where it is.
    """
    undo = plan.undo
    if not undo.way.in_place:
        return undo.way, ""
    refuted = evidence.undo_refuted if evidence is not None else ""
    proven = evidence is not None and evidence.undo_ok is True and not refuted
    if undo.way is UndoWay.DOWN and not proven and undo.fallback is not UndoWay.NONE:
        return undo.fallback, refuted or "the down scripts were not proven in a rehearsal"
    return (undo.fallback, refuted) if refuted else (undo.way, "")
