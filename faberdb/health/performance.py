"""Whether the server has room: connections, long transactions, sessions that block each other."""

from __future__ import annotations

import time
from typing import Any

from faberdb.connection import Connection
from faberdb.health.report import CheckResult, HealthState, Thresholds, judge

# A role without pg_read_all_stats sees other roles' sessions only as rows with nearly all columns empty;
# a client's row still tells its database.
_CONNECTIONS = """
SELECT count(*) FILTER (
    WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)),
  current_setting('max_connections')::int
FROM pg_stat_activity
"""
_LONGEST = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float,
  (array_agg(format('pid %%s, %%s, %%s', pid, usename, nullif(application_name, '')) ORDER BY xact_start))[1],
  (SELECT count(*) FROM pg_stat_activity h
   WHERE h.datname = current_database() AND h.query = '<insufficient privilege>')
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
  AND backend_type = 'client backend'
"""
# Before PostgreSQL 14 a waiter does not say since when.
_BLOCKED = """
SELECT count(DISTINCT w.pid), string_agg(DISTINCT b.pid::text, ', ')
FROM pg_locks w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b (pid)
WHERE NOT w.granted
  AND coalesce((to_jsonb(w) ->> 'waitstart')::timestamptz
               < clock_timestamp() - make_interval(secs => %s), true)
"""


def performance(conn: Connection, thresholds: Thresholds) -> tuple[CheckResult, ...]:
    """The findings on the server's room and the sessions of this database."""
    return (
        _connections(conn, thresholds),
        _longest_transaction(conn, thresholds),
        _blocked(conn, thresholds),
        _query_time(conn, thresholds),
    )


def judge_connections(used: int, limit: int, thresholds: Thresholds) -> CheckResult:
    """The finding on a count of client connections."""
    state = judge(
        used / limit, degraded=thresholds.connections_degraded, unhealthy=thresholds.connections_unhealthy
    )
    well = state is HealthState.HEALTHY
    return CheckResult(
        area="performance",
        name="connections",
        state=state,
        figure=f"{used} of {limit}",
        threshold=f"degraded from {thresholds.connections_degraded:.0%},"
        f" unhealthy from {thresholds.connections_unhealthy:.0%}",
        why="" if well else "At the limit the server turns everyone away, a rollback too",
        next_step="" if well else "close idle sessions, use a pooler, or raise max_connections",
    )


def _connections(conn: Connection, thresholds: Thresholds) -> CheckResult:
    used, limit = _row(conn, _CONNECTIONS)
    return judge_connections(int(used), int(limit), thresholds)


def _longest_transaction(conn: Connection, thresholds: Thresholds) -> CheckResult:
    seconds, whose, hidden = _row(conn, _LONGEST)
    state = judge(seconds, degraded=thresholds.transaction_degraded_s)
    why = next_step = ""
    if state is not HealthState.HEALTHY:
        why = f"It holds its locks and keeps dead rows alive: {whose}"
        next_step = "end it, or wait for it: SELECT pg_terminate_backend(pid)"
    elif hidden:
        state = HealthState.DEGRADED
        why = f"The role may not see {hidden} sessions of other roles, so the figure may be too small"
        next_step = "GRANT pg_read_all_stats TO the role"
    return CheckResult(
        area="performance",
        name="longest transaction",
        state=state,
        figure=f"{seconds:.0f} s",
        threshold=f"degraded from {thresholds.transaction_degraded_s:g} s",
        why=why,
        next_step=next_step,
    )


def _blocked(conn: Connection, thresholds: Thresholds) -> CheckResult:
    count, blockers = _row(conn, _BLOCKED, thresholds.blocked_degraded_s)
    return CheckResult(
        area="performance",
        name="blocked sessions",
        state=judge(count, degraded=1),
        figure=f"{count}",
        threshold=f"waiting for a lock for more than {thresholds.blocked_degraded_s:g} s",
        why=f"They wait for pid {blockers}" if count else "",
        next_step="end the blocker, or wait for it: SELECT pg_terminate_backend(pid)" if count else "",
    )


def _query_time(conn: Connection, thresholds: Thresholds) -> CheckResult:
    began = time.perf_counter()
    conn.execute("SELECT count(*) FROM pg_class").fetchone()
    took = (time.perf_counter() - began) * 1000
    state = judge(took, degraded=thresholds.query_degraded_ms, unhealthy=thresholds.query_unhealthy_ms)
    well = state is HealthState.HEALTHY
    return CheckResult(
        area="performance",
        name="query time",
        state=state,
        figure=f"{took:.1f} ms",
        threshold=f"degraded from {thresholds.query_degraded_ms:g} ms,"
        f" unhealthy from {thresholds.query_unhealthy_ms:g} ms",
        why="" if well else "Counting the catalogue's relations takes a healthy server a few milliseconds",
        next_step="" if well else "look at the server's CPU, memory and disk",
    )


def _row(conn: Connection, query: str, *parameters: object) -> tuple[Any, ...]:
    row = conn.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row
