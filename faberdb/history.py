"""Whether the revisions on disk and a tool's tracking table agree, and what is still to be applied.

Knows no tool and opens nothing: it compares two lists.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from faberdb.errors import HistoryRefused
from faberdb.revision import Revision, Standing, TrackedRevision


class HistoryState(Struct, frozen=True, kw_only=True):
    """How a database stands against the revisions on disk. Each list is in order of application."""

    applied: tuple[TrackedRevision, ...]
    pending: tuple[Revision, ...]
    failed: tuple[TrackedRevision, ...]  # begun and unresolved: with an error on record or without an end
    edited: tuple[str, ...]  # applied with another text than the one on disk
    missing: tuple[str, ...]  # applied, and not on disk
    out_of_order: tuple[str, ...]  # not applied, and before one that is

    @property
    def applied_names(self) -> tuple[str, ...]:
        """Names of the applied revisions."""
        return tuple(t.name for t in self.applied)

    @property
    def pending_names(self) -> tuple[str, ...]:
        """Names of the revisions to apply."""
        return tuple(r.name for r in self.pending)

    @property
    def problem(self) -> str:
        """Why nothing may be applied now, in one sentence; "" when all is well."""
        refusal = _refusal(self)
        return f"{refusal.what} {refusal.why}".strip() if refusal else ""


def read_history(revisions: Sequence[Revision], tracked: Sequence[TrackedRevision]) -> HistoryState:
    """Compare; judge nothing.

    Args:
        revisions: those on disk, in order of application.
        tracked: the tracking table's rows, oldest first. A name may have several: an attempt that was
            rolled back counts no more, an unresolved one counts even beside one that was applied.
    """
    standing = {t.name: t for t in tracked if t.standing is Standing.APPLIED}
    unresolved = {t.name: t for t in tracked if t.standing in {Standing.FAILED, Standing.STARTED}}
    on_disk = {r.name: r for r in revisions}
    order = {name: number for number, name in enumerate(on_disk)}
    applied = [t for name, t in standing.items() if name not in unresolved]
    applied.sort(key=lambda t: order.get(t.name, -1))
    begun = standing.keys() | unresolved.keys()
    pending = tuple(r for r in revisions if r.name not in begun)
    newest = max((order[name] for name in standing if name in order), default=-1)
    return HistoryState(
        applied=tuple(applied),
        pending=pending,
        failed=tuple(unresolved.values()),
        edited=tuple(t.name for t in applied if t.name in on_disk and on_disk[t.name].checksum != t.checksum),
        missing=tuple(t.name for t in applied if t.name not in on_disk),
        out_of_order=tuple(r.name for r in pending if order[r.name] < newest),
    )


def pending(revisions: Sequence[Revision], tracked: Sequence[TrackedRevision]) -> tuple[Revision, ...]:
    """The revisions to apply, in order.

    Raises:
        HistoryRefused: disk and database do not agree; the message names the revision and the way on.
    """
    state = read_history(revisions, tracked)
    refusal = _refusal(state)
    if refusal is not None:
        raise refusal
    return state.pending


def _refusal(state: HistoryState) -> HistoryRefused | None:
    """The first disagreement worth repairing; the order is the order in which to repair them."""
    if state.failed:
        return _failed(state.failed[0])
    if state.missing:
        return HistoryRefused(
            f"The revision {state.missing[0]!r} is applied and missing on disk{_more(state.missing)}.",
            why="Its folder was deleted or renamed, or the checkout is older than the database.",
            next_step="bring it back from version control, or check out the commit that was released",
        )
    if state.edited:
        return HistoryRefused(
            f"The revision {state.edited[0]!r} was edited after it was applied{_more(state.edited)}.",
            why="The checksum of the file is not the one that was recorded with it.",
            next_step="restore the file from version control, and put the change into a new revision",
        )
    if state.out_of_order:
        return HistoryRefused(
            f"The revision {state.out_of_order[0]!r} is out of order{_more(state.out_of_order)}.",
            why="It is not applied, and a later one is; it usually came in with a merged branch.",
            next_step="rename it so that it sorts after the newest applied revision, then plan again",
        )
    return None


def _failed(tracked: TrackedRevision) -> HistoryRefused:
    if tracked.standing is Standing.STARTED:
        what = f"The revision {tracked.name!r} was begun on {_moment(tracked)} and never ended."
        why = "The process or its connection died while it ran, or it still runs."
    else:
        what = f"The revision {tracked.name!r} failed on {_moment(tracked)} and is not resolved."
        why = _first_line(tracked.logs)
    return HistoryRefused(
        what,
        why=why,
        next_step="faber-db status ENV shows its release; continue it with faber-db migrate ENV,"
        " or take it back with faber-db rollback ENV",
    )


def _moment(tracked: TrackedRevision) -> str:
    return f"{tracked.started_at:%Y-%m-%d at %H:%M:%S %Z}".strip()


def _first_line(logs: str) -> str:
    """The error itself, without what the tool wrote around it."""
    lines = [line.strip() for line in logs.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or [""])[0]


def _more(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
