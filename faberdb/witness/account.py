"""The account of one step: what each of its statements locked, rewrote, read and wrote.

Pure. Refuses to know how a look came (`faberdb.witness.course`) and whose its news are
(`faberdb.witness.attribution`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from msgspec.structs import replace

from faberdb.lock_modes import LOCK_MODES
from faberdb.plan import PlannedStatement, Step
from faberdb.witness.attribution import Share, add_samples, rank, shares_of
from faberdb.witness.course import Ran
from faberdb.witness.looks import spelled
from faberdb.witness.relations import Relations
from faberdb.witness.sampler import Sample
from faberdb.witness.seen import LockSpan, Rewrite, Scan, Witnessed

_WRITES: Final = ("INSERT", "UPDATE", "DELETE", "MERGE", "COPY")
_TEXT: Final = 300
_HARMLESS: Final = LOCK_MODES.index("ROW SHARE")


def account_of(
    step: Step,
    course: Sequence[Ran],
    samples: Sequence[Sample],
    *,
    known: Relations,
    before: Relations,
    own: Collection[int],
    since: float,
    certain: bool,
) -> tuple[Witnessed, ...]:
    """The step's statements as the database saw them; of one that was tried again, the last attempt.

    Args:
        step: what was run.
        course: the session's statements meanwhile, the tool's own among them.
        samples: locks as seen from outside meanwhile.
        known: the relations that were there before the plan, but for the tool's own.
        before: those that were there before the step.
        own: the tool's own tables.
        since: the rehearsal's begin, by the server's clock.
        certain: each DDL command was looked at, so that what is not seen was not.
    """
    entries = shares_of(course)
    for entry in entries:
        entry.written = {oid: rows for oid, rows in entry.written.items() if oid not in own}
    already = _held_before(course, entries, before)
    matching = _Matching(step)
    ours = [n for n, ran in enumerate(course) if matching.number(ran, 0) is not None]
    add_samples(ours, course, entries, samples, known)
    found: dict[int, Witnessed] = {}
    place = 0
    for ran, entry, held, glimpsed in zip(course, entries, already, _glimpsed(course), strict=True):
        number = matching.number(ran, place)
        if number is None:
            continue
        if number < place:  # another attempt
            found = {n: w for n, w in found.items() if n < number}
        place = number + 1
        if not step.statements[number].transactional:
            # An index is locked against its users only when CONCURRENTLY has seen to it that none are left.
            entry.sampled = [s for s in entry.sampled if known[s.relation].table is None]
        seen = _witnessed(step, number, ran, entry, known, since, glimpsed)
        found[number] = _compared(seen, entry, before, held) if certain else seen
    return tuple(found.values())


class _Matching:
    """Which of the step's statements one that ran is, the next after a place before those up to it."""

    def __init__(self, step: Step) -> None:
        self._verbs = [s.verb for s in step.statements]
        self._numbers: dict[str, list[int]] = {}
        for number, statement in enumerate(step.statements):
            self._numbers.setdefault(_flat(statement.text), []).append(number)

    def number(self, ran: Ran, place: int) -> int | None:
        found: list[int] = []
        if ran.elsewhere:
            found = [n for n, verb in enumerate(self._verbs) if verb.startswith(ran.tag)]
        elif ran.statement is not None:
            found = self._numbers.get(_flat(ran.statement.text), [])
        return next((n for n in found if n >= place), found[0] if found else None)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _witnessed(
    step: Step, number: int, ran: Ran, entry: Share, known: Relations, since: float, glimpsed: bool
) -> Witnessed:
    planned = step.statements[number]
    spans = [
        LockSpan(
            relation=known[oid].name,
            mode=mode,
            begin_s=_rounded(ran.begin - since),
            held_s=_rounded(max(ran.transaction.end, ran.end) - ran.begin),
        )
        for oid, mode in sorted(entry.locks)
        if oid in known and not _goes_with_its_table(oid, mode, entry.locks, known)
    ]
    seen = [*entry.locks, *((s.relation, spelled(s.mode)) for s in entry.sampled)]
    spans += [
        _sampled(planned, s, ran, known, since)
        for s in entry.sampled
        if not _goes_with_its_table(s.relation, spelled(s.mode), seen, known)
    ]
    return Witnessed(
        revision=step.revision,
        line=planned.line,
        text=_flat(planned.text)[:_TEXT],
        begin_s=_rounded(ran.begin - since),
        took_s=_rounded(ran.end - ran.begin),
        exact=ran.exact,
        locks=tuple(spans),
        rewrites=tuple(
            Rewrite(relation=known[o].name, reason=why) for o, why in entry.rewrites.items() if o in known
        ),
        scans=tuple(Scan(relation=known[o].name, rows=n) for o, n in entry.read.items() if o in known),
        rows=_rows(ran, entry),
        transactions=max(1, len({look.transaction for look in ran.looks})) if ran.defines else 1,
        failed=ran.failed,
        glimpsed=glimpsed or not planned.transactional,
        claimed=planned.lock,
    )


