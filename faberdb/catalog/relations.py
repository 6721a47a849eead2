"""The query for tables, views and sequences, and for everything that hangs on them."""

from __future__ import annotations

from typing import Final

from faberdb.catalog.keys import CONSTRAINTS, INDEXES, SHAPES

# Every part selects: class, oid, column number, kind, identity, definition, owner. A definition is NULL
# only when the object went away between the snapshot and PostgreSQL's own printing of it.
_HEAD: Final = """
WITH theirs AS MATERIALIZED (
  SELECT classid, objid FROM pg_depend
  WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
),
ns AS MATERIALIZED (
  SELECT oid, quote_ident(nspname) AS name FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
rel AS MATERIALIZED (
  SELECT c.oid, ns.name || '.' || quote_ident(c.relname) AS name, c.relkind, c.relpersistence,
         c.reloftype, c.relispartition, c.relam, c.reloptions, c.reltoastrelid, c.reltablespace,
         c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relpartbound, c.relowner
  FROM pg_class c JOIN ns ON ns.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
    AND NOT (c.relkind <> 'S' AND c.relname = ANY (%(leave_out)s))
    AND NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_class'::regclass AND t.objid = c.oid)
),
att AS MATERIALIZED (
  SELECT r.name, r.relkind, r.relispartition, quote_ident(a.attname) AS column_name, a.attrelid, a.attnum,
         a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, a.attgenerated, a.attidentity, a.attstorage,
         /*compressed*/ a.attstattarget, a.attoptions, a.attfdwoptions, a.attislocal, a.attisdropped
  FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
  WHERE r.relkind <> 'S'
),
dressed AS MATERIALIZED (
  SELECT oid, reloptions, reltablespace FROM pg_class WHERE reloptions IS NOT NULL OR reltablespace <> 0
),
weak AS MATERIALIZED (
  SELECT conrelid, conkey[1] AS attnum, convalidated, connoinherit FROM pg_constraint
  WHERE contype = 'n' AND (NOT convalidated OR connoinherit)
),
"""

_TABLES: Final = """
SELECT 'pg_class'::regclass::oid, r.oid, 0, CASE r.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END,
  r.name,
  concat_ws(' ',
    CASE r.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
    'TABLE',
    CASE WHEN r.reloftype <> 0 THEN 'OF ' || format_type(r.reloftype, NULL) END,
    CASE WHEN r.relispartition THEN 'PARTITION OF ' ELSE 'INHERITS ' END || h.parents,
    pg_get_expr(r.relpartbound, r.oid),
    CASE WHEN r.relkind = 'p' THEN 'PARTITION BY ' || pg_get_partkeydef(r.oid) END,
    CASE WHEN a.amname <> 'heap' THEN 'USING ' || quote_ident(a.amname) END,
    'SERVER ' || quote_ident(f.srvname),
    CASE WHEN ft.ftoptions IS NOT NULL THEN 'OPTIONS ('
      || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(ft.ftoptions) o) || ')' END,
    CASE WHEN r.reloptions IS NOT NULL OR t.reloptions IS NOT NULL THEN 'WITH ('
      || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM (
            SELECT unnest(r.reloptions) UNION ALL SELECT 'toast.' || unnest(t.reloptions)) w(o)) || ')' END,
    'TABLESPACE ' || quote_ident(s.spcname),
    CASE WHEN r.relrowsecurity THEN 'ROW LEVEL SECURITY' END,
    CASE WHEN r.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END,
    CASE r.relreplident WHEN 'n' THEN 'REPLICA IDENTITY NOTHING' WHEN 'f' THEN 'REPLICA IDENTITY FULL'
      WHEN 'i' THEN 'REPLICA IDENTITY USING INDEX ' || coalesce((
        SELECT i.indexrelid::regclass::text FROM pg_index i
        WHERE i.indrelid = r.oid AND i.indisreplident), '(none)') END),
  pg_get_userbyid(r.relowner)
FROM rel r
LEFT JOIN pg_am a ON a.oid = r.relam
LEFT JOIN pg_tablespace s ON s.oid = r.reltablespace
LEFT JOIN dressed t ON t.oid = r.reltoastrelid
LEFT JOIN (
  SELECT inhrelid, string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) AS parents
  FROM pg_inherits GROUP BY inhrelid
) h ON h.inhrelid = r.oid
LEFT JOIN pg_foreign_table ft ON ft.ftrelid = r.oid
LEFT JOIN pg_foreign_server f ON f.oid = ft.ftserver
WHERE r.relkind IN ('r', 'p', 'f')
"""

