"""The course of a session: which statements ran, when, in which transaction, with what was looked at in each.

Pure: round trips and messages in, statements out. Refuses to know plans and relations' names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Final

from faberdb.errors import UnreadableSql
from faberdb.statements import Statement, parse_script
from faberdb.witness.looks import Elapsed, Look
from faberdb.witness.wire import RoundTrip

_BEGINS: Final = ("BEGIN", "START TRANSACTION")
_ENDS: Final = ("COMMIT", "ROLLBACK", "PREPARE TRANSACTION")
# Their time is nothing beside a statement's of the script, and none is told.
_LIGHT: Final = (*_BEGINS, *_ENDS, "SET", "RESET", "SAVEPOINT", "RELEASE", "DISCARD")


@dataclass(slots=True, kw_only=True)
class Transaction:
    """When it ended, by the server's clock."""

    end: float = 0.0


@dataclass(slots=True, kw_only=True)
class Ran:
    """One statement that ran or failed."""

    statement: Statement | None  # None where our grammar could not split the message
    tag: str = ""  # of its result, "" when it failed
    looks: list[Look] = field(default_factory=list)
    elapsed: float | None = None
    begin: float = 0.0  # by the server's clock
    end: float = 0.0
    exact: bool = True
    transaction: Transaction = field(default_factory=Transaction)
    elsewhere: bool = False  # in a session that is not the watched one

    @property
    def failed(self) -> bool:
        """Whether it ended in an error."""
        return not self.tag

    @property
    def defines(self) -> bool:
        """Whether the looks are of itself, and not of statements that run inside it."""
        first = self.looks[0] if self.looks else None
        verb = self.tag or (self.statement.verb if self.statement else "")
        return first is not None and first.what == "ddl_command_start" and verb.startswith(first.tag)

    @property
    def opaque(self) -> bool:
        """Whether it runs code whose statements are not told one by one."""
        if self.sets_parameter:
            return False
        return bool(self.statement and self.statement.opaque) or self.tag.split(" ")[0] in {
            "DO",
            "CALL",
            "SELECT",
        }

    @property
    def sets_parameter(self) -> bool:
        """Whether it is a SELECT that only sets one: where it turns the telling of times on, it tells nonsense."""
        text = self.statement.text if self.statement else ""
        return "set_config" in text and self.tag.startswith("SELECT")


def course_of(
    trips: Sequence[RoundTrip], messages: Sequence[Look | Elapsed | None], *, ahead_s: float
) -> list[Ran]:
    """The statements in order.

    Args:
        trips: what went over the wire.
        messages: every message that came, in order; None for those that say nothing to us.
        ahead_s: how far the server's clock is ahead of ours.
    """
    left = iter(messages)
    course: list[Ran] = []
    open_: Transaction | None = None
    for trip in trips:
        rans = list(_in_trip(trip, left))
        _time(rans, trip.sent + ahead_s, trip.ready + ahead_s)
        open_ = _into_transactions(rans, open_, trip.ready + ahead_s)
        course += rans
    if open_ is not None and trips:
        open_.end = trips[-1].ready + ahead_s
    return course


def course_of_looks(looks: Sequence[Look], *, until: float) -> list[Ran]:
    """The DDL commands of sessions that are not watched, from their looks alone.

    Args:
        looks: in order.
        until: when all of them had ended, by the server's clock.
    """
    course: list[Ran] = []
    transactions: dict[str, Transaction] = {}
    for look in looks:
        if look.what == "ddl_command_start" or not course:
            transaction = transactions.setdefault(look.transaction, Transaction(end=until))
            course.append(
                Ran(statement=None, tag=look.tag, begin=look.at, transaction=transaction, elsewhere=True)
            )
        course[-1].looks.append(look)
        course[-1].end = look.at
    ended = list(transactions.values())
    for one, following in pairwise(ended):
        one.end = next(r.begin for r in course if r.transaction is following)
    return course


def _in_trip(trip: RoundTrip, messages: Iterator[Look | Elapsed | None]) -> Iterator[Ran]:
    statements = _split(trip.text)
    numbers = count()
    ran = _next(statements, numbers)
    for what, tag in trip.parts:
        if what == "notice":
            told = next(messages, None)
            if isinstance(told, Look):
                ran.looks.append(told)
            elif told is not None and not (ran.statement and "set_config" in ran.statement.text):
                ran.elapsed = told.seconds
            continue
        ran.tag = tag
        yield ran
        if what == "error":
            return
        ran = _next(statements, numbers)


def _next(statements: Sequence[Statement], numbers: Iterator[int]) -> Ran:
    number = next(numbers)
    return Ran(statement=statements[number] if number < len(statements) else None)


def _split(text: str) -> tuple[Statement, ...]:
    try:
        return parse_script(text, source="the session") if text else ()
    except UnreadableSql:
        return ()


def _time(rans: Sequence[Ran], sent: float, ready: float) -> None:
    """Give each its begin and end: by its own looks, else what they leave of the round trip."""
    waiting: list[Ran] = []
    now = sent
    for ran in rans:
        looks = ran.looks
        if ran.defines:
            ran.begin = looks[0].at
            ran.end = looks[-1].at if looks[-1].what == "ddl_command_end" else ready
        elif looks and looks[-1].what == "end" and not ran.opaque:  # the tool's own record
            ran.begin, ran.end = looks[-1].at - (ran.elapsed or 0.0), looks[-1].at
        else:
            waiting.append(ran)
            continue
        _share(waiting, now, ran.begin)
        waiting, now = [], ran.end
    _share(waiting, now, ready)


def _share(rans: Sequence[Ran], begin: float, end: float) -> None:
    untold = [r for r in rans if r.elapsed is None and not _light(r)]
    untold = untold or [r for r in rans if r.elapsed is None and r.tag in _ENDS]
    room = max(0.0, end - begin - sum(r.elapsed or 0.0 for r in rans))
    now = begin
    for ran in rans:
        took = ran.elapsed if ran.elapsed is not None else room / len(untold) if ran in untold else 0.0
        ran.begin, ran.end = now, now + took
        ran.exact = ran.elapsed is not None or len(untold) == 1
        now = ran.end


def _light(ran: Ran) -> bool:
    return ran.sets_parameter or (ran.tag or (ran.statement.verb if ran.statement else "")) in _LIGHT


def _into_transactions(rans: Sequence[Ran], open_: Transaction | None, ready: float) -> Transaction | None:
    """Returns the transaction that the message leaves open."""
    current, explicit = open_, open_ is not None
    for ran in rans:
        current = current or Transaction()
        ran.transaction = current
        if ran.tag in _BEGINS:
            explicit = True
        elif ran.tag in _ENDS and not _to_savepoint(ran):
            current.end = ran.end
            current, explicit = None, False
    if current is not None and not explicit:
        current.end = ready
        return None
    return current


def _to_savepoint(ran: Ran) -> bool:
    return ran.tag == "ROLLBACK" and bool(ran.statement and " TO " in f" {ran.statement.text.upper()} ")