def _goes_with_its_table(oid: int, mode: str, locks: Sequence[tuple[int, str]], known: Relations) -> bool:
    """A lock on an index says nothing new where its table has one at least as strong."""
    table = known[oid].table
    return any(o == table and rank(m) >= rank(mode) for o, m in locks)


def _compared(seen: Witnessed, entry: Share, before: Relations, held: str) -> Witnessed:
    """With the strongest lock, and whether it is the one of which the plan speaks."""
    modes = [m for o, m in entry.locks if o in before]
    modes += [spelled(s.mode) for s in entry.sampled if s.relation in before]
    saw = max(modes, key=rank, default="")
    more = rank(saw) > max(rank(seen.claimed), _HARMLESS)
    missed = seen.failed or (seen.glimpsed and not saw)
    less = rank(seen.claimed) > max(rank(saw), rank(held), _HARMLESS) and not missed
    return replace(seen, saw=saw, disagrees=more or less)


def _glimpsed(course: Sequence[Ran]) -> list[bool]:
    """Per statement, that its transaction was not looked at from inside any more once it had run."""
    found: list[bool] = []
    transaction, looked = None, False
    for ran in reversed(course):
        if ran.transaction is not transaction:
            transaction, looked = ran.transaction, False
        found.append(not (looked or ran.defines))
        looked = looked or bool(ran.looks)
    return found[::-1]


def _held_before(course: Sequence[Ran], entries: Sequence[Share], before: Relations) -> list[str]:
    """Per statement, the strongest lock that its transaction held already."""
    strongest: list[str] = []
    transaction, held = None, ""
    for ran, entry in zip(course, entries, strict=True):
        if ran.transaction is not transaction:
            transaction, held = ran.transaction, ""
        strongest.append(held)
        held = max([held, *(m for o, m in entry.locks if o in before)], key=rank)
    return strongest


def _sampled(planned: PlannedStatement, sample: Sample, ran: Ran, known: Relations, since: float) -> LockSpan:
    """Outside a transaction no lock outlives the statement: its time is a bound where looks were too few."""
    begin, end = (sample.first, sample.last) if planned.transactional else (ran.begin, ran.end)
    return LockSpan(
        relation=known[sample.relation].name,
        mode=spelled(sample.mode),
        begin_s=_rounded(begin - since),
        held_s=_rounded(end - begin),
        sampled=True,
    )


def _rows(ran: Ran, entry: Share) -> int | None:
    """The result's own word; a block of code gives none, and is told by the counters."""
    word, _, rest = ran.tag.partition(" ")
    if word in _WRITES and rest:
        return int(rest.split()[-1])
    return (sum(entry.written.values()) or None) if ran.opaque else None


def _rounded(seconds: float) -> float:
    return round(max(0.0, seconds), 4)
