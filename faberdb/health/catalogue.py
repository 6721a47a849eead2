"""Which checks there are, by area and name, and which of them somebody asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

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

_SOMETIMES: Final = "slower statements"  # there is nothing to compare with before the first release


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question about a database."""

    area: str
    name: str  # unique
    look: Callable[[Connection], CheckResult]
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
    leave_out = tool.tracking_tables if tool else ()

    def judged(
        area: str, name: str, look: Callable[[Connection, Thresholds], CheckResult], quick: bool = True
    ) -> Check:
        return Check(area=area, name=name, look=lambda conn: look(conn, thresholds), quick=quick)

    def schema(name: str, look: Callable[[Connection], CheckResult], quick: bool = True) -> Check:
        return Check(area="schema", name=name, look=look, quick=quick)

    yield judged("connectivity", "latency", lambda c, t: latency(c, t, connected_ms()), quick=False)
    yield judged("connectivity", "tls", tls)
    yield Check(
        area="migrations",
        name="revisions",
        look=lambda conn: revisions(conn, tool) if tool else _no_tool(),
        quick=False,
    )
    yield schema(
        "fingerprint",
        lambda conn: structure.fingerprint(
            conn, expected=expected, leave_out=leave_out, column_order=column_order
        ),
        quick=False,
    )
    yield schema("invalid indexes", structure.invalid_indexes)
    yield schema("constraints not validated", structure.constraints_not_validated)
    yield schema("foreign keys switched off", structure.foreign_keys_switched_off)
    yield judged("performance", "connections", connections)
    yield judged("performance", "longest transaction", longest_transaction)
    yield judged("performance", "idle in transaction", idle_in_transaction)
    yield judged("performance", "blocked sessions", blocked_sessions)
    yield judged("performance", "lock waits", lock_waits)
    yield judged("performance", "query time", query_time, quick=False)
    yield judged("performance", "cache hit ratio", cache_hit_ratio)
    yield judged("performance", "slow statements", slow_statements)
    if baseline is not None:
        yield judged("performance", _SOMETIMES, lambda c, t: slower_statements(c, t, baseline))
    yield judged("safety", "transaction id age", transaction_id_age)
    yield judged("safety", "multixact age", multixact_age)
    yield judged("safety", "replication lag", replication_lag)
    yield judged("safety", "replication slots", replication_slots)
    yield judged("safety", "sequences", sequences)
    yield judged("safety", "disk use", disk_use)
    yield judged("safety", "free disk", free_disk)
    yield judged("maintenance", "dead rows", dead_rows)
    yield judged("maintenance", "bloat", bloat)
    yield judged("maintenance", "never vacuumed", never_vacuumed)
    yield judged("maintenance", "unused indexes", unused_indexes)
    yield judged("maintenance", "duplicate indexes", duplicate_indexes)


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
