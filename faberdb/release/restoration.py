"""Bringing a snapshot back: beside the live database under a name, or in its place.

In its place it is a rollback to the snapshot, and runs as one: a record in the ledger with its snapshot and
way decided, taken back by the rollback flow. The live database is set aside, not lost.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from faberdb.databases import database_exists
from faberdb.errors import Refused
from faberdb.ledger import Kind
from faberdb.plan import Plan, Undo, UndoWay, plan_to_json
from faberdb.progress import Progress
from faberdb.release.opening import opening, plan_target, release_id, supersede
from faberdb.release.record import Release, newest_release, read_release
from faberdb.snapshot.check import check_files
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.mark import half_restored
from faberdb.snapshot.restore import restore_beside
from faberdb.target import Target
from faberdb.verifying import require_own


def restore_as(target: Target, snapshot: str, name: str, progress: Progress) -> dict[str, Any]:
    """Restore a snapshot into a new database of the same server and prove it; the live one is not touched.

    Raises:
        SnapshotUnusable: corrupt, truncated, missing or foreign.
        Refused: a database of that name is there already.
    """
    require_own(target, target.store.manifest(snapshot))  # its files are compared when it is restored
    wanted = target.dsn.with_database(name)
    if database_exists(wanted) and not half_restored(wanted):
        raise Refused(
            f"The server has a database {name!r} already; nothing was changed.",
            next_step=f"faber-db restore {target.name} --from {snapshot} --as ANOTHER_NAME",
        )
    proof = restore_beside(
        target.store,
        snapshot,
        target.dsn.with_database(name),
        live=target.dsn,
        progress=progress,
        timeout_s=target.project.config.backup.timeout_seconds,
    )
    return {"snapshot": snapshot, "database": name, **proof.to_json()}


def open_restoration(target: Target, snapshot: str, *, requester: str, run: str = "") -> Release:
    """Write the wish to put a snapshot in the live database's place, or find the open one.

    Raises:
        SnapshotUnusable: corrupt, truncated, missing or foreign.
        Refused, EnvironmentBusy: another release of the environment has begun, or is at work.
    """
    manifest = _own_snapshot(target, snapshot)
    with opening(target):
        return _open(target, snapshot, manifest, requester=requester, run=run)


def _open(target: Target, snapshot: str, manifest: Manifest, *, requester: str, run: str) -> Release:
    newest = newest_release(target.ledger, target.name)
    if newest is not None and newest.open and newest.touched:
        if newest.restores == snapshot:
            return newest
        raise Refused(
            f"Release {newest.id} has not ended; it comes first.",
            next_step=f"faber-db migrate {target.name}, or faber-db rollback {target.name}",
        )
    if newest is not None and newest.open:
        supersede(target, newest, f"the restoration of {snapshot}")
    plan = _restoring_plan(plan_target(target, requester=requester), manifest)
    id_ = release_id("rst", plan)
    facts = {"plan": plan_to_json(plan), "digest": plan.digest, "requester": requester}
    _write(target, Kind.RELEASE_OPENED, id_, requester, facts | {"run": run, "restores": snapshot})
    _write(target, Kind.STEP_DONE, id_, requester, {"step": "snapshot", "outcome": {"snapshot": snapshot}})
    way = {"step": "choose undo", "outcome": {"way": UndoWay.RESTORE_AND_SWAP.value}}
    _write(target, Kind.STEP_DONE, id_, requester, way)
    return read_release(target.ledger, id_)


def _restoring_plan(now: Plan, manifest: Manifest) -> Plan:
    """No revision runs; the schema ends as the manifest says."""
    return replace(
        now,
        change=f"restore snapshot {manifest.id}",
        steps=(),
        findings=(),
        snapshot=True,
        fingerprint=manifest.schema_fingerprint,
        undo=Undo(
            way=UndoWay.RESTORE_AND_SWAP,
            loses="nothing is deleted; rows written after the snapshot stay in the set-aside database",
            why="asked for by hand",
        ),
    )


def _own_snapshot(target: Target, snapshot: str) -> Manifest:
    require_own(target, target.store.manifest(snapshot))
    return check_files(target.store, snapshot)


def _write(target: Target, kind: Kind, release: str, actor: str, body: dict[str, Any]) -> None:
    actor = actor or "faber-db"
    target.ledger.append(kind, release=release, environment=target.name, actor=actor, body=body)
