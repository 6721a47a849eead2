"""What other sessions of this database do to it: long and idle transactions, and who waits for whom."""

from __future__ import annotations

from faberdb.connection import Connection
from faberdb.health.asking import row, rows
from faberdb.health.report import CheckResult, HealthState, finding, judge, listed
from faberdb.health.thresholds import Thresholds

_LONGEST = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float,
  (array_agg(format('pid %%s, %%s, %%s', pid, usename, nullif(application_name, '')) ORDER BY xact_start))[1],
  (SELECT count(*) FROM pg_stat_activity h
   WHERE h.datname = current_database() AND h.query = '<insufficient privilege>')
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
  AND backend_type = 'client backend'
"""
_IDLE = """
SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0)::float,
  coalesce(array_agg(format('pid %%s, %%s, %%s', pid, usename, nullif(application_name, ''))
    ORDER BY state_change), '{}'),
  (SELECT count(*) FROM pg_stat_activity h
   WHERE h.datname = current_database() AND h.query = '<insufficient privilege>')
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'
"""
# Before PostgreSQL 14 a waiter does not say since when.
_BLOCKED = """
SELECT count(DISTINCT w.pid), string_agg(DISTINCT b.pid::text, ', ')
FROM pg_locks w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b (pid)
WHERE NOT w.granted
  AND coalesce((to_jsonb(w) ->> 'waitstart')::timestamptz
               < clock_timestamp() - make_interval(secs => %s), true)
"""
_LOCK_WAITS = """
SELECT count(*) OVER (),
  coalesce(extract(epoch FROM clock_timestamp() - (to_jsonb(w) ->> 'waitstart')::timestamptz), 0)::float,
  format('pid %%s wants %%s on %%s, which pid %%s holds', w.pid, w.mode,
    coalesce(w.relation::regclass::text, 'a ' || w.locktype),
    coalesce(nullif(array_to_string(pg_blocking_pids(w.pid), ', '), ''), 'no more'))
FROM pg_locks w JOIN pg_stat_activity a ON a.pid = w.pid AND a.datname = current_database()
WHERE NOT w.granted ORDER BY 2 DESC LIMIT 20
"""


def longest_transaction(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """The oldest open transaction of another session."""
    seconds, whose, hidden = row(conn, _LONGEST)
    bound = thresholds.transaction_warn_seconds
    state = judge(seconds, degraded=bound) if whose else HealthState.HEALTHY
    return _of_sessions(
        "longest transaction",
        state,
        f"{seconds:.0f} s",
        hidden=hidden,
        threshold=f"degraded from {bound:g} s",
        why=f"It holds its locks and keeps dead rows alive: {whose}",
        next_step="end it, or wait for it: SELECT pg_terminate_backend(pid)",
        value=seconds,
        bound=bound,
    )


def idle_in_transaction(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Sessions that opened a transaction and do nothing in it."""
    count, seconds, whose, hidden = row(conn, _IDLE)
    bound = thresholds.idle_in_transaction_warn_seconds
    return _of_sessions(
        "idle in transaction",
        judge(seconds, degraded=bound) if count else HealthState.HEALTHY,
        f"{count} for up to {seconds:.0f} s" if count else "0",
        hidden=hidden,
        threshold=f"degraded from {bound:g} s",
        why=f"They hold locks and keep dead rows alive for nothing: {'; '.join(whose[:5])}",
        next_step="SELECT pg_terminate_backend(pid); set idle_in_transaction_session_timeout",
        value=seconds,
        bound=bound,
    )


def blocked_sessions(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Sessions that wait for a lock for long, of the whole server."""
    count, blockers = row(conn, _BLOCKED, thresholds.blocked_warn_seconds)
    return finding(
        "performance",
        "blocked sessions",
        judge(count, degraded=1),
        f"{count}",
        threshold=f"waiting for a lock for more than {thresholds.blocked_warn_seconds:g} s",
        why=f"They wait for pid {blockers}",
        next_step="end the blocker, or wait for it: SELECT pg_terminate_backend(pid)",
        value=count,
        bound=1,
    )


def lock_waits(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Every lock that is waited for in this database: by whom, and who holds it."""
    found = rows(conn, _LOCK_WAITS)
    count, longest = (found[0][0], found[0][1]) if found else (0, 0.0)
    long = longest >= thresholds.blocked_warn_seconds
    return finding(
        "performance",
        "lock waits",
        judge(count, degraded=1 if long else thresholds.lock_waits_warn),
        f"{count} for up to {longest:.0f} s" if count else "0",
        threshold=f"degraded from {thresholds.lock_waits_warn} at once,"
        f" or one of {thresholds.blocked_warn_seconds:g} s",
        why=f"A queue for a lock stops everyone behind it: {listed([f[2] for f in found], count=count)}",
        next_step="end the one that holds it: SELECT pg_terminate_backend(pid)",
        value=count,
        bound=thresholds.lock_waits_warn,
    )


def _of_sessions(
    name: str,
    state: HealthState,
    figure: str,
    *,
    hidden: int,
    threshold: str,
    why: str,
    next_step: str,
    value: float,
    bound: float,
) -> CheckResult:
    if state is HealthState.HEALTHY and hidden:
        state = HealthState.DEGRADED
        why = f"The role may not see {hidden} sessions of other roles, so the figure may be too small"
        next_step = "GRANT pg_read_all_stats TO the role"
    return finding(
        "performance",
        name,
        state,
        figure,
        threshold=threshold,
        why=why,
        next_step=next_step,
        value=value,
        bound=bound,
    )
