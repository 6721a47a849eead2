"""Removing what its retention no longer keeps: old snapshots, and databases that a rollback set aside.

Chosen apart from done. Never removed: the newest snapshot of an environment, what an open release needs, and
what the newest release could be taken back with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from faberdb.databases import drop_database
from faberdb.ledger import Kind
from faberdb.progress import Progress
from faberdb.release.record import Outcome, Release, newest_touching, read_release
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.template import drop_copy
from faberdb.swap import list_set_aside
from faberdb.target import Target

_SETTING_ASIDE: Final = ("swap", "undo in place")  # the steps of an undo that do


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What would be removed, or was."""

    snapshots: tuple[str, ...]
    databases: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"snapshots": list(self.snapshots), "databases": list(self.databases)}


def expired_snapshots(
    manifests: Iterable[Manifest], *, now: datetime, needed: Collection[str]
) -> tuple[str, ...]:
    """The ids of one environment's snapshots that may go, oldest first."""
    by_age = sorted(manifests, key=lambda m: (m.created_at, m.id))
    return tuple(
        m.id
        for m in by_age[:-1]  # whatever its age, the newest stays
        if m.id not in needed and now - m.created_at > timedelta(days=m.retention_days)
    )


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
    chosen = Pruning(
        snapshots=expired_snapshots(
            target.store.list(target.project.name, target.name), now=now, needed=_needed(target, releases)
        ),
        databases=expired_databases(_set_aside(target, releases), now=now, retention=retention),
    )
    if dry_run or not (chosen.snapshots or chosen.databases):
        return chosen
    target.ledger.append(Kind.PRUNED, release=target.name, environment=target.name, body=chosen.to_json())
    for snapshot in chosen.snapshots:
        progress(f"removing the snapshot {snapshot}")
        drop_copy(target.store.manifest(snapshot), target.dsn)
        target.store.delete(snapshot)
    for database in chosen.databases:
        progress(f"dropping the set-aside database {database}")
        drop_database(target.dsn.with_database(database))
    return chosen


def _releases(target: Target) -> list[Release]:
    entries = target.ledger.entries(environment=target.name, kind=Kind.RELEASE_OPENED)
    return [read_release(target.ledger, e.release) for e in entries]


def _needed(target: Target, releases: list[Release]) -> set[str]:
    newest = newest_touching(target.ledger, target.name)
    kept = [r for r in releases if r.open] + ([newest] if newest else [])
    return {str((r.done("snapshot") or {}).get("snapshot") or r.restores) for r in kept}


def _set_aside(target: Target, releases: list[Release]) -> dict[str, datetime]:
    """When a database was set aside, by the name that is there still; the name tells an earlier moment.

    One of an undo that has not ended is left alone: its rows are counted there, and a person may look.
    """
    there = set(list_set_aside(target.dsn))
    ended = [r for r in releases if r.outcome is Outcome.ROLLED_BACK]
    swaps = [(r.done(step), r.steps[step].at) for r in ended for step in _SETTING_ASIDE if step in r.steps]
    return {str(s["aside"]): at for s, at in swaps if s is not None and s.get("aside") in there}
