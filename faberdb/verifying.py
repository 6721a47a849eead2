"""Looking at one snapshot on purpose: whether its files are whole, or whether it restores.

What was found is in the ledger, where `faber-db status` and prune read it.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from enum import StrEnum
from typing import Any

from faberdb.databases import fitting_name
from faberdb.errors import FaberError, Refused, SnapshotUnusable
from faberdb.ledger import Kind
from faberdb.progress import Progress
from faberdb.project import Project
from faberdb.snapshot.check import check_files
from faberdb.snapshot.manifest import Manifest, SnapshotKind
from faberdb.snapshot.mark import drop_restored
from faberdb.snapshot.restore import restore_beside
from faberdb.snapshot.template import require_copy
from faberdb.target import Target


class Level(StrEnum):
    """How much is proven."""

    MANIFEST = "manifest"  # every file is there, byte for byte, and the archive's listing is read
    RESTORE = "restore"  # restored beside, its schema and rows compared, and dropped again


def verify_snapshot(target: Target, snapshot: str, level: Level, progress: Progress) -> dict[str, Any]:
    """Prove a snapshot of the environment, and write the proof into the ledger.

    Raises:
        SnapshotUnusable: corrupt, truncated, missing or mixed up, or it does not restore to what was recorded.
        Refused: it is another project's or environment's, or the role may not create a database.
        Transient: the store or the server is away.
    """
    began = time.monotonic()
    manifest = target.store.manifest(snapshot)
    require_own(target, manifest)
    facts: dict[str, Any] = {"snapshot": snapshot, "level": level.value}
    look = _files if level is Level.MANIFEST else _restored
    try:
        facts |= look(target, manifest, progress)
    except SnapshotUnusable as error:
        _record(target, facts | {"unusable": error.why})
        raise
    facts["seconds"] = round(time.monotonic() - began, 1)
    _record(target, facts)
    return facts


def _record(target: Target, facts: dict[str, Any]) -> None:
    target.ledger.append(
        Kind.SNAPSHOT_VERIFIED, release=facts["snapshot"], environment=target.name, body=facts
    )


def require_own(target: Target, manifest: Manifest) -> None:
    """Refuse another project's or environment's snapshot.

    Raises:
        Refused: it is one.
    """
    if (manifest.project, manifest.environment) != (target.project.name, target.name):
        raise Refused(
            f"Snapshot {manifest.id} is of {manifest.environment} in {manifest.project}, not of {target.name}"
            f" in {target.project.name}.",
            next_step=f"faber-db snapshots {target.name}",
        )


def require_of_project(project: Project, manifest: Manifest) -> None:
    """Refuse another project's snapshot, and one of an environment that there is no more.

    Raises:
        Refused: it is one.
    """
    if manifest.project != project.name:
        raise Refused(
            f"Snapshot {manifest.id} is of the project {manifest.project}, not of {project.name}.",
            next_step="faber-db snapshots",
        )
    project.environment(manifest.environment)


def _files(target: Target, manifest: Manifest, progress: Progress) -> dict[str, Any]:
    timeout_s = target.project.config.backup.timeout_seconds
    check_files(target.store, manifest.id, progress=progress, timeout_s=timeout_s)
    whole = f"{len(manifest.files)} files of {manifest.bytes} bytes equal"
    if manifest.kind is SnapshotKind.TEMPLATE:
        return {"details": [whole, f"its rows are in {require_copy(manifest, target.dsn).database}"]}
    return {"details": [whole, "the archive's listing is readable"]}


def _restored(target: Target, manifest: Manifest, progress: Progress) -> dict[str, Any]:
    """Under a name of the snapshot's own, so that a verification that died is gone on with."""
    name = f"_verify_{hashlib.sha256(manifest.id.encode()).hexdigest()[:8]}"
    copy = target.dsn.with_database(fitting_name(target.dsn.database, name))
    timeout_s = target.project.config.backup.timeout_seconds
    try:
        proof = restore_beside(
            target.store, manifest.id, copy, live=target.dsn, progress=progress, timeout_s=timeout_s
        )
    except BaseException:
        with suppress(FaberError):  # what went wrong before is the one to tell
            drop_restored(copy, manifest.id)
        raise
    drop_restored(copy, manifest.id)
    return proof.to_json()