# A NOT NULL of PostgreSQL 18 is a constraint with a name; the name is invented for most of them, differs
# between a table and its copy, and says nothing, so the column tells it. `attislocal` of a partition is
# turned on by a dump, which creates it alone and attaches it.
_COLUMNS: Final = """
SELECT 'pg_class'::regclass::oid, a.attrelid, a.attnum, 'column', a.name || '.' || a.column_name,
  concat_ws(' ',
    format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation
      THEN 'COLLATE ' || a.attcollation::regcollation END,
    CASE WHEN a.attnotnull THEN 'NOT NULL' END,
    CASE WHEN NOT n.convalidated THEN 'NOT VALID' END,
    CASE WHEN n.connoinherit THEN 'NO INHERIT' END,
    CASE a.attgenerated
      WHEN 's' THEN 'GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') STORED'
      WHEN 'v' THEN 'GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') VIRTUAL'
      ELSE 'DEFAULT ' || pg_get_expr(d.adbin, 0) END,
    CASE a.attidentity WHEN 'a' THEN 'GENERATED ALWAYS AS IDENTITY'
      WHEN 'd' THEN 'GENERATED BY DEFAULT AS IDENTITY' END,
    CASE WHEN a.attstorage <> t.typstorage AND a.relkind <> 'v'
      THEN 'STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
        WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
    /*compression*/
    'STATISTICS ' || NULLIF(a.attstattarget, -1),
    CASE WHEN a.attoptions IS NOT NULL THEN 'WITH ('
      || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(a.attoptions) o) || ')' END,
    CASE WHEN a.attfdwoptions IS NOT NULL THEN 'OPTIONS ('
      || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(a.attfdwoptions) o) || ')' END,
    CASE WHEN NOT a.attislocal AND NOT a.relispartition THEN 'INHERITED' END),
  NULL
FROM att a
LEFT JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN weak n ON n.conrelid = a.attrelid AND n.attnum = a.attnum
WHERE NOT a.attisdropped
"""

# A sequence goes with the column that owns it: a tracking table's is left out with its table.
_SEQUENCES: Final = """
SELECT 'pg_class'::regclass::oid, r.oid, 0, 'sequence', r.name,
  concat_ws(' ',
    CASE r.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
    format_type(q.seqtypid, NULL), 'START', q.seqstart, 'INCREMENT', q.seqincrement,
    'MINVALUE', q.seqmin, 'MAXVALUE', q.seqmax, 'CACHE', q.seqcache,
    CASE WHEN q.seqcycle THEN 'CYCLE' END,
    CASE d.deptype WHEN 'i' THEN 'IDENTITY OF ' ELSE 'OWNED BY ' END
      || o.name || '.' || h.names[d.refobjsubid]),
  pg_get_userbyid(r.relowner)
FROM rel r
JOIN pg_sequence q ON q.seqrelid = r.oid
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.objsubid = 0
  AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
LEFT JOIN rel o ON o.oid = d.refobjid
LEFT JOIN shape h ON h.attrelid = d.refobjid
WHERE r.relkind = 'S' AND (d.refobjid IS NULL OR o.oid IS NOT NULL)
"""

# Whether a materialised view is populated is its data's state.
_VIEWS: Final = """
SELECT 'pg_class'::regclass::oid, r.oid, 0, CASE r.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END,
  r.name,
  concat_ws(' ',
    CASE WHEN a.amname <> 'heap' THEN 'USING ' || quote_ident(a.amname) END,
    'WITH (' || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(r.reloptions) o) || ')',
    'TABLESPACE ' || quote_ident(s.spcname),
    'AS') || ' ' || ltrim(pg_get_viewdef(r.oid)),
  pg_get_userbyid(r.relowner)
FROM rel r
LEFT JOIN pg_am a ON a.oid = r.relam
LEFT JOIN pg_tablespace s ON s.oid = r.reltablespace
WHERE r.relkind IN ('v', 'm')
"""

