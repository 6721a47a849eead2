"""The parts of the query that tell constraints and indexes.

`pg_get_constraintdef` and `pg_get_indexdef` look every name up again for every row. So the text of what is plain
is put together here from sets, letter by letter as the server would (PostgreSQL source, ruleutils.c). What is not
plain comes out NULL and is left to the server.
"""

from __future__ import annotations

from typing import Final

_MOST_KEYS: Final = 4  # columns of a plain key

# A table's shape is its columns' names by number; `classes` has the operator class that a plain btree index on
# the column has. Many tables of a large schema are of one shape (partitions, tenants), and the same expression
# over the same shape reads the same: the server is asked once, for opening a table costs more than all the rest.
# A row as a whole (varattno 0) would be printed with its table's name.
SHAPES: Final = """,
usual AS MATERIALIZED (
  SELECT t.oid AS type, o.oid AS class
  FROM pg_opclass o
  JOIN pg_type t ON t.oid = o.opcintype
    OR t.oid = 'varchar'::regtype AND o.opcintype = 'text'::regtype
  WHERE o.opcdefault AND o.oid < 16384 AND o.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree')
),
shape AS MATERIALIZED (
  SELECT a.attrelid, array_agg(quote_ident(a.attname) ORDER BY a.attnum) AS names,
    array_agg(u.class ORDER BY a.attnum) AS classes, array_agg(a.attcollation ORDER BY a.attnum) AS collations
  FROM rel r
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
  LEFT JOIN usual u ON u.type = a.atttypid
  WHERE r.relkind <> 'S'
  GROUP BY a.attrelid
),
lone AS MATERIALIZED (
  SELECT r.name AS relation, i.*
  FROM pg_index i JOIN rel r ON r.oid = i.indrelid
  WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
),
checked AS MATERIALIZED (
  SELECT g.tree, g.names,
    CASE WHEN strpos(g.tree, ':varattno 0 ') = 0 THEN
      (SELECT pg_get_expr(k.conbin, k.conrelid) FROM pg_constraint k WHERE k.oid = g.first) END AS text
  FROM (
    SELECT k.conbin::text AS tree, s.names, min(k.oid) AS first
    FROM pg_constraint k JOIN shape s ON s.attrelid = k.conrelid WHERE k.contype = 'c' GROUP BY 1, 2
  ) g
),
conditional AS MATERIALIZED (
  SELECT g.tree, g.names,
    CASE WHEN strpos(g.tree, ':varattno 0 ') = 0 THEN
      (SELECT pg_get_expr(i.indpred, i.indrelid) FROM pg_index i WHERE i.indexrelid = g.first) END AS text
  FROM (
    SELECT i.indpred::text AS tree, s.names, min(i.indexrelid) AS first
    FROM lone i JOIN shape s ON s.attrelid = i.indrelid WHERE i.indpred IS NOT NULL GROUP BY 1, 2
  ) g
)
"""


def _listed(array: str, numbers: str, first: int, between: str = ", ") -> str:
    """SQL: the elements of an array that the first of some numbers count; NULL where the first is."""
    one, *more = (f"{array}[{numbers}[{n}]]" for n in range(first, first + _MOST_KEYS))
    return " || ".join((f"{one}::text", *(f"coalesce('{between}' || {each}, '')" for each in more)))


