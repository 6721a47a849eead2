"""Indexes that cost each write and serve no read: never used, or there twice.

Sizes are as of the last vacuum: asking for them now would wait for whoever locks the table.
"""

from __future__ import annotations

from faberdb.connection import Connection
from faberdb.health.asking import rows
from faberdb.health.report import CheckResult, HealthState, finding, judge, listed, not_run, size
from faberdb.health.thresholds import Thresholds

_MB = 1024 * 1024

# A standby counts its own scans only. Left out: what enforces something (unique, exclusion, a constraint's, a
# replica identity's), and what lets a foreign key find its rows, which scans count only when a parent goes.
_UNUSED = """
SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE
    extract(epoch FROM now() - coalesce(d.stats_reset, pg_postmaster_start_time()))::float / 86400 END,
  coalesce(u.names, '{}'), coalesce(u.octets, 0)::float
FROM pg_stat_database d CROSS JOIN (
  SELECT array_agg(s.indexrelid::regclass::text ORDER BY c.relpages DESC) AS names,
    sum(c.relpages::float * current_setting('block_size')::int) AS octets
  FROM pg_stat_user_indexes s JOIN pg_index i ON i.indexrelid = s.indexrelid
  JOIN pg_class c ON c.oid = i.indexrelid AND c.relpages >= %(pages)s
  WHERE s.idx_scan = 0 AND i.indisvalid AND NOT i.indisunique AND NOT i.indisexclusion AND NOT i.indisreplident
    AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)
    AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = i.indrelid AND k.contype = 'f'
      AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
) u WHERE d.datname = current_database()
"""
# Expressions are compared as stored, without their positions in the statement that made them: pg_get_expr would
# wait for whoever locks the table.
_DUPLICATE = """
SELECT format('%%s is %%s', (SELECT string_agg(o::regclass::text, ', ') FROM unnest(g.ids[2:]) o),
    g.ids[1]::regclass),
  (SELECT sum(p) * current_setting('block_size')::int FROM unnest(g.pages[2:]) p)::float
FROM (
  SELECT array_agg(i.indexrelid ORDER BY i.indisprimary DESC, i.indisunique DESC, i.indisreplident DESC,
    i.indexrelid) AS ids,
    array_agg(c.relpages ORDER BY i.indisprimary DESC, i.indisunique DESC, i.indisreplident DESC,
    i.indexrelid) AS pages
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE i.indisvalid AND c.relkind = 'i' AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
  GROUP BY i.indrelid, c.relam, i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text,
    i.indoption::text, regexp_replace(i.indexprs::text, ':location -?[0-9]+', '', 'g'),
    regexp_replace(i.indpred::text, ':location -?[0-9]+', '', 'g')
  HAVING count(*) > 1
) g ORDER BY 2 DESC
"""


def unused_indexes(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Big indexes that no query used since the statistics were reset, if that is long enough ago."""
    pages = thresholds.unused_index_min_mb * _MB / 8192
    found = conn.execute(_UNUSED.encode(), {"pages": pages}).fetchone()
    assert found is not None
    days, names, octets = found
    if days < thresholds.unused_index_days:
        return not_run(
            "maintenance",
            f"only {thresholds.unused_index_days:g} days of statistics say that nobody uses an index",
            name="unused indexes",
            figure=f"{days:.0f} days of statistics",
        )
    return finding(
        "maintenance",
        "unused indexes",
        judge(len(names), degraded=1),
        f"{len(names)}, {size(octets)}" if names else "0",
        threshold=f"of {thresholds.unused_index_min_mb:g} MB or more, in {days:.0f} days",
        why=f"Every write pays for them: {listed(names)}",
        next_step="if no standby uses it either: DROP INDEX CONCURRENTLY it, in a migration",
        value=len(names),
        bound=1,
    )


def duplicate_indexes(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Indexes with the same columns, operators and condition on the same table."""
    found = rows(conn, _DUPLICATE)
    wasted = sum(float(octets) for _, octets in found)
    return finding(
        "maintenance",
        "duplicate indexes",
        HealthState.DEGRADED if found else HealthState.HEALTHY,
        f"{len(found)}, {size(wasted)}" if found else "0",
        threshold="none",
        why=f"Every write pays twice: {listed([text for text, _ in found])}",
        next_step="DROP INDEX CONCURRENTLY one of them, in a migration",
        value=len(found),
        bound=1,
    )
