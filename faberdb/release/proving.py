"""Proving the snapshot of a release before its first statement runs, as its plan says.

A snapshot that is proven by a restore leaves the restored database beside the live one until the release ends: an
undo finds it there, and has only to compare it again (docs/adr/0011).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from faberdb.config.proving import SnapshotProof
from faberdb.databases import fitting_name
from faberdb.errors import FaberError, SnapshotUnusable
from faberdb.progress import Progress
from faberdb.proofs import proven_snapshots, refuted_snapshots
from faberdb.release.copying import rehearsal_server
from faberdb.release.journal import Journal
from faberdb.release.record import Release
from faberdb.snapshot.check import check_files
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.mark import drop_restored
from faberdb.snapshot.restore import restore_beside
from faberdb.target import Target

STEP = "prove snapshot"


def restored_name(release: Release) -> str:
    """The database that a release's snapshot is restored into, to be proven and, if need be, to go live."""
    return fitting_name(release.plan.database, f"_restored_{release.id[-10:]}")


def prove_snapshot(target: Target, release: Release) -> dict[str, Any]:
    """Prove the snapshot that the release took.

    Returns:
        What was compared, for the ledger: the evidence that the release can be taken back.

    Raises:
        SnapshotUnusable: it is not what its manifest says, by name. Nothing was run.
        Refused, CommandFailed, Transient: it could not be restored. Nothing was run.
    """
    snapshot = release.snapshot
    if not snapshot:
        return {"proof": ""}

    def prove(progress: Progress) -> Mapping[str, Any]:
        wanted = SnapshotProof(release.plan.proof or SnapshotProof.MANIFEST)
        facts: dict[str, Any] = {"proof": wanted.value, "snapshot": snapshot}
        if wanted is not SnapshotProof.RESTORE:  # a restore compares every file itself
            progress(f"checking the files of {snapshot}")
            manifest = check_files(target.store, snapshot, progress=progress)
            if wanted is SnapshotProof.MANIFEST:
                return facts
            if relied := recently_proven(target, manifest):
                return facts | {"relied_on": relied}
        return facts | {
            "proof": SnapshotProof.RESTORE.value,
            **_restored(target, release, snapshot, progress),
        }

    journal = Journal(ledger=target.ledger, release=release.id, environment=release.environment)
    return journal.ensure(STEP, prove)


def require_proven(release: Release) -> None:
    """Refuse to run a plan's first statement before its snapshot is proven as the plan says.

    Raises:
        SnapshotUnusable: it is not.
    """
    proven = (release.done(STEP) or {}).get("proof", "")
    wanted = release.plan.proof if release.plan.snapshot else ""
    if wanted and proven not in {wanted, SnapshotProof.RESTORE.value}:
        raise SnapshotUnusable(
            f"The snapshot of {release.id} is not proven; nothing was run.",
            why=f"The plan asks for a proof by {wanted}.",
            next_step=f"faber-db migrate {release.environment}",
        )


def recently_proven(target: Target, manifest: Manifest) -> str:
    """A snapshot of the same schema that was restored and compared not long ago; "" when there is none."""
    since = datetime.now(UTC) - timedelta(hours=target.project.config.backup.proof_hours)
    refuted = refuted_snapshots(target.ledger, target.name)
    for proven in proven_snapshots(target.ledger, target.name).values():
        fresh = proven.at >= since and proven.snapshot not in refuted
        if fresh and _schema_of(target, proven.snapshot) == _schema(manifest):
            return proven.snapshot
    return ""


def drop_ready_copy(target: Target, release: Release) -> None:
    """Drop the database that the proof left, when its release ends; one that cannot be dropped is left to prune."""
    if STEP not in release.steps:
        return
    with suppress(FaberError):
        drop_restored(target.dsn.with_database(restored_name(release)), release.snapshot)


def _restored(target: Target, release: Release, snapshot: str, progress: Progress) -> dict[str, Any]:
    server, place = rehearsal_server(target)
    copy = place.with_database(restored_name(release))
    timeout_s = target.project.config.backup.timeout_seconds
    began = time.monotonic()
    keep = False
    try:
        proof = restore_beside(
            target.store, snapshot, copy, live=target.dsn, progress=progress, timeout_s=timeout_s
        )
        keep = server == "same"
    finally:
        if not keep:
            with suppress(FaberError):  # what went wrong before is the one to tell
                drop_restored(copy, snapshot)
    return {
        "database": copy.database if keep else "",
        "server": server,
        "seconds": round(time.monotonic() - began, 1),
        **proof.to_json(),
    }


def _schema(manifest: Manifest) -> tuple[str, str]:
    return manifest.schema_fingerprint, manifest.database


def _schema_of(target: Target, snapshot: str) -> tuple[str, str]:
    try:
        return _schema(target.store.manifest(snapshot))
    except SnapshotUnusable:
        return "", ""  # it was pruned since
