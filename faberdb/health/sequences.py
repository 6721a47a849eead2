"""How near sequences are to their end, or to the end of the column they feed."""

from __future__ import annotations

from faberdb.connection import Connection
from faberdb.health.asking import row
from faberdb.health.report import CheckResult, HealthState, finding, judge, listed
from faberdb.health.thresholds import Thresholds

# A sequence feeds the column that owns it and every column whose default reads it. pg_sequence_last_value
# raises without the right, and on a standby for an unlogged sequence.
_USED = """
WITH feeds AS (
  SELECT d.objid AS seq, d.refobjid AS rel, d.refobjsubid AS num FROM pg_depend d
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
  UNION
  SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
), columns AS (
  SELECT f.seq, f.rel, a.attname, a.atttypid AS type,
    CASE coalesce(nullif(t.typbasetype, 0), t.oid)
      WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END AS ends_at
  FROM feeds f JOIN pg_attribute a ON a.attrelid = f.rel AND a.attnum = f.num AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
), counted AS (
  SELECT s.seqrelid AS seq, s.seqincrement > 0 AS up, s.seqmin, s.seqmax, r.readable,
    CASE WHEN r.readable AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
      THEN pg_sequence_last_value(s.seqrelid) END AS last
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
  CROSS JOIN LATERAL (SELECT has_sequence_privilege(c.oid, 'USAGE, SELECT') AS readable) r
  WHERE NOT s.seqcycle AND NOT pg_is_other_temp_schema(c.relnamespace)
), used AS (
  SELECT s.seq, s.readable, k.rel, k.attname, k.type,
    CASE WHEN s.last IS NULL THEN 0
      WHEN s.up AND s.last > 0 THEN s.last::numeric / greatest(least(s.seqmax, coalesce(k.ends_at, s.seqmax)), 1)
      WHEN NOT s.up AND s.last < 0
        THEN s.last::numeric / least(greatest(s.seqmin, coalesce(-k.ends_at - 1, s.seqmin)), -1)
      ELSE 0 END * 100 AS percent
  FROM counted s LEFT JOIN columns k USING (seq)
)
SELECT count(*), coalesce(max(percent), 0)::float, (array_agg(seq ORDER BY percent DESC, seq))[1]::regclass::text,
  coalesce(array_agg(format('%%s at %%s %%%%', seq::regclass, round(percent, 1)) || CASE WHEN rel IS NULL THEN ''
      ELSE format(' into %%s.%%I (%%s)', rel::regclass, attname, format_type(type, NULL)) END
    ORDER BY percent DESC) FILTER (WHERE percent >= %s), '{}'),
  count(DISTINCT seq) FILTER (WHERE NOT readable)
FROM used
"""


def sequences(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """The sequence that has counted furthest."""
    bound = thresholds.sequence_warn_percent
    count, percent, name, near, hidden = row(conn, _USED, bound)
    state = judge(percent, degraded=bound)
    why = f"At the end every insert fails: {listed(near)}"
    next_step = (
        "widen the column to bigint by expand and contract, and ALTER SEQUENCE … AS bigint (or its MAXVALUE)"
    )
    if state is HealthState.HEALTHY and hidden:
        state, why = HealthState.DEGRADED, f"The role may not read {hidden} sequences"
        next_step = "GRANT SELECT ON ALL SEQUENCES IN SCHEMA … TO the role"
    return finding(
        "safety",
        "sequences",
        state,
        f"{percent:.1f} % used by {name}" if count else "none",
        threshold=f"degraded from {bound:g} % of what the sequence or its column can hold",
        why=why,
        next_step=next_step,
        value=percent,
        bound=bound,
    )
