"""Removing what its retention no longer keeps: old snapshots, and databases that a rollback set aside.

Chosen apart from done. Never removed: the newest snapshot of an environment, the newest that is whole, the newest
that a restore proved, what an open release needs, and what the newest release could be taken back with. What a
process that died left of a snapshot goes with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import Struct, field

from faberdb.databases import drop_database, list_databases
from faberdb.errors import SnapshotUnusable
from faberdb.ledger import Kind
from faberdb.progress import Progress
from faberdb.proofs import proven_snapshots, refuted_snapshots
from faberdb.release.proving import restored_name
from faberdb.release.record import Outcome, Release, newest_touching, read_release
from faberdb.snapshot.files import check_sizes
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.mark import restored_from
from faberdb.snapshot.store import SnapshotStore
from faberdb.snapshot.template import drop_copy
from faberdb.swap import list_set_aside
from faberdb.target import Target

UNFINISHED_KEPT: Final = timedelta(days=7)  # longer than anybody waits with going on with an upload
_SETTING_ASIDE: Final = ("swap", "undo in place")  # the steps of an undo that do


class Pruning(Struct, frozen=True, kw_only=True):
    """What would be removed, or was."""

    snapshots: tuple[str, ...]
    databases: tuple[str, ...]
    unfinished: tuple[str, ...] = ()  # what a process that died left of snapshots, by their ids
    kept: Mapping[str, str] = field(default_factory=dict)  # past its retention: why it stays, by id

    def to_json(self) -> dict[str, Any]:
        """For programs, and for the ledger."""
        return {
            "snapshots": list(self.snapshots),
            "databases": list(self.databases),
            "unfinished": list(self.unfinished),
            "kept": dict(self.kept),
        }


def expired_snapshots(
    manifests: Iterable[Manifest], *, now: datetime, needed: Collection[str]
) -> tuple[str, ...]:
    """The ids of one environment's snapshots that may go, oldest first."""
    by_age = sorted(manifests, key=lambda m: (m.created_at, m.id))
    # Whatever its age, the newest stays.
    return tuple(m.id for m in by_age[:-1] if m.id not in needed and is_past(m, now))


def is_past(manifest: Manifest, now: datetime) -> bool:
    """Whether a snapshot's retention is over."""
    return now > manifest.kept_until


def expired_databases(
    set_aside: Mapping[str, datetime], *, now: datetime, retention: timedelta
) -> tuple[str, ...]:
    """The names of set-aside databases that may go, by when they were set aside."""
    return tuple(name for name, at in set_aside.items() if now - at > retention)


def prune_environment(
    target: Target, progress: Progress, *, dry_run: bool = False, now: datetime | None = None
) -> Pruning:
    """Remove what one environment no longer has to keep, and write it into the ledger first.

    Args:
        target: the environment.
        progress: told of each removal.
        dry_run: choose and remove nothing.
        now: the moment that retention is counted to; None for this one.
    """
    now = now or datetime.now(UTC)
    releases = _releases(target)
    retention = timedelta(days=target.environment.policy.retention_days)
    manifests = target.store.list(target.project.name, target.name)
    needed = _needed(target, releases, manifests)
    gone = expired_snapshots(manifests, now=now, needed=needed)
    chosen = Pruning(
        snapshots=gone,
        databases=expired_databases(_set_aside(target, releases), now=now, retention=retention)
        + _left_by_proofs(target, releases),
        unfinished=_left_behind(target.store, now),
        kept={m.id: needed[m.id] for m in manifests if is_past(m, now) and m.id not in gone},
    )
    if dry_run or not (chosen.snapshots or chosen.databases or chosen.unfinished):
        return chosen
    target.ledger.append(Kind.PRUNED, release=target.name, environment=target.name, body=chosen.to_json())
    for snapshot in chosen.snapshots:
        progress(f"removing the snapshot {snapshot}")
        drop_copy(target.store.manifest(snapshot), target.dsn)
        target.store.delete(snapshot)
    for left in chosen.unfinished:
        progress(f"removing what was left of {left}")
        target.store.abandon(left)
    for database in chosen.databases:
        progress(f"dropping the database {database}")
        drop_database(target.dsn.with_database(database))
    return chosen


def _releases(target: Target) -> list[Release]:
    entries = target.ledger.entries(environment=target.name, kind=Kind.RELEASE_OPENED)
    return [read_release(target.ledger, e.release) for e in entries]


def _needed(target: Target, releases: list[Release], manifests: Iterable[Manifest]) -> dict[str, str]:
    """Why a snapshot stays, by its id; the newest first."""
    by_age = sorted(manifests, key=lambda m: (m.created_at, m.id), reverse=True)
    bad = refuted_snapshots(target.ledger, target.name)
    proven = proven_snapshots(target.ledger, target.name)
    good = (m for m in by_age if m.id not in bad)
    found = {by_age[0].id: "the newest"} if by_age else {}
    whole = next((m.id for m in good if _is_complete(target.store, m)), None)
    if whole is not None:
        found.setdefault(whole, "the newest that is whole")
    restored = next((m.id for m in by_age if m.id in proven and m.id not in bad), None)
    if restored is not None:
        found.setdefault(restored, "the newest that a restore proved")
    newest = newest_touching(target.ledger, target.name)
    if newest is not None:
        found.setdefault(
            _snapshot_of(newest), f"{newest.id}, the newest release, would be taken back with it"
        )
    for release in releases:
        if release.open:
            found.setdefault(_snapshot_of(release), f"{release.id} is open and needs it")
    return found


def _is_complete(store: SnapshotStore, manifest: Manifest) -> bool:
    try:
        check_sizes(manifest, store.sizes(manifest.id))
    except SnapshotUnusable:
        return False
    return True


def _snapshot_of(release: Release) -> str:
    return release.snapshot or release.restores


def _left_behind(store: SnapshotStore, now: datetime) -> tuple[str, ...]:
    return tuple(left.id for left in store.unfinished() if now - left.at > UNFINISHED_KEPT)


def _left_by_proofs(target: Target, releases: list[Release]) -> tuple[str, ...]:
    """Databases that snapshots were proven in, of releases that ended and could not drop them."""
    there = set(list_databases(target.dsn))
    ended = {restored_name(r): r for r in releases if r.outcome is not None}
    return tuple(
        name
        for name in sorted(there & set(ended))
        if restored_from(target.dsn.with_database(name), ended[name].snapshot)
    )


def _set_aside(target: Target, releases: list[Release]) -> dict[str, datetime]:
    """When a database was set aside, by the name that is there still; the name tells an earlier moment.

    One of an undo that has not ended is left alone: its rows are counted there, and a person may look.
    """
    there = set(list_set_aside(target.dsn))
    ended = [r for r in releases if r.outcome is Outcome.ROLLED_BACK]
    swaps = [(r.done(step), r.steps[step].at) for r in ended for step in _SETTING_ASIDE if step in r.steps]
    return {str(s["aside"]): at for s, at in swaps if s is not None and s.get("aside") in there}
