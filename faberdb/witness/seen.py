"""What was seen of each statement, as values that go into the ledger.

Refuses to know how it was seen (`faberdb.witness.observer`) and how it is shown (`faberdb.witness.page`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

EXCLUSIVE: Final = "ACCESS EXCLUSIVE"


class LockSpan(Struct, frozen=True, kw_only=True):
    """A lock on a relation that was there before the plan."""

    relation: str
    mode: str  # as SQL spells it, such as "SHARE ROW EXCLUSIVE"
    begin_s: float  # since the rehearsal began; not later than the moment at which it was got
    held_s: float  # until its transaction ended
    sampled: bool = False  # seen from outside at intervals: it may have been held a moment longer at each end


class Rewrite(Struct, frozen=True, kw_only=True):
    """A table that was written anew, with all of its indexes."""

    relation: str
    reason: str


class Scan(Struct, frozen=True, kw_only=True):
    """A table that was read from end to end."""

    relation: str
    rows: int  # that the session read itself; what parallel workers read for it comes on top


class Witnessed(Struct, frozen=True, kw_only=True):
    """One statement of a revision, as the database saw it."""

    revision: str
    line: int  # in the revision's script
    text: str
    begin_s: float  # since the rehearsal began
    took_s: float
    exact: (
        bool  # False: the server tells no time for its kind, and it shares what others left of the round trip
    )
    locks: tuple[LockSpan, ...] = ()  # that it was the first to take in its transaction
    rewrites: tuple[Rewrite, ...] = ()
    scans: tuple[Scan, ...] = ()
    rows: int | None = None  # written; None where it writes none of its own
    transactions: int = 1  # more than one: it commits in between, as CONCURRENTLY does
    failed: bool = False
    glimpsed: bool = False  # no look from inside came after it: its locks were seen from outside, or not
    claimed: str = ""  # the lock of which the plan speaks, "" for none
    saw: str = ""  # the strongest that it took on what was there before its revision
    disagrees: bool = False  # the plan's claim does not hold; not said where the witness cannot know


def longest_exclusive(seen: Iterable[Witnessed]) -> dict[str, float]:
    """Per relation, the longest time for which even readers were kept out, longest first."""
    longest: dict[str, float] = {}
    for lock in (lock for s in seen for lock in s.locks if lock.mode == EXCLUSIVE):
        longest[lock.relation] = max(lock.held_s, longest.get(lock.relation, 0.0))
    return dict(sorted(longest.items(), key=lambda item: -item[1]))


def rewritten(seen: Iterable[Witnessed]) -> dict[str, str]:
    """The tables that were written anew, and why."""
    return {r.relation: r.reason for s in seen for r in s.rewrites}
