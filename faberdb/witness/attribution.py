"""Whose a look's news are: what each statement locked, rewrote, read and wrote.

Pure. A lock or a count that is first seen at a look belongs to what ran since the look before: to the one
statement that names the relation, where several did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from faberdb.lock_modes import LOCK_MODES
from faberdb.witness.course import Ran, Transaction
from faberdb.witness.looks import Counts, Look, spelled
from faberdb.witness.relations import Relations
from faberdb.witness.sampler import Sample

_NOTHING: Final = Counts(scans=0, rows_read=0, rows_written=0)
_SLACK_S: Final = 0.02  # by which the end of a round trip, told by our clock, may be off


@dataclass(slots=True, kw_only=True)
class Share:
    """What is attributed to one statement; relations by their oid."""

    locks: list[tuple[int, str]] = field(default_factory=list)
    sampled: list[Sample] = field(default_factory=list)
    rewrites: dict[int, str] = field(default_factory=dict)
    read: dict[int, int] = field(default_factory=dict)
    written: dict[int, int] = field(default_factory=dict)


def shares_of(course: Sequence[Ran]) -> list[Share]:
    """Per statement, what the looks from inside say of it."""
    entries = [Share() for _ in course]
    held: set[tuple[int, str]] = set()
    counted: dict[int, Counts] = {}
    since_look: list[int] = []
    transaction: Transaction | None = None
    for number, ran in enumerate(course):
        if ran.transaction is not transaction:
            transaction, held, since_look = ran.transaction, set(), []
        for look in ran.looks:
            before = [*since_look, number] if ran.opaque or not since_look else list(since_look)
            whose = before if look.what in {"ddl_command_start", "end"} else [number]
            for oid, mode in look.locks - held:
                entries[_owner(course, whose, look.names.get(oid, ""))].locks.append((oid, mode))
            held |= look.locks
            _count(course, entries, look, whose, counted)
            if look.rewrite is not None:
                entries[number].rewrites[look.rewrite[0]] = look.rewrite[1]
            since_look = [number] if ran.opaque else []
        if not ran.looks:
            since_look.append(number)
    return entries


def _count(
    course: Sequence[Ran],
    entries: Sequence[Share],
    look: Look,
    whose: Sequence[int],
    counted: dict[int, Counts],
) -> None:
    for oid, now in look.counts.items():
        past = counted.get(oid, _NOTHING)
        if now.scans < past.scans or now.rows_read < past.rows_read or now.rows_written < past.rows_written:
            past = _NOTHING  # the session has reported since, and began anew
        counted[oid] = now
        entry = entries[_owner(course, whose, look.names.get(oid, ""))]
        if now.scans > past.scans:
            entry.read[oid] = entry.read.get(oid, 0) + now.rows_read - past.rows_read
        if now.rows_written > past.rows_written:
            entry.written[oid] = entry.written.get(oid, 0) + now.rows_written - past.rows_written


def _owner(course: Sequence[Ran], whose: Sequence[int], relation: str) -> int:
    bare = relation.partition(".")[2]
    for number in whose:
        statement = course[number].statement
        if statement and {relation, bare} & set(statement.objects):
            return number
    return next((n for n in whose if course[n].opaque), whose[-1])


def add_samples(
    ours: Sequence[int],
    course: Sequence[Ran],
    entries: Sequence[Share],
    samples: Sequence[Sample],
    known: Relations,
) -> None:
    """What only the second session saw, such as the locks of VACUUM, to the step's statement of that time."""
    if not ours:
        return
    for sample in samples:
        if sample.relation not in known:
            continue
        key = sample.relation, spelled(sample.mode)
        told = any(key in e.locks and _held_at(r, sample) for r, e in zip(course, entries, strict=True))
        if told or _weak_on_index(key, known):
            continue
        number = min(ours, key=lambda n: (_distance(course[n], sample), course[n].begin - course[n].end))
        for n in {number, *(n for n in ours if _alone_with(course[n], sample))}:
            entries[n].sampled.append(sample)


def _alone_with(ran: Ran, sample: Sample) -> bool:
    """Whether the sample was seen while a statement ran that no other one of its session shares locks with: to
    the second session, a lock that two statements take one soon after the other is one lock."""
    alone = ran.statement is not None and not ran.statement.transactional
    return alone and sample.first < ran.end and ran.begin + _SLACK_S < sample.last


def _held_at(ran: Ran, sample: Sample) -> bool:
    return ran.begin - _SLACK_S <= sample.first <= max(ran.transaction.end, ran.end) + _SLACK_S


def _weak_on_index(lock: tuple[int, str], known: Relations) -> bool:
    """Every statement takes some on each index of its table."""
    return known[lock[0]].table is not None and rank(lock[1]) < LOCK_MODES.index("SHARE UPDATE EXCLUSIVE")


def _distance(ran: Ran, sample: Sample) -> float:
    """How far the sample's beginning is from the statement's time; nothing inside it."""
    return max(ran.begin - sample.first, sample.first - ran.end, 0.0)


def rank(mode: str) -> int:
    """How strong a lock mode is."""
    return LOCK_MODES.index(mode)
