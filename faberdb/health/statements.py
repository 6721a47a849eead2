"""What pg_stat_statements tells, where it is installed: slow statements, and those that a release made slower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg import sql

from faberdb.connection import Connection
from faberdb.health.asking import row
from faberdb.health.report import CheckResult, HealthState, StatementTime, finding, judge, listed, not_run
from faberdb.health.thresholds import Thresholds

_AREA, _SLOW, _SLOWER = "performance", "slow statements", "slower statements"
_KEPT: Final = 2000  # statements of a baseline, those that took the most time
_WORTH_MS: Final = 1.0  # a mean below is nobody's trouble, however many times slower

_SCHEMA = """
SELECT (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
  WHERE e.extname = 'pg_stat_statements')
"""
# One statement may stand in several lines: of several roles, or inside a function and outside.
_TIMES = sql.SQL("""
SELECT queryid, sum(calls)::bigint, sum(total_exec_time)::float
FROM {}.pg_stat_statements(false)
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NOT NULL
GROUP BY queryid ORDER BY 3 DESC
""")
_HIDDEN = sql.SQL("""
SELECT count(*) FROM {}.pg_stat_statements(false)
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NULL
""")
# Only what the server normalises: of anything else it keeps the literals, a password's too. It also keeps them
# where an entry was evicted while its statement ran, so the text ends at the first quote.
_TEXTS = sql.SQL("""
SELECT DISTINCT ON (queryid) queryid,
  CASE WHEN query ~* '^\\s*(select|insert|update|delete|merge|with|values)\\M' THEN left(regexp_replace(
      regexp_replace(query, '(''|\\$[a-z_]*\\$).*', '…', 'i'), '\\s+', ' ', 'g'), 90)
    ELSE 'statement ' || queryid END
FROM {}.pg_stat_statements(true) WHERE queryid = ANY (%s)
""")


class Baseline(Struct, frozen=True, kw_only=True):
    """What the statements took before a release."""

    release: str
    times: Mapping[int, StatementTime]


class Slowdown(Struct, frozen=True, kw_only=True):
    """A statement that takes longer since the release."""

    queryid: int
    before_ms: float
    since_ms: float
    calls: int  # since


def slow_statements(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Statements whose mean time is long."""
    try:
        schema, times = _read(conn)
        if not schema:
            return _not_installed(_SLOW)
        return _judge_slow(conn, schema, times, thresholds)
    except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.UndefinedColumn) as error:
        return _not_usable(_SLOW, error)


def slower_statements(conn: Connection, thresholds: Thresholds, baseline: Baseline) -> CheckResult:
    """Statements that take many times as long as before a release."""
    try:
        schema, times = _read(conn)
        if not schema:
            return _not_installed(_SLOWER)
        found = slowdowns(baseline.times, times, thresholds)
        texts = _texts(conn, schema, [s.queryid for s in found])
    except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.UndefinedColumn) as error:
        return _not_usable(_SLOWER, error)
    named = [
        f"{s.before_ms:.1f} → {s.since_ms:.1f} ms ({s.since_ms / s.before_ms:.0f} times, {s.calls} calls):"
        f" {texts.get(s.queryid, s.queryid)}"
        for s in found
    ]
    return finding(
        _AREA,
        _SLOWER,
        judge(len(found), degraded=1),
        f"{len(found)}",
        threshold=f"{thresholds.slower_factor:g} times slower since {baseline.release}",
        why=f"The release may have cost them an index or a good plan: {listed(named)}",
        next_step="EXPLAIN (ANALYZE, BUFFERS) them; ANALYZE their tables",
        value=len(found),
        bound=1,
    )


def slowdowns(
    before: Mapping[int, StatementTime], now: Mapping[int, StatementTime], thresholds: Thresholds
) -> list[Slowdown]:
    """Which statements take many times as long as before, slowest first; opens nothing."""
    found = []
    for queryid, was in before.items():
        total = now.get(queryid)
        if total is None or was.calls < thresholds.statement_min_calls:
            continue
        reset = total.calls < was.calls  # the statistics began anew in between
        calls = total.calls - (0 if reset else was.calls)
        if calls < thresholds.statement_min_calls:
            continue
        since_ms = (total.total_ms - (0 if reset else was.total_ms)) / calls
        before_ms = was.total_ms / was.calls
        if since_ms >= _WORTH_MS and since_ms >= before_ms * thresholds.slower_factor and before_ms > 0:
            found.append(Slowdown(queryid=queryid, before_ms=before_ms, since_ms=since_ms, calls=calls))
    return sorted(found, key=lambda s: -s.since_ms)


def statement_times(conn: Connection) -> dict[int, StatementTime]:
    """What the statements of this database took so far; empty where the server does not tell."""
    try:
        _, times = _read(conn)
    except psycopg.Error:
        return {}
    return dict(list(times.items())[:_KEPT])


def _read(conn: Connection) -> tuple[str, dict[int, StatementTime]]:
    (schema,) = row(conn, _SCHEMA)
    if not schema:
        return "", {}
    found = conn.execute(_TIMES.format(sql.Identifier(schema))).fetchall()
    return schema, {q: StatementTime(calls=c, total_ms=t) for q, c, t in found}


def _judge_slow(
    conn: Connection, schema: str, times: Mapping[int, StatementTime], thresholds: Thresholds
) -> CheckResult:
    means = {
        q: t.total_ms / t.calls for q, t in times.items() if t.calls >= max(thresholds.statement_min_calls, 1)
    }
    bound = thresholds.slow_statement_ms
    worst = max(means.values(), default=0.0)
    slow = sorted((q for q, mean in means.items() if mean >= bound), key=lambda q: -times[q].total_ms)
    texts = _texts(conn, schema, slow[:5])
    named = [f"{means[q]:.0f} ms, {times[q].calls} calls: {texts.get(q, q)}" for q in slow[:5]]
    state, why = judge(len(slow), degraded=1), f"They keep the server busy: {listed(named, count=len(slow))}"
    next_step = "EXPLAIN (ANALYZE, BUFFERS) them"
    hidden = conn.execute(_HIDDEN.format(sql.Identifier(schema))).fetchone()
    if state is HealthState.HEALTHY and hidden and hidden[0]:
        state, why = HealthState.DEGRADED, f"The role may not see {hidden[0]} statements of other roles"
        next_step = "GRANT pg_read_all_stats TO the role"
    return finding(
        _AREA,
        _SLOW,
        state,
        f"{len(slow)}, the slowest {worst:.0f} ms",
        threshold=f"degraded from a mean of {bound:g} ms in {thresholds.statement_min_calls} calls",
        why=why,
        next_step=next_step,
        value=worst,
        bound=bound,
    )


def _texts(conn: Connection, schema: str, queryids: list[int]) -> dict[int, str]:
    if not queryids:
        return {}
    return dict(conn.execute(_TEXTS.format(sql.Identifier(schema)), (queryids,)).fetchall())


def _not_installed(name: str) -> CheckResult:
    return not_run(
        _AREA,
        "pg_stat_statements is not installed",
        name=name,
        figure="not known",
        next_step="shared_preload_libraries = 'pg_stat_statements', a restart, CREATE EXTENSION pg_stat_statements",
    )


def _not_usable(name: str, error: psycopg.Error) -> CheckResult:
    said: Any = error.diag.message_primary or type(error).__name__
    return not_run(
        _AREA,
        f"pg_stat_statements cannot be read: {said}",
        name=name,
        figure="not known",
        next_step="shared_preload_libraries = 'pg_stat_statements' and a restart; ALTER EXTENSION"
        " pg_stat_statements UPDATE",
    )
