"""What going back would do and lose, from reading alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faberdb.connection import connect
from faberdb.plan import UndoWay
from faberdb.release.evidence import find_evidence
from faberdb.release.going_back import Part
from faberdb.release.record import Release
from faberdb.release.rollback import check_can_roll_back, find_release, proven_way
from faberdb.release.undo_in_place import preview_in_place
from faberdb.rows import count_rows, rows_after
from faberdb.snapshot.check import check_files
from faberdb.snapshot.manifest import Manifest
from faberdb.target import Target
from faberdb.ways_back import ENDED_BY_RESTORING, LOST_BY_RESTORING


def preview_parts(target: Target, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """What each part would do, newest first.

    Raises:
        Refused, SnapshotUnusable: it would be refused.
    """
    found = []
    for number, part in enumerate(parts):
        if part.snapshot:
            found.append(preview_restoration(target, part.snapshot))
            continue
        release = find_release(target, part.release)
        if number == 0:
            check_can_roll_back(target, release)
        found.append(preview_undo(target, release, first=number == 0))
    return found


def preview_undo(target: Target, release: Release, *, first: bool = True) -> dict[str, Any]:
    """What taking a release back would do; of one below another only what its plan says.

    Raises:
        SnapshotUnusable: its snapshot is not what it was.
    """
    if release.restores:
        return preview_restoration(target, release.restores)
    way, why = proven_way(release.plan, find_evidence(target, release.digest))
    undo = release.plan.undo
    facts: dict[str, Any] = {
        "release": release.id,
        "revisions": [s.revision for s in release.plan.steps],
        "way": f"{way.value} ({why})" if why else way.value,
        "loses": LOST_BY_RESTORING if why else undo.loses,
        "ends": undo.ends if not why else ENDED_BY_RESTORING,
    }
    if not first:
        return facts
    if way.in_place:
        facts |= preview_in_place(target, release)
        nothing = facts.get("statements") == []
        return facts | ({"way": UndoWay.ABORT.value, "loses": "nothing"} if nothing else {})
    return facts | (_rows(target, target.store.manifest(release.snapshot)) if release.snapshot else {})


def preview_restoration(target: Target, snapshot: str) -> dict[str, Any]:
    """What putting a snapshot in the database's place would do.

    Raises:
        SnapshotUnusable: corrupt, truncated, missing or foreign.
    """
    manifest = check_files(target.store, snapshot)
    with connect(target.dsn, purpose="preview undo") as conn:
        tracked = [t.name for t in target.tool.tracked(conn)]
    return {
        "revisions": [name for name in tracked if name not in manifest.revisions],
        "way": "restore-and-swap",
        "loses": LOST_BY_RESTORING,
        "ends": ENDED_BY_RESTORING,
    } | _rows(target, manifest)


def _rows(target: Target, manifest: Manifest) -> dict[str, Any]:
    with connect(target.dsn, purpose="preview undo") as conn:
        now = count_rows(conn)
    changes = rows_after(manifest.row_counts, now, leave_out=target.tool.tracking_tables)
    return {
        "snapshot": f"{manifest.id} of {manifest.created_at:%Y-%m-%d %H:%M:%S %Z}",
        "rows_that_differ": {c.table: f"{c.before} then, {c.now} now" for c in changes},
    }
