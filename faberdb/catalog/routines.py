"""The query for functions, procedures, aggregates, and the operators and casts made of them."""

from __future__ import annotations

from typing import Final

# Every part selects: class, oid, column number, kind, identity, definition, owner.
_HEAD: Final = """
WITH theirs AS MATERIALIZED (
  SELECT classid, objid FROM pg_depend
  WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
),
ns AS MATERIALIZED (
  SELECT oid, quote_ident(nspname) AS name FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
fun AS MATERIALIZED (
  SELECT p.oid, p.prokind, p.proowner, p.proparallel,
         ns.name || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')' AS name
  FROM pg_proc p JOIN ns ON ns.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_proc'::regclass AND t.objid = p.oid)
    -- a range type makes its constructors itself
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                    AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i')
)
"""

_FUNCTIONS: Final = """
SELECT 'pg_proc'::regclass::oid, f.oid, 0, CASE f.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END,
  f.name, rtrim(pg_get_functiondef(f.oid), E'\\n'), pg_get_userbyid(f.proowner)
FROM fun f WHERE f.prokind IN ('f', 'p', 'w')
"""

_AGGREGATES: Final = """
SELECT 'pg_proc'::regclass::oid, f.oid, 0, 'aggregate', f.name,
  concat_ws(' ',
    '(' || pg_get_function_arguments(f.oid) || ') RETURNS ' || pg_get_function_result(f.oid),
    'STATE', format_type(a.aggtranstype, NULL),
    'MOVING STATE ' || CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END,
    'SORT OPERATOR ' || CASE WHEN a.aggsortop <> 0 THEN a.aggsortop::regoperator END,
    'PARALLEL', f.proparallel,
    to_jsonb(a) - 'aggfnoid' - 'aggtranstype' - 'aggmtranstype' - 'aggsortop'),
  pg_get_userbyid(f.proowner)
FROM fun f JOIN pg_aggregate a ON a.aggfnoid = f.oid WHERE f.prokind = 'a'
"""

_OPERATORS: Final = """
SELECT 'pg_operator'::regclass::oid, o.oid, 0, 'operator',
  ns.name || '.' || o.oprname || ' ('
    || CASE o.oprleft WHEN 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END
    || ', ' || CASE o.oprright WHEN 0 THEN 'NONE' ELSE format_type(o.oprright, NULL) END || ')',
  concat_ws(' ',
    'FUNCTION', o.oprcode, 'RESTRICT', o.oprrest, 'JOIN', o.oprjoin,
    'COMMUTATOR ' || NULLIF(o.oprcom, 0)::regoperator, 'NEGATOR ' || NULLIF(o.oprnegate, 0)::regoperator,
    CASE WHEN o.oprcanmerge THEN 'MERGES' END, CASE WHEN o.oprcanhash THEN 'HASHES' END),
  pg_get_userbyid(o.oprowner)
FROM pg_operator o JOIN ns ON ns.oid = o.oprnamespace
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_operator'::regclass AND t.objid = o.oid)
"""

_OPERATOR_CLASSES: Final = """
SELECT 'pg_opclass'::regclass::oid, c.oid, 0, 'operator class',
  ns.name || '.' || quote_ident(c.opcname) || ' USING ' || quote_ident(m.amname),
  concat_ws(' ',
    CASE WHEN c.opcdefault THEN 'DEFAULT' END, 'FOR', format_type(c.opcintype, NULL),
    'FAMILY', (SELECT quote_ident(n.nspname) || '.' || quote_ident(f.opfname) FROM pg_opfamily f
               JOIN pg_namespace n ON n.oid = f.opfnamespace WHERE f.oid = c.opcfamily),
    'STORAGE ' || CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) END),
  pg_get_userbyid(c.opcowner)
FROM pg_opclass c JOIN ns ON ns.oid = c.opcnamespace JOIN pg_am m ON m.oid = c.opcmethod
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_opclass'::regclass AND t.objid = c.oid)
"""

_OPERATOR_FAMILIES: Final = """
SELECT 'pg_opfamily'::regclass::oid, f.oid, 0, 'operator family',
  ns.name || '.' || quote_ident(f.opfname) || ' USING ' || quote_ident(m.amname),
  concat_ws(' ',
    'OPERATORS (' || (
      SELECT string_agg(line, ', ' ORDER BY line COLLATE "C") FROM (
        SELECT concat_ws(' ', o.amopstrategy, o.amopopr::regoperator, o.amoppurpose,
          (SELECT 'ORDER BY ' || quote_ident(s.opfname) FROM pg_opfamily s WHERE s.oid = o.amopsortfamily))
        FROM pg_amop o WHERE o.amopfamily = f.oid) w(line)) || ')',
    'FUNCTIONS (' || (
      SELECT string_agg(line, ', ' ORDER BY line COLLATE "C") FROM (
        SELECT concat_ws(' ', p.amprocnum, format_type(p.amproclefttype, NULL),
          format_type(p.amprocrighttype, NULL), p.amproc::oid::regprocedure)
        FROM pg_amproc p WHERE p.amprocfamily = f.oid) w(line)) || ')'),
  pg_get_userbyid(f.opfowner)
FROM pg_opfamily f JOIN ns ON ns.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_opfamily'::regclass AND t.objid = f.oid)
"""

# What initdb made has an oid below 16384 (PostgreSQL source, transam.h, FirstNormalObjectId); a cast and
# a transform have no schema to tell ours from the server's. A range type brings its own casts.
_CASTS: Final = """
SELECT 'pg_cast'::regclass::oid, c.oid, 0, 'cast',
  format_type(c.castsource, NULL) || ' AS ' || format_type(c.casttarget, NULL),
  concat_ws(' ', 'METHOD', c.castmethod, 'CONTEXT', c.castcontext,
    'FUNCTION ' || CASE WHEN c.castfunc <> 0 THEN c.castfunc::regprocedure END),
  NULL
FROM pg_cast c
WHERE c.oid >= 16384
  AND NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_cast'::regclass AND t.objid = c.oid)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid
                  AND d.deptype = 'i')
"""

_TRANSFORMS: Final = """
SELECT 'pg_transform'::regclass::oid, f.oid, 0, 'transform',
  'FOR ' || format_type(f.trftype, NULL) || ' LANGUAGE ' || quote_ident(l.lanname),
  concat_ws(' ', 'FROM SQL', NULLIF(f.trffromsql::oid, 0)::regprocedure,
    'TO SQL', NULLIF(f.trftosql::oid, 0)::regprocedure),
  NULL
FROM pg_transform f JOIN pg_language l ON l.oid = f.trflang
WHERE f.oid >= 16384
  AND NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_transform'::regclass AND t.objid = f.oid)
"""

ROUTINES_QUERY: Final = _HEAD + "UNION ALL".join(
    (_FUNCTIONS, _AGGREGATES, _OPERATORS, _OPERATOR_CLASSES, _OPERATOR_FAMILIES, _CASTS, _TRANSFORMS)
)
