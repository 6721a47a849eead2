"""How far a person wants to go back, and by which parts: releases one by one, or one snapshot.

One snapshot for several releases: restoring each in turn would only end sessions more often. Releases one by one
where each is taken back in place, for that loses less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from faberdb.connection import connect
from faberdb.errors import Refused
from faberdb.release.evidence import find_evidence
from faberdb.release.record import Release, newest_touching, touching
from faberdb.release.rollback import proven_way
from faberdb.revision import Standing
from faberdb.snapshot.manifest import Manifest
from faberdb.target import Target


class Part(Struct, frozen=True, kw_only=True):
    """One thing to take back: a release, or all that came after a snapshot."""

    release: str = ""  # "" without a snapshot: the newest that changed the environment
    snapshot: str = ""

    @property
    def cause(self) -> str:
        """Why, where nobody says."""
        return f"restore snapshot {self.snapshot}" if self.snapshot else ""


def way_to(target: Target, *, release: str = "", revision: str = "", snapshot: str = "") -> tuple[Part, ...]:
    """The parts of going back to a revision, to a snapshot, or to before a release, newest first.

    Raises:
        Refused: more than one is named; or the revision is unknown, not applied, or the last one already, or nothing
            holds exactly that state.
    """
    if len([x for x in (release, revision, snapshot) if x]) > 1:
        raise Refused(
            "A release, a revision and a snapshot are three places to go back to; one is wanted.",
            next_step=f"faber-db rollback {target.name} --to REVISION, or --from SNAPSHOT, or --release ID",
        )
    if snapshot:
        return (Part(snapshot=snapshot),)
    if revision:
        return _to_revision(target, revision)
    return (Part(release=release),)


def _to_revision(target: Target, revision: str) -> tuple[Part, ...]:
    begun = newest_touching(target.ledger, target.name)
    if begun is not None and begun.rollback_opened:  # its run died: it comes first, and then the same command
        return (Part(snapshot=begun.restores) if begun.restores else Part(release=begun.id),)
    wanted, above = _cut(target, revision)
    releases = _covering(touching(target.ledger, target.name), above)
    if len(releases) == 1 or (releases and all(_in_place(target, r) for r in releases)):
        return tuple(Part(release=r.id) for r in releases)
    held = newest_with(target.store.list(target.project.name, target.name), wanted)
    if held is None:
        raise Refused(
            f"No snapshot of {target.name} holds exactly the revisions up to {revision}.",
            why=_what_is_held(target),
            next_step=f"faber-db snapshots {target.name}; then faber-db rollback {target.name} --from SNAPSHOT",
        )
    return (Part(snapshot=held.id),)


def _cut(target: Target, revision: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The applied revisions up to one, and those after it."""
    with connect(target.dsn, purpose="rollback", read_only=True) as conn:
        applied = [t.name for t in target.tool.tracked(conn) if t.standing is Standing.APPLIED]
    on_disk = [r.name for r in target.tool.revisions()]
    known = {name: place for place, name in enumerate(on_disk)}
    applied.sort(key=lambda name: known.get(name, len(known)))  # stable: what is not on disk came last
    if revision not in applied:
        there = revision in known
        raise Refused(
            f"The revision {revision!r} is {'not applied in ' + target.name if there else 'unknown'}.",
            why=f"The last applied ones are {', '.join(applied[-3:]) or 'none'}.",
            next_step=f"faber-db status {target.name}",
        )
    place = applied.index(revision) + 1
    if place == len(applied):
        raise Refused(
            f"{revision} is the last applied revision of {target.name} already; there is nothing to take back.",
            next_step=f"faber-db status {target.name}",
        )
    return tuple(applied[:place]), tuple(applied[place:])


def _covering(releases: Iterable[Release], names: Sequence[str]) -> tuple[Release, ...]:
    """The releases, newest first, whose revisions are together exactly those; none where there are no such ones."""
    left, found = set(names), []
    for release in releases:
        own = {s.revision for s in release.plan.steps}
        if not left or not own <= left:
            break
        left -= own
        found.append(release)
    return () if left else tuple(found)


def _in_place(target: Target, release: Release) -> bool:
    return proven_way(release.plan, find_evidence(target, release.digest))[0].in_place


def newest_with(manifests: Iterable[Manifest], revisions: Sequence[str]) -> Manifest | None:
    """The newest snapshot with exactly these revisions applied: it sets the least aside."""
    held = [m for m in manifests if set(m.revisions) == set(revisions)]
    return max(held, key=lambda m: m.created_at, default=None)


def _what_is_held(target: Target) -> str:
    last = {m.revisions[-1] for m in target.store.list(target.project.name, target.name) if m.revisions}
    return f"Snapshots end with {', '.join(sorted(last))}." if last else "There is no snapshot."
