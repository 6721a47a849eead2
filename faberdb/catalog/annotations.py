"""The queries for what is said about objects: grants, default privileges and comments.

An object's grants are told as what they add to and take from the privileges it is born with, so an
access list that spells the defaults out equals an absent one; the owner is told as OWNER, so that they
read alike under another owner.
"""

from __future__ import annotations

from typing import Final

# Selects: class, oid, column number, a name of its own (default privileges) or NULL, the text.
GRANTS_QUERY: Final = """
WITH ns AS MATERIALIZED (
  SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
plain (classid, objid, subid, objtype, owner, acl) AS (
  SELECT 'pg_class'::regclass::oid, oid, 0, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char",
    relowner, relacl
  FROM pg_class WHERE relacl IS NOT NULL AND relnamespace IN (SELECT oid FROM ns)
  UNION ALL
  SELECT 'pg_class'::regclass::oid, c.oid, a.attnum, 'c'::"char", c.relowner, a.attacl
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND c.relnamespace IN (SELECT oid FROM ns)
  UNION ALL
  SELECT 'pg_proc'::regclass::oid, oid, 0, 'f'::"char", proowner, proacl
  FROM pg_proc WHERE proacl IS NOT NULL AND pronamespace IN (SELECT oid FROM ns)
  UNION ALL
  SELECT 'pg_namespace'::regclass::oid, oid, 0, 'n'::"char", nspowner, nspacl
  FROM pg_namespace WHERE nspacl IS NOT NULL AND oid IN (SELECT oid FROM ns)
  UNION ALL
  SELECT 'pg_type'::regclass::oid, oid, 0, 'T'::"char", typowner, typacl
  FROM pg_type WHERE typacl IS NOT NULL AND typnamespace IN (SELECT oid FROM ns)
  UNION ALL
  SELECT 'pg_language'::regclass::oid, oid, 0, 'l'::"char", lanowner, lanacl
  FROM pg_language WHERE lanacl IS NOT NULL
  UNION ALL
  SELECT 'pg_foreign_data_wrapper'::regclass::oid, oid, 0, 'F'::"char", fdwowner, fdwacl
  FROM pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL
  UNION ALL
  SELECT 'pg_foreign_server'::regclass::oid, oid, 0, 'S'::"char", srvowner, srvacl
  FROM pg_foreign_server WHERE srvacl IS NOT NULL
),
listed (classid, objid, subid, objtype, owner, acl, born, kind, name) AS (
  SELECT classid, objid, subid, objtype, owner, acl, acldefault(objtype, owner), NULL, NULL FROM plain
  UNION ALL
  SELECT 'pg_default_acl'::regclass::oid, d.oid, 0, d.defaclobjtype, d.defaclrole, d.defaclacl,
    CASE d.defaclnamespace WHEN 0
      THEN acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole) END,
    'default privileges',
    concat_ws(' ', 'FOR ROLE', quote_ident(pg_get_userbyid(d.defaclrole)),
      'IN SCHEMA ' || (SELECT quote_ident(n.nspname) FROM pg_namespace n WHERE n.oid = d.defaclnamespace),
      'ON', CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
        WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE d.defaclobjtype::text END)
  FROM pg_default_acl d
),
has AS (
  SELECT DISTINCT l.classid, l.objid, l.subid, l.kind, l.name, l.owner, e.grantee, e.privilege_type,
    e.is_grantable AND e.grantee <> l.owner AS grantable
  FROM listed l CROSS JOIN LATERAL aclexplode(l.acl) e
),
born AS (
  SELECT DISTINCT l.classid, l.objid, l.subid, l.kind, l.name, l.owner, e.grantee, e.privilege_type,
    e.is_grantable AND e.grantee <> l.owner AS grantable
  FROM listed l CROSS JOIN LATERAL aclexplode(l.born) e
),
parted AS (
  SELECT 'GRANT' AS verb, g.* FROM (SELECT * FROM has EXCEPT SELECT * FROM born) g
  UNION ALL
  SELECT 'REVOKE', r.* FROM (SELECT * FROM born EXCEPT SELECT * FROM has) r
),
line AS (
  SELECT classid, objid, subid, kind, name,
    verb || ' ' || string_agg(privilege_type, ', ' ORDER BY privilege_type COLLATE "C")
      || CASE verb WHEN 'GRANT' THEN ' TO ' ELSE ' FROM ' END
      || CASE WHEN grantee = 0 THEN 'PUBLIC' WHEN grantee = owner THEN 'OWNER'
           ELSE quote_ident(pg_get_userbyid(grantee)) END
      || CASE WHEN grantable THEN ' WITH GRANT OPTION' ELSE '' END AS said
  FROM parted
  GROUP BY classid, objid, subid, kind, name, owner, verb, grantee, grantable
)
SELECT classid, objid, subid, kind || ' ' || name, string_agg(said, '; ' ORDER BY said COLLATE "C")
FROM line GROUP BY classid, objid, subid, kind, name
"""

# Selects: class, oid, column number, what it is a comment on besides the object itself, the text. The
# comment on the index behind a key is told at its constraint, as the index is. initdb's own comment on
# schema public comes and goes with a dump.
COMMENTS_QUERY: Final = """
SELECT CASE WHEN k.oid IS NULL THEN d.classoid ELSE 'pg_constraint'::regclass::oid END,
  coalesce(k.oid, d.objoid), d.objsubid, CASE WHEN k.oid IS NULL THEN '' ELSE 'index of ' END, d.description
FROM pg_description d
LEFT JOIN pg_constraint k
  ON d.classoid = 'pg_class'::regclass AND k.conindid = d.objoid AND k.contype IN ('p', 'u', 'x')
WHERE d.classoid <> 'pg_extension'::regclass
  AND (d.objoid >= 16384
    OR d.classoid = 'pg_namespace'::regclass AND d.description <> 'standard public schema')
"""
