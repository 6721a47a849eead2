"""Which checks there are, by area and name, and which of them somebody asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from faberdb.connection import Connection
from faberdb.errors import Refused
from faberdb.health import structure
from faberdb.health.connectivity import latency, tls
from faberdb.health.disk import disk_use, free_disk
from faberdb.health.indexes import duplicate_indexes, unused_indexes
from faberdb.health.migrations import revisions
from faberdb.health.performance import cache_hit_ratio, connections, query_time
from faberdb.health.replication import replication_lag, replication_slots
from faberdb.health.report import AREAS, PROJECT, CheckResult, not_run
from faberdb.health.sequences import sequences
from faberdb.health.sessions import blocked_sessions, idle_in_transaction, lock_waits, longest_transaction
from faberdb.health.statements import Baseline, slow_statements, slower_statements
from faberdb.health.thresholds import Thresholds
from faberdb.health.vacuuming import bloat, dead_rows, never_vacuumed
from faberdb.health.wraparound import multixact_age, transaction_id_age
from faberdb.tools.protocol import MigrationTool

Question = Callable[[Connection], CheckResult]
Judge = Callable[[Connection, Thresholds], CheckResult]

_SOMETIMES: Final = "slower statements"  # there is nothing to compare with before the first release
_QUERY_TIME: Final = "query time"  # what it measures is the round trip
_SCHEMA: Final[Mapping[str, Question]] = {
    "invalid indexes": structure.invalid_indexes,
    "constraints not validated": structure.constraints_not_validated,
    "foreign keys switched off": structure.foreign_keys_switched_off,
}
_PERFORMANCE: Final[Mapping[str, Judge]] = {
    "connections": connections,
    "longest transaction": longest_transaction,
    "idle in transaction": idle_in_transaction,
    "blocked sessions": blocked_sessions,
    "lock waits": lock_waits,
    _QUERY_TIME: query_time,
    "cache hit ratio": cache_hit_ratio,
    "slow statements": slow_statements,
}
_SAFETY: Final[Mapping[str, Judge]] = {
    "transaction id age": transaction_id_age,
    "multixact age": multixact_age,
    "replication lag": replication_lag,
    "replication slots": replication_slots,
    "sequences": sequences,
    "disk use": disk_use,
    "free disk": free_disk,
}
_MAINTENANCE: Final[Mapping[str, Judge]] = {
    "dead rows": dead_rows,
    "bloat": bloat,
    "never vacuumed": never_vacuumed,
    "unused indexes": unused_indexes,
    "duplicate indexes": duplicate_indexes,
}


class Check(Struct, frozen=True, kw_only=True):
    """One question about a database."""

    area: str
    name: str  # unique
    look: Question
    quick: bool = True  # sent together with its time-out, in one round trip


def every_check(
    *,
    tool: MigrationTool | None,
    expected: structure.Expected | None,
    thresholds: Thresholds,
    baseline: Baseline | None,
    connected_ms: Callable[[], float],
    column_order: bool = False,
) -> Iterator[Check]:
    """Every check there is for a database, in the order of the report."""

    def judged(area: str, name: str, judge: Judge) -> Check:
        quick = name != _QUERY_TIME
        return Check(area=area, name=name, look=lambda conn: judge(conn, thresholds), quick=quick)

    def fingerprint(conn: Connection) -> CheckResult:
        leave_out = tool.tracking_tables if tool else ()
        return structure.fingerprint(conn, expected=expected, leave_out=leave_out, column_order=column_order)

    def applied(conn: Connection) -> CheckResult:
        return revisions(conn, tool) if tool else _no_tool()

    def reached(conn: Connection) -> CheckResult:
        return latency(conn, thresholds, connected_ms())

    yield Check(area="connectivity", name="latency", look=reached, quick=False)
    yield judged("connectivity", "tls", tls)
    yield Check(area="migrations", name="revisions", look=applied, quick=False)
    yield Check(area="schema", name="fingerprint", look=fingerprint, quick=False)
    yield from (Check(area="schema", name=name, look=look) for name, look in _SCHEMA.items())
    yield from (judged("performance", name, judge) for name, judge in _PERFORMANCE.items())
    if baseline is not None:
        yield judged("performance", _SOMETIMES, lambda c, t: slower_statements(c, t, baseline))
    yield from (judged("safety", name, judge) for name, judge in _SAFETY.items())
    yield from (judged("maintenance", name, judge) for name, judge in _MAINTENANCE.items())


def chosen(every: Sequence[Check], names: Collection[str] | None) -> list[Check]:
    """The checks that are named, or whose area is; `lock-waits` is `lock waits`, and None is all.

    Raises:
        Refused: there is no such check.
    """
    if names is None:
        return list(every)
    asked = {n.strip().replace("-", " ").replace("_", " ") for n in names}
    unknown = sorted(asked - {c.area for c in every} - {c.name for c in every} - {_SOMETIMES})
    if unknown:
        raise Refused(
            f"There is no health check {unknown[0]!r}.",
            why=f"Single checks are: {', '.join(c.name for c in every)}.",
            next_step=f"choose among {', '.join((*AREAS, PROJECT))}, or name single checks",
        )
    return [c for c in every if c.area in asked or c.name in asked]


def _no_tool() -> CheckResult:
    return not_run("migrations", "the project names no migration tool", name="revisions")