# A foreign key to or from a partitioned table is repeated for each partition under an invented name;
# the parent's row says it all. A constraint trigger is told as the trigger it is.
CONSTRAINTS: Final = f"""
SELECT 'pg_constraint'::regclass::oid, k.oid, 0, 'constraint', r.name || '.' || quote_ident(k.conname),
  coalesce(
    CASE WHEN k.convalidated AND NOT k.condeferrable THEN
      CASE
        WHEN k.contype = 'c' THEN
          'CHECK (' || e.text || ')' || CASE WHEN k.connoinherit THEN ' NO INHERIT' ELSE '' END
        WHEN i.indisexclusion /*unusual key*/ OR cardinality(k.conkey) > {_MOST_KEYS} THEN NULL
        WHEN k.contype IN ('p', 'u') AND i.indnatts = i.indnkeyatts THEN
          CASE k.contype WHEN 'p' THEN 'PRIMARY KEY (' ELSE 'UNIQUE (' END
            || {_listed("s.names", "k.conkey", 1)} || ')'
        WHEN k.contype = 'f' AND k.confmatchtype = 's' THEN
          'FOREIGN KEY (' || {_listed("s.names", "k.conkey", 1)}
            || ') REFERENCES ' || f.name
            || '(' || {_listed("fs.names", "k.confkey", 1)} || ')'
            || CASE k.confupdtype WHEN 'a' THEN '' WHEN 'r' THEN ' ON UPDATE RESTRICT'
                 WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'n' THEN ' ON UPDATE SET NULL'
                 WHEN 'd' THEN ' ON UPDATE SET DEFAULT' END
            || CASE k.confdeltype WHEN 'a' THEN '' WHEN 'r' THEN ' ON DELETE RESTRICT'
                 WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'n' THEN ' ON DELETE SET NULL'
                 WHEN 'd' THEN ' ON DELETE SET DEFAULT' END
      END
    END,
    pg_get_constraintdef(k.oid))
    || CASE WHEN x.reloptions IS NULL THEN '' ELSE ' WITH ('
         || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(x.reloptions) o) || ')' END
    || coalesce(' TABLESPACE ' || quote_ident(t.spcname), '')
    || CASE WHEN k.contype <> 'f' AND i.indisclustered THEN ' CLUSTER' ELSE '' END
    || CASE WHEN k.contype <> 'f' AND NOT i.indisvalid THEN ' INVALID' ELSE '' END,
  NULL
FROM rel r
JOIN pg_constraint k ON k.conrelid = r.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
LEFT JOIN shape s ON s.attrelid = r.oid
LEFT JOIN checked e ON e.tree = k.conbin::text AND e.names = s.names
LEFT JOIN rel f ON f.oid = k.confrelid
LEFT JOIN shape fs ON fs.attrelid = f.oid
LEFT JOIN pg_index i ON i.indexrelid = k.conindid
LEFT JOIN dressed x ON x.oid = k.conindid AND k.contype IN ('p', 'u', 'x')
LEFT JOIN pg_tablespace t ON t.oid = x.reltablespace
WHERE NOT (k.contype = 'f' AND k.conparentid <> 0)
"""  # noqa: S608 -- of constants

# The index behind a key or an exclusion is told by its constraint. The server breaks the lines of a condition
# with CASE here otherwise than in `pg_get_expr`.
INDEXES: Final = f"""
SELECT 'pg_class'::regclass::oid, x.oid, 0, 'index', ns.name || '.' || quote_ident(x.relname),
  coalesce(
    CASE WHEN m.amname = 'btree' AND x.relkind = 'i' AND x.reloptions IS NULL AND i.indexprs IS NULL
        AND i.indnatts = i.indnkeyatts AND i.indnatts <= {_MOST_KEYS} /*usual index*/
        AND 0 = ALL (i.indoption)
        AND i.indclass::text = {_listed("s.classes", "i.indkey", 0, " ")}
        AND i.indcollation::text = {_listed("s.collations", "i.indkey", 0, " ")}
        AND (i.indpred IS NULL OR strpos(e.text, E'\\n') = 0) THEN
      'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(x.relname)
        || ' ON ' || i.relation || ' USING btree (' || {_listed("s.names", "i.indkey", 0)} || ')'
        || coalesce(' WHERE ' || e.text, '')
    END,
    pg_get_indexdef(x.oid))
    || CASE WHEN x.relispartition THEN ' PARTITION OF ' || (
         SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = x.oid) ELSE '' END
    || coalesce(' TABLESPACE ' || quote_ident(t.spcname), '')
    || CASE WHEN i.indexprs IS NULL THEN '' ELSE coalesce(' STATISTICS (' || (
         SELECT string_agg(a.attnum || ' ' || a.attstattarget, ', ' ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = x.oid AND a.attstattarget <> -1) || ')', '') END
    || CASE WHEN i.indisclustered THEN ' CLUSTER' ELSE '' END
    || CASE WHEN NOT i.indisvalid THEN ' INVALID' ELSE '' END,
  NULL
FROM lone i
JOIN pg_class x ON x.oid = i.indexrelid
JOIN ns ON ns.oid = x.relnamespace
LEFT JOIN shape s ON s.attrelid = i.indrelid
LEFT JOIN conditional e ON e.tree = i.indpred::text AND e.names = s.names
LEFT JOIN pg_am m ON m.oid = x.relam
LEFT JOIN pg_tablespace t ON t.oid = x.reltablespace
"""  # noqa: S608 -- of constants
