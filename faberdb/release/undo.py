"""Taking a release back: abort what had no effect, undo it in place, or restore the snapshot and exchange the names.

Nothing is destroyed (law 6): the failed database stays under another name, and the rows that came after
the snapshot are counted; what an undo in place removes is kept in a database of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from faberdb.catalog import COLUMN_ORDER
from faberdb.connection import connect
from faberdb.databases import fitting_name
from faberdb.errors import CompensationFailed, FaberError
from faberdb.health import HealthState
from faberdb.ledger.schemas import keep_schema
from faberdb.plan import UndoWay
from faberdb.progress import Progress
from faberdb.release.execution import journal_of, take_environment_snapshot
from faberdb.release.leftovers import UNDOING, hold_tool
from faberdb.release.lock import require_lock
from faberdb.release.opening import close_release
from faberdb.release.proving import restored_name
from faberdb.release.record import Outcome, Release, read_release
from faberdb.release.undo_in_place import way_of
from faberdb.release.verification import environment_health
from faberdb.rows import count_rows, rows_after
from faberdb.snapshot.restore import restore_beside
from faberdb.swap import swap_in
from faberdb.target import Target

SAFETY_RETENTION_DAYS = 90


def settle_unfinished(target: Target, release: Release) -> dict[str, Any]:
    """Mark revisions whose transaction was aborted as rolled back, so that the next release may run."""

    def settle(progress: Progress) -> Mapping[str, Any]:
        planned = {s.revision for s in release.plan.steps}
        with (
            connect(target.dsn, purpose=f"{UNDOING} {release.id}") as conn,
            hold_tool(target, conn, release.id, progress),
        ):
            names = [t.name for t in target.tool.tracked(conn) if t.name in planned and t.standing.unresolved]
            for name in names:
                target.tool.mark_rolled_back(conn, name)
        return {"settled": names}

    return journal_of(target, release).ensure("settle unfinished", settle)


def safety_snapshot(target: Target, release: Release) -> dict[str, Any]:
    """A snapshot of the database as it is before a finished release is taken back, or down scripts run.

    A release that failed by itself needs none: its database is set aside as it is.
    """
    asked = release.outcome is Outcome.RELEASED or bool(release.restores) or way_of(release) is UndoWay.DOWN
    if not asked and not release.done("safety snapshot"):
        return {"snapshot": ""}

    def take(progress: Progress) -> Mapping[str, Any]:
        return take_environment_snapshot(
            target,
            f"{release.id}-safety",
            reason=f"before rolling back {release.id}",
            label="safety",
            retention_days=max(SAFETY_RETENTION_DAYS, target.environment.policy.retention_days),
            note=progress,
        )

    return journal_of(target, release).ensure("safety snapshot", take)


def restore_release(target: Target, release: Release) -> dict[str, Any]:
    """Restore the release's snapshot beside the live database and prove it equal to its manifest."""

    def restore(progress: Progress) -> Mapping[str, Any]:
        snapshot = _snapshot(release)
        proof = restore_beside(
            target.store,
            snapshot,
            target.dsn.with_database(restored_name(release)),
            live=target.dsn,
            progress=progress,
            timeout_s=target.project.config.backup.timeout_seconds,
        )
        return {"snapshot": snapshot, "database": restored_name(release), **proof.to_json()}

    return journal_of(target, release).ensure("restore beside", restore)


def count_later_rows(target: Target, release: Release) -> dict[str, Any]:
    """Count, per table, how the database that was set aside differs from the snapshot."""

    def count(progress: Progress) -> Mapping[str, Any]:
        manifest = target.store.manifest(_snapshot(release))
        with connect(target.dsn.with_database(_aside_name(release)), purpose=f"undo {release.id}") as conn:
            live = count_rows(conn)
        changes = rows_after(manifest.row_counts, live, leave_out=target.tool.tracking_tables)
        return {"tables": {c.table: {"snapshot": c.before, "live": c.now} for c in changes}}

    return journal_of(target, release).ensure("count later rows", count)


def swap_back(target: Target, release: Release) -> dict[str, Any]:
    """Exchange the names: the restored database goes live, the failed one is set aside."""
    require_lock(target.dsn, release.id)

    def swap(progress: Progress) -> Mapping[str, Any]:
        aside = _aside_name(release)
        swap_in(target.dsn, restored=restored_name(release), aside=aside, progress=progress)
        return {"aside": aside}

    return journal_of(target, release).ensure("swap", swap)


def verify_undone(target: Target, release: Release) -> dict[str, Any]:
    """The schema is what it was before the release, and the database is well.

    Raises:
        CompensationFailed: it is not; says what differs.
    """

    def look(progress: Progress) -> Mapping[str, Any]:
        schema = target.schema()
        keep_schema(target.ledger, schema)
        now = schema.fingerprint
        # A snapshot that somebody chose says nothing of the order of columns.
        alike = schema.without({COLUMN_ORDER}).fingerprint if release.restores else now
        if alike != release.plan.fingerprint:
            raise CompensationFailed(
                f"After the undo the schema of {release.environment} is not what it was before.",
                why=f"before {release.plan.fingerprint[:12]}, now {alike[:12]}",
                next_step=f"faber-db status {release.environment}; both databases are kept",
            )
        report = environment_health(target, checks=("connectivity", "migrations", "performance"))
        if report.overall is HealthState.UNHEALTHY:
            raise CompensationFailed(
                f"{release.environment} is unhealthy after the undo.",
                why=report.summary(),
                next_step=f"faber-db health-check {release.environment}",
            )
        return {"fingerprint": now, "health": report.overall.value}

    return journal_of(target, release).ensure("verify undone", look)


def close_rolled_back(target: Target, release: Release, way: UndoWay) -> dict[str, Any]:
    """Write the end, with both causes and what became of the rows that came after."""
    release = read_release(target.ledger, release.id)
    outcome = Outcome.ABORTED if way is UndoWay.ABORT else Outcome.ROLLED_BACK
    in_place = release.done("undo in place") or {}
    kept = {label: {"snapshot": 0, "live": rows} for label, rows in in_place.get("kept", {}).items()}
    facts = {
        "cause": release.cause,
        "fingerprint": (release.done("verify undone") or {}).get("fingerprint", release.plan.fingerprint),
        "way": way.value,
        "aside": (release.done("swap") or in_place).get("aside", ""),
        "later_rows": (release.done("count later rows") or {}).get("tables", {}) | kept,
    }
    close_release(target, release, outcome, **facts)
    return {"release": release.id, "outcome": outcome.value, **facts}


def undo_failed(release: Release, error: FaberError, cause: str) -> CompensationFailed:
    """Both causes in one error: a failed undo never hides why it was needed."""
    return CompensationFailed(
        f"Release {release.id} failed, and taking it back failed too.",
        why=f"It failed because: {cause} The undo failed because: {error.what} {error.why}".strip(),
        next_step=error.next_step
        or f"everything is kept; when the reason is gone: faber-db rollback {release.environment}"
        f" --release {release.id}",
    )


def _snapshot(release: Release) -> str:
    if not release.snapshot:
        raise CompensationFailed(
            f"Release {release.id} has no snapshot to restore.",
            next_step=f"faber-db snapshots {release.environment}",
        )
    return release.snapshot


def _aside_name(release: Release) -> str:
    opened = release.opened_at.astimezone(UTC)
    return fitting_name(release.plan.database, f"_before_rollback_{opened:%Y%m%d%H%M%S}")
