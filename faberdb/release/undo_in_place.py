"""The step of a rollback that takes a release back inside its database, and what it falls back to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from typing import Any

from faberdb.connection import Connection, connect
from faberdb.database_properties import read_properties
from faberdb.databases import database_exists, drop_database, ensure_database, fitting_name, maintenance
from faberdb.dsn import Dsn
from faberdb.errors import CompensationFailed, Contended, FaberError
from faberdb.ledger import Kind
from faberdb.ledger.schemas import kept_schema
from faberdb.plan import UndoWay
from faberdb.progress import Progress, silent
from faberdb.release.execution import journal_of, stale_snapshot
from faberdb.release.in_place import InPlace, NotInPlace
from faberdb.release.leftovers import UNDOING, hold_tool
from faberdb.release.lock import require_lock
from faberdb.release.record import Outcome, Release
from faberdb.rows import count_rows
from faberdb.swap import list_set_aside, mark_set_aside
from faberdb.target import Target


def way_of(release: Release) -> UndoWay:
    """The one that was chosen, or the plan's as long as none was."""
    return UndoWay((release.done("choose undo") or {}).get("way", release.plan.undo.way.value))


def _kept_dsn(target: Target, release: Release) -> Dsn:
    opened = release.opened_at.astimezone(UTC)
    return target.dsn.with_database(fitting_name(release.plan.database, f"_kept_{opened:%Y%m%d%H%M%S}"))


def undo_in_place(target: Target, release: Release) -> dict[str, Any]:
    """Take the release back inside its database, by the way that was chosen.

    Returns:
        `{"undone": True, ...}` with what became of rows; `{"undone": False, "why": ...}` where that way does not lead
        back and the plan's fallback is to be taken, which whoever approved it has read.

    Raises:
        CompensationFailed: it does not lead back, and there is no fallback, or it would set aside what was written
            since a release that had ended well: that is for a person to ask for. Nothing was changed.
        Contended: others were in the way; nothing was changed.
    """
    require_lock(target.dsn, release.id)

    def undo(progress: Progress) -> Mapping[str, Any]:
        try:
            with (
                connect(target.dsn, purpose=f"{UNDOING} {release.id}") as conn,
                hold_tool(target, conn, release.id, progress),
            ):
                done = _in_place(target, release, conn, progress).run()
        except (NotInPlace, Contended) as error:
            _forget_kept(target, release)
            _refuse_fallback(target, release, error)
            return {"undone": False, "why": error.reason}
        kept = dict(done.kept) or _kept_before(target, release)
        return {
            "undone": True,
            "statements": len(done.statements),
            "revisions": list(done.revisions),
            "aside": _kept_dsn(target, release).database if kept else "",
            "kept": kept,
        }

    return journal_of(target, release).ensure("undo in place", undo)


def preview_in_place(target: Target, release: Release) -> dict[str, Any]:
    """What an undo in place would run and move, from reading alone; or why it would not lead back."""
    with connect(target.dsn, purpose="preview undo", read_only=True) as conn:
        try:
            statements, held = _in_place(target, release, conn, silent).preview()
        except NotInPlace as error:
            return {"not in place": error.reason}
    return {"statements": list(statements), "kept_elsewhere": dict(held)}


def _in_place(target: Target, release: Release, conn: Connection, progress: Progress) -> InPlace:
    before = kept_schema(target.ledger, release.plan.fingerprint)
    if before is None:
        raise NotInPlace(
            "The schema from before the release is not on record in a form that can be compared."
        )
    verified = release.done("verify revisions") or {}
    return InPlace(
        conn=conn,
        tool=target.tool,
        plan=release.plan,
        way=way_of(release),
        schema=target.dsn.schema,
        read=target.read,
        before=before,
        left=str(verified.get("fingerprint", "")),
        aside=lambda: _kept_rows(target, release),
        progress=progress,
    )


@contextmanager
def _kept_rows(target: Target, release: Release) -> Iterator[Connection]:
    """The database that keeps what an undo in place removes, made where it is missing."""
    place = _kept_dsn(target, release)
    with maintenance(target.dsn, purpose="set aside") as conn:
        like = read_properties(conn, target.dsn.database)
    ensure_database(place, like=like)
    mark_set_aside(target.dsn, place.database)
    with connect(place, purpose=f"{UNDOING} {release.id}") as conn:
        conn.execute("SET default_transaction_read_only = off")
        yield conn


def _kept_before(target: Target, release: Release) -> dict[str, int]:
    """The same, after a run that died between its commit and its word in the ledger."""
    place = _kept_dsn(target, release)
    if not database_exists(place):
        return {}
    with connect(place, purpose=f"{UNDOING} {release.id}") as conn:
        return dict(count_rows(conn))


def _refuse_fallback(target: Target, release: Release, error: FaberError) -> None:
    """A fallback that nobody has to be asked for is one to a fresh snapshot, of a release that did not end well."""
    ended = release.outcome is Outcome.RELEASED
    if release.plan.undo.fallback is UndoWay.RESTORE_AND_SWAP and not ended:
        refuse_to_go_back_far(target, release)
        return
    if isinstance(error, Contended):
        raise error
    instead = f"faber-db rollback {release.environment} --from {release.snapshot}" if release.snapshot else ""
    raise CompensationFailed(
        f"Release {release.id} cannot be taken back in place; nothing was changed.",
        why=error.reason,
        next_step=f"to go back to its snapshot, which sets aside what was written since: {instead}"
        if instead
        else "fix it forward with a new revision",
    )


def refuse_to_go_back_far(target: Target, release: Release) -> None:
    """By itself a release goes back to a fresh snapshot only; how much may be set aside is for a person to say.

    Raises:
        CompensationFailed: the snapshot is old, and nobody asked.
    """
    opened = target.ledger.newest(Kind.ROLLBACK_OPENED, release=release.id)
    by_itself = opened is not None and opened.actor == "faber-db"
    age = stale_snapshot(target, release)
    if by_itself and age:
        raise CompensationFailed(
            f"The snapshot of {release.id} is {age} old; going back to it takes a person.",
            why="What was written since would stay in the set-aside database only.",
            next_step=f"faber-db rollback {release.environment} --release {release.id} --as NAME",
        )


def _forget_kept(target: Target, release: Release) -> None:
    """What an attempt that left nothing had copied is in its place still."""
    place = _kept_dsn(target, release)
    if place.database in list_set_aside(target.dsn):
        drop_database(place)