# A partition's copy of its parent's trigger is told only where it was switched to another state.
_TRIGGERS: Final = """
SELECT 'pg_trigger'::regclass::oid, g.oid, 0, 'trigger', r.name || '.' || quote_ident(g.tgname),
  pg_get_triggerdef(g.oid)
    || CASE g.tgenabled WHEN 'D' THEN ' DISABLED' WHEN 'R' THEN ' ENABLED REPLICA'
         WHEN 'A' THEN ' ENABLED ALWAYS' ELSE '' END,
  NULL
FROM rel r
JOIN pg_trigger g ON g.tgrelid = r.oid AND NOT g.tgisinternal
LEFT JOIN pg_trigger p ON p.oid = g.tgparentid
WHERE p.oid IS NULL OR p.tgenabled <> g.tgenabled
"""

_RULES: Final = """
SELECT 'pg_rewrite'::regclass::oid, w.oid, 0, 'rule', r.name || '.' || quote_ident(w.rulename),
  pg_get_ruledef(w.oid)
    || CASE w.ev_enabled WHEN 'D' THEN ' DISABLED' WHEN 'R' THEN ' ENABLED REPLICA'
         WHEN 'A' THEN ' ENABLED ALWAYS' ELSE '' END,
  NULL
FROM rel r
JOIN pg_rewrite w ON w.ev_class = r.oid AND w.rulename <> '_RETURN'
"""

_POLICIES: Final = """
SELECT 'pg_policy'::regclass::oid, p.oid, 0, 'policy', r.name || '.' || quote_ident(p.polname),
  concat_ws(' ',
    CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    'FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
      WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    'TO ' || (SELECT string_agg(CASE u WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(u)) END, ', '
                ORDER BY CASE u WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(u)) END COLLATE "C")
              FROM unnest(p.polroles) u),
    'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
    'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
  NULL
FROM rel r JOIN pg_policy p ON p.polrelid = r.oid
"""

_STATISTICS: Final = """
SELECT 'pg_statistic_ext'::regclass::oid, s.oid, 0, 'statistics', ns.name || '.' || quote_ident(s.stxname),
  pg_get_statisticsobjdef(s.oid) || coalesce(' STATISTICS ' || NULLIF(s.stxstattarget, -1), ''),
  pg_get_userbyid(s.stxowner)
FROM rel r
JOIN pg_statistic_ext s ON s.stxrelid = r.oid
JOIN ns ON ns.oid = s.stxnamespace
"""

# Two halves that take the server about as long.
_PLAIN: Final = (_TABLES, _COLUMNS, _SEQUENCES, _VIEWS, _TRIGGERS, _RULES, _POLICIES, _STATISTICS)
_KEYS: Final = (CONSTRAINTS, INDEXES)
# What only some server versions have: its place in the text, since when, and what stands there.
_SINCE: Final = (
    ("/*compressed*/", 140000, "a.attcompression,"),
    ("/*compression*/", 140000, "CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END,"),
    ("/*unusual key*/", 150000, "OR i.indnullsnotdistinct OR k.confdelsetcols IS NOT NULL"),
    ("/*usual index*/", 150000, "AND NOT i.indnullsnotdistinct"),
)


def relations_query(server_version: int) -> str:
    """Tables, views, sequences and what hangs on them, without their keys.

    Its one parameter, like that of `keys_query`, is `leave_out`, an array of unqualified table names.
    """
    return _query(_PLAIN, server_version)


def keys_query(server_version: int) -> str:
    """The tables' constraints and indexes."""
    return _query(_KEYS, server_version)


def _query(parts: tuple[str, ...], server_version: int) -> str:
    text = _HEAD + SHAPES + "UNION ALL".join(parts)
    for place, since, addition in _SINCE:
        text = text.replace(place, addition if server_version >= since else "")
    return text
