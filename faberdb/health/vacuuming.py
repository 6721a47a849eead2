"""What vacuum left behind: dead rows, tables it never saw, and room inside files that holds nothing.

Bloat is an estimate from the planner's statistics, as good as they are; nothing is scanned.
"""

from __future__ import annotations

from faberdb.connection import Connection
from faberdb.health.asking import rows
from faberdb.health.report import CheckResult, HealthState, finding, judge, listed, size
from faberdb.health.thresholds import Thresholds

_MB = 1024 * 1024

_DEAD = """
SELECT relid::regclass::text, n_dead_tup, 100.0 * n_dead_tup / (n_live_tup + n_dead_tup)
FROM pg_stat_user_tables WHERE n_dead_tup >= %s AND n_dead_tup > 0 ORDER BY 3 DESC
"""
# A standby is vacuumed by its primary, and does not know when.
_NEVER = """
SELECT s.relid::regclass::text,
  concat_ws(' or ', CASE WHEN coalesce(s.last_vacuum, s.last_autovacuum) IS NULL THEN 'vacuumed' END,
    CASE WHEN coalesce(s.last_analyze, s.last_autoanalyze) IS NULL THEN 'analyzed' END)
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
WHERE greatest(s.n_live_tup, c.reltuples) >= %s AND NOT pg_is_in_recovery()
  AND (coalesce(s.last_vacuum, s.last_autovacuum) IS NULL OR coalesce(s.last_analyze, s.last_autoanalyze) IS NULL)
ORDER BY s.n_live_tup DESC
"""
# A heap row has a header of 24 bytes and an item pointer of 4, an index entry 8 and 4; both are padded to 8.
# An index without bloat is filled to 90 %. Expression indexes, and tables with a column that has no
# statistics or that the role may not read, are left out. Deduplicated b-trees are smaller than estimated.
_BLOAT = """
WITH big AS MATERIALIZED (
  SELECT c.oid, c.relkind, c.relpages, c.reltuples, coalesce(i.indrelid, c.oid) AS rel, i.indkey,
    CASE c.relkind WHEN 'i' THEN 90 ELSE coalesce((SELECT option_value::int FROM pg_options_to_table(c.reloptions)
      WHERE option_name = 'fillfactor'), 100) END AS fill,
    CASE c.relkind WHEN 'i' THEN 8 ELSE 24 END AS header,
    current_setting('block_size')::int AS page
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_am m ON m.oid = c.relam
  WHERE c.relkind IN ('r', 'm', 'i') AND c.relpages >= %(pages)s AND c.reltuples >= 0
    AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
    AND (c.relkind <> 'i' OR (m.amname = 'btree' AND i.indexprs IS NULL AND i.indisvalid))
), wide AS (
  SELECT b.oid, sum((1 - s.null_frac) * s.avg_width) AS width
  FROM big b JOIN pg_class t ON t.oid = b.rel JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_attribute a ON a.attrelid = b.rel AND a.attnum > 0 AND NOT a.attisdropped
    AND (b.indkey IS NULL OR a.attnum = ANY (b.indkey::int2[]))
  LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = a.attname
    AND NOT s.inherited
  GROUP BY b.oid HAVING count(*) = count(s.attname)
), estimate AS (
  SELECT b.oid, b.relkind, b.page::float * b.relpages AS octets,
    b.page * greatest(b.relpages - 1 - ceil(b.reltuples * (4 + 8 * ceil((b.header + w.width) / 8))
      / ((b.page - 40) * b.fill / 100.0)), 0)::float AS wasted
  FROM big b JOIN wide w USING (oid)
)
SELECT oid::regclass::text, wasted, 100 * wasted / octets, relkind = 'i' FROM estimate
WHERE wasted >= %(wasted)s ORDER BY wasted DESC
"""


def dead_rows(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Tables in which many rows are dead."""
    found = [(name, int(dead), float(p)) for name, dead, p in rows(conn, _DEAD, thresholds.dead_rows_min)]
    bound = thresholds.dead_rows_warn_percent
    worst = max([0.0, *(p for _, _, p in found)])
    bad = [f"{name} {dead:,} ({p:.0f} %)" for name, dead, p in found if p >= bound]
    return finding(
        "maintenance",
        "dead rows",
        judge(worst, degraded=bound) if bad else HealthState.HEALTHY,
        f"{worst:.0f} % at most" if found else f"nowhere {thresholds.dead_rows_min:,}",
        threshold=f"degraded from {bound:g} % and {thresholds.dead_rows_min:,} rows of a table",
        why=f"Scans read them and vacuum does not come: {listed(bad)}",
        next_step="VACUUM (ANALYZE) the table; look for old transactions; lower its autovacuum_vacuum_scale_factor",
        value=worst,
        bound=bound,
    )


def never_vacuumed(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Big tables that were never vacuumed, or of which the planner knows nothing."""
    found = rows(conn, _NEVER, thresholds.vacuum_min_rows)
    return finding(
        "maintenance",
        "never vacuumed",
        judge(len(found), degraded=1),
        f"{len(found)}",
        threshold=f"of {thresholds.vacuum_min_rows:,} rows or more, since the statistics were reset",
        why="Without, plans are guesses and every index-only scan reads the table: "
        + listed([f"{name} never {what}" for name, what in found]),
        next_step="VACUUM (ANALYZE) the table; SHOW autovacuum",
        value=len(found),
        bound=1,
    )


def bloat(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Tables and b-tree indexes whose files are mostly empty, by estimate."""
    least = thresholds.bloat_min_mb * _MB
    asked = {"pages": least / 8192, "wasted": least}
    found = conn.execute(_BLOAT.encode(), asked).fetchall()
    bad = [f for f in found if f[2] >= thresholds.bloat_warn_percent]
    named = [f"{name} {size(wasted)} ({p:.0f} %)" for name, wasted, p, _ in bad]
    wasted = sum(f[1] for f in bad)
    only_indexes = all(is_index for *_, is_index in bad)
    return finding(
        "maintenance",
        "bloat",
        judge(len(bad), degraded=1),
        f"about {size(wasted)} in {len(bad)}" if bad else "0",
        threshold=f"degraded from {thresholds.bloat_warn_percent:g} %"
        f" and {thresholds.bloat_min_mb:g} MB of a table or index, by estimate",
        why=f"Scans read empty pages, and memory holds them: {listed(named)}",
        next_step="REINDEX INDEX CONCURRENTLY it"
        if only_indexes
        else "pg_repack, or VACUUM FULL, which locks the table; REINDEX INDEX CONCURRENTLY an index",
        value=wasted / _MB,
        bound=thresholds.bloat_min_mb,
    )
