"""The status of environments as people read it: every fact has its line, also the one that is not known yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from faberdb.status import EnvironmentStatus

_UNITS_S: Final = {"days": 86_400, "h": 3_600, "min": 60}
_NAMED: Final = 3  # pending revisions and findings, the others are counted


def status_page(status: EnvironmentStatus) -> str:
    """One environment."""
    protected = ", protected" if status.protected else ""
    head = f"{status.environment:<12} {status.state.database} ({status.hosting}{protected})"
    return "\n".join([head, *(f"  {name:<12} {text}" for name, text in _lines(status))]) + "\n"


def _lines(status: EnvironmentStatus) -> Iterator[tuple[str, str]]:
    state = status.state
    yield "address", status.address
    if not state.exists:
        yield "database", f"none{': ' + state.problem if state.problem else ''}"
    else:
        yield "database", f"{status.size}, {status.tables} table{'s' if status.tables != 1 else ''}"
        named = f" pending: {', '.join(state.pending[:_NAMED])}{' …' if state.pending[_NAMED:] else ''}"
        waiting = f"{len(state.pending)}{named}" if state.pending else "none pending"
        yield "revisions", f"{state.applied} applied, {waiting}"
    if state.problem and state.exists:
        yield "problem", state.problem
    yield "drift", _drift(status)
    yield "last release", _release(status)
    yield "snapshot", _snapshot(status)
    yield "health", _health(status)
    for open_question in status.waiting:
        what = "taking back " if open_question.rollback else ""
        yield (
            "approval",
            f"{what}{open_question.release} waits for a person, asked {ago(open_question.since)}",
        )
    yield "next", status.next_step


def _drift(status: EnvironmentStatus) -> str:
    if status.drifted is None:
        return f"not known; what would tell: faber-db drift {status.environment}"
    if status.drifted:
        return f"not what the last release left: faber-db drift {status.environment}"
    return "none since the last release"


def _release(status: EnvironmentStatus) -> str:
    release = status.release
    if release is None:
        return "none"
    by = f" by {release.requester}" if release.requester else ""
    approved = f", approved by {', '.join(status.approvers)}" if status.approvers else ""
    return f"{release.id}: {release.state}, {release.opened_at:%Y-%m-%d %H:%M}{by}{approved}"


def _snapshot(status: EnvironmentStatus) -> str:
    if status.snapshot_problem:
        return f"unknown: {status.snapshot_problem}"
    if status.snapshot is None:
        return "none"
    text = f"{status.snapshot.id}, {ago(status.snapshot.created_at)}"
    if status.proof is None:
        return f"{text}, never proven by a restore"
    other = "" if status.proof.snapshot == status.snapshot.id else f" ({status.proof.snapshot})"
    return f"{text}; proven by a restore {ago(status.proof.at)}{other}"


def _health(status: EnvironmentStatus) -> str:
    if status.health is None:
        return f"never examined: faber-db health-check {status.environment}"
    unwell = f": {'; '.join(status.health.unwell[:_NAMED])}" if status.health.unwell else ""
    return f"{status.health.state}, {ago(status.health.at)}{unwell}"


def ago(moment: datetime) -> str:
    """How long ago, in the largest unit that says enough, such as "5 min ago"."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, size in (("days", 172_800), ("h", 7_200), ("min", 120)):
        if seconds >= size:
            return f"{seconds // _UNITS_S[unit]:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
