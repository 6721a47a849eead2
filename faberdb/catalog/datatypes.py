"""The query for types: enums, domains, composite, range and base types."""

from __future__ import annotations

from typing import Final

# Every part selects: class, oid, column number, kind, identity, definition, owner.
_HEAD: Final = """
WITH theirs AS MATERIALIZED (
  SELECT classid, objid FROM pg_depend
  WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
),
typ AS MATERIALIZED (
  SELECT ns.nspname, quote_ident(ns.nspname) || '.' || quote_ident(t.typname) AS name,
         pg_get_userbyid(t.typowner) AS owner, t.*, t.oid AS type_oid
  FROM pg_type t JOIN pg_namespace ns ON ns.oid = t.typnamespace
  WHERE ns.nspname !~ '^pg_' AND ns.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM theirs x WHERE x.classid = 'pg_type'::regclass AND x.objid = t.oid)
    -- neither a table's row nor an array, which come with what they are of
    AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
    AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
)
"""

_ENUMS: Final = """
SELECT 'pg_type'::regclass::oid, t.type_oid, 0, 'enum', t.name,
  coalesce((SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
            FROM pg_enum e WHERE e.enumtypid = t.type_oid), '(no labels)'),
  t.owner
FROM typ t WHERE t.typtype = 'e'
"""

_DOMAINS: Final = """
SELECT 'pg_type'::regclass::oid, t.type_oid, 0, 'domain', t.name,
  concat_ws(' ',
    format_type(t.typbasetype, t.typtypmod),
    CASE WHEN t.typcollation <> b.typcollation THEN 'COLLATE ' || t.typcollation::regcollation END,
    CASE WHEN t.typnotnull THEN 'NOT NULL' END,
    'DEFAULT ' || coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault)),
  t.owner
FROM typ t JOIN pg_type b ON b.oid = t.typbasetype WHERE t.typtype = 'd'
"""

_DOMAIN_CONSTRAINTS: Final = """
SELECT 'pg_constraint'::regclass::oid, k.oid, 0, 'domain constraint', t.name || '.' || quote_ident(k.conname),
  pg_get_constraintdef(k.oid), NULL
FROM typ t JOIN pg_constraint k ON k.contypid = t.type_oid AND k.contypid <> 0 AND k.contype = 'c'
"""

_COMPOSITES: Final = """
SELECT 'pg_type'::regclass::oid, t.type_oid, 0, 'type', t.name, 'COMPOSITE', t.owner
FROM typ t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c' WHERE t.typtype = 'c'
"""

# A row value is positional, so an attribute's place is part of its meaning.
_ATTRIBUTES: Final = """
SELECT 'pg_class'::regclass::oid, a.attrelid, a.attnum, 'attribute', t.name || '.' || quote_ident(a.attname),
  concat_ws(' ',
    row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) || ':',
    format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attcollation <> b.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END),
  NULL
FROM typ t
JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type b ON b.oid = a.atttypid
"""

# Before PostgreSQL 14 a range has no multirange type, hence the detour by JSON.
_RANGES: Final = """
SELECT 'pg_type'::regclass::oid, t.type_oid, 0, 'type', t.name,
  concat_ws(' ',
    'RANGE OF', format_type(r.rngsubtype, NULL),
    'OPERATOR CLASS ' || (SELECT quote_ident(n.nspname) || '.' || quote_ident(o.opcname)
      FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE o.oid = r.rngsubopc),
    CASE WHEN r.rngcollation <> 0 THEN 'COLLATE ' || r.rngcollation::regcollation END,
    'CANONICAL ' || NULLIF(r.rngcanonical, 0)::regproc,
    'DIFFERENCE ' || NULLIF(r.rngsubdiff, 0)::regproc,
    'MULTIRANGE ' || format_type((to_jsonb(r) ->> 'rngmultitypid')::oid, NULL)),
  t.owner
FROM typ t JOIN pg_range r ON r.rngtypid = t.type_oid WHERE t.typtype = 'r'
"""

_BASE_TYPES: Final = """
SELECT 'pg_type'::regclass::oid, t.type_oid, 0, 'type', t.name,
  CASE WHEN NOT t.typisdefined THEN 'SHELL' ELSE concat_ws(' ',
    'BASE INPUT', t.typinput, 'OUTPUT', t.typoutput, 'RECEIVE', t.typreceive, 'SEND', t.typsend,
    'MODIFIER', t.typmodin, t.typmodout, 'ANALYZE', t.typanalyze, 'LENGTH', t.typlen,
    CASE WHEN t.typbyval THEN 'BY VALUE' END, 'ALIGNMENT', t.typalign, 'STORAGE', t.typstorage,
    'CATEGORY', t.typcategory, CASE WHEN t.typispreferred THEN 'PREFERRED' END, 'DELIMITER', t.typdelim,
    'ELEMENT ' || CASE WHEN t.typelem <> 0 THEN format_type(t.typelem, NULL) END,
    CASE WHEN t.typcollation <> 0 THEN 'COLLATABLE' END, 'DEFAULT ' || t.typdefault) END,
  t.owner
FROM typ t WHERE t.typtype IN ('b', 'p')
"""

TYPES_QUERY: Final = _HEAD + "UNION ALL".join(
    (_ENUMS, _DOMAINS, _DOMAIN_CONSTRAINTS, _COMPOSITES, _ATTRIBUTES, _RANGES, _BASE_TYPES)
)
