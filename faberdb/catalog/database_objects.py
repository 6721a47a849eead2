"""The query for what belongs to the database as a whole: schemas, extensions, publications and the like."""

from __future__ import annotations

from typing import Final

# Every part selects: class, oid, column number, kind, identity, definition, owner. Columns that only
# some server versions have are read through to_jsonb(row), which is NULL where there is none.
_HEAD: Final = """
WITH theirs AS MATERIALIZED (
  SELECT classid, objid FROM pg_depend
  WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
),
ns AS MATERIALIZED (
  SELECT oid, nspowner, quote_ident(nspname) AS name FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
)
"""

_SCHEMAS: Final = """
SELECT 'pg_namespace'::regclass::oid, n.oid, 0, 'schema', n.name, 'SCHEMA', pg_get_userbyid(n.nspowner)
FROM ns n
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_namespace'::regclass AND t.objid = n.oid)
"""

# Nobody can give an extension another owner, and its comment comes with its files: neither is told.
_EXTENSIONS: Final = """
SELECT 'pg_extension'::regclass::oid, e.oid, 0, 'extension', quote_ident(e.extname),
  'VERSION ' || e.extversion || ' SCHEMA ' || quote_ident(n.nspname), NULL
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
"""

_PUBLICATIONS: Final = """
SELECT 'pg_publication'::regclass::oid, p.oid, 0, 'publication', quote_ident(p.pubname),
  concat_ws(' ',
    CASE WHEN p.puballtables THEN 'FOR ALL TABLES' END,
    'FOR TABLES (' || (
      SELECT string_agg(concat_ws(' ', r.prrelid::regclass::text/*filter*/),
        ', ' ORDER BY r.prrelid::regclass::text COLLATE "C")
      FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid
      WHERE r.prpubid = p.oid AND c.relname <> ALL (%(leave_out)s)) || ')',
    /*schemas*/
    'PUBLISH', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
    CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END,
    CASE WHEN p.pubviaroot THEN 'VIA PARTITION ROOT' END,
    'GENERATED COLUMNS ' || NULLIF(to_jsonb(p) ->> 'pubgencols', 'n')),
  pg_get_userbyid(p.pubowner)
FROM pg_publication p
"""
_ROW_AND_COLUMN_FILTERS: Final = """,
          '(' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) FROM pg_attribute a
                  WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::smallint[])) || ')',
          'WHERE ' || pg_get_expr(r.prqual, r.prrelid)"""
_PUBLISHED_SCHEMAS: Final = """
    'FOR SCHEMAS (' || (SELECT string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname)
      FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid
      WHERE s.pnpubid = p.oid) || ')',
"""

_EVENT_TRIGGERS: Final = """
SELECT 'pg_event_trigger'::regclass::oid, e.oid, 0, 'event trigger', quote_ident(e.evtname),
  concat_ws(' ',
    'ON', e.evtevent,
    'WHEN TAG IN (' || (SELECT string_agg(g, ', ' ORDER BY g COLLATE "C") FROM unnest(e.evttags) g) || ')',
    'EXECUTE', e.evtfoid::regproc,
    CASE e.evtenabled WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA'
      WHEN 'A' THEN 'ENABLED ALWAYS' END),
  pg_get_userbyid(e.evtowner)
FROM pg_event_trigger e
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_event_trigger'::regclass AND t.objid = e.oid)
"""

# User mappings hold passwords, and only a superuser may read them: neither they nor subscriptions are told.
_FOREIGN: Final = """
SELECT 'pg_foreign_data_wrapper'::regclass::oid, w.oid, 0, 'foreign-data wrapper', quote_ident(w.fdwname),
  concat_ws(' ',
    'HANDLER ' || NULLIF(w.fdwhandler, 0)::regproc, 'VALIDATOR ' || NULLIF(w.fdwvalidator, 0)::regproc,
    'OPTIONS (' || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(w.fdwoptions) o) || ')'),
  pg_get_userbyid(w.fdwowner)
FROM pg_foreign_data_wrapper w
WHERE NOT EXISTS (SELECT FROM theirs t
                  WHERE t.classid = 'pg_foreign_data_wrapper'::regclass AND t.objid = w.oid)
UNION ALL
SELECT 'pg_foreign_server'::regclass::oid, s.oid, 0, 'server', quote_ident(s.srvname),
  concat_ws(' ',
    'WRAPPER', quote_ident(w.fdwname), 'TYPE ' || s.srvtype, 'VERSION ' || s.srvversion,
    'OPTIONS (' || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(s.srvoptions) o
                    WHERE o !~* '^password') || ')'),
  pg_get_userbyid(s.srvowner)
FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_foreign_server'::regclass AND t.objid = s.oid)
"""

_LANGUAGES: Final = """
SELECT 'pg_language'::regclass::oid, l.oid, 0, 'language', quote_ident(l.lanname),
  concat_ws(' ', CASE WHEN l.lanpltrusted THEN 'TRUSTED' END,
    'HANDLER ' || NULLIF(l.lanplcallfoid, 0)::regproc, 'INLINE ' || NULLIF(l.laninline, 0)::regproc,
    'VALIDATOR ' || NULLIF(l.lanvalidator, 0)::regproc),
  pg_get_userbyid(l.lanowner)
FROM pg_language l
WHERE l.lanispl
  AND NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_language'::regclass AND t.objid = l.oid)
UNION ALL
SELECT 'pg_am'::regclass::oid, m.oid, 0, 'access method', quote_ident(m.amname),
  concat_ws(' ', 'TYPE', m.amtype, 'HANDLER', m.amhandler), NULL
FROM pg_am m
WHERE m.oid >= 16384
  AND NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_am'::regclass AND t.objid = m.oid)
"""

# A collation's recorded library version is its host's, not the schema's.
_COLLATIONS: Final = """
SELECT 'pg_collation'::regclass::oid, c.oid, 0, 'collation', n.name || '.' || quote_ident(c.collname),
  concat_ws(' ',
    'PROVIDER', c.collprovider, CASE WHEN NOT c.collisdeterministic THEN 'NONDETERMINISTIC' END,
    'ENCODING ' || NULLIF(pg_encoding_to_char(c.collencoding), ''),
    'COLLATE ' || c.collcollate, 'CTYPE ' || c.collctype,
    'LOCALE ' || coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'),
    'RULES ' || (to_jsonb(c) ->> 'collicurules')),
  pg_get_userbyid(c.collowner)
FROM pg_collation c JOIN ns n ON n.oid = c.collnamespace
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_collation'::regclass AND t.objid = c.oid)
UNION ALL
SELECT 'pg_conversion'::regclass::oid, c.oid, 0, 'conversion', n.name || '.' || quote_ident(c.conname),
  concat_ws(' ', CASE WHEN c.condefault THEN 'DEFAULT' END, 'FOR', pg_encoding_to_char(c.conforencoding),
    'TO', pg_encoding_to_char(c.contoencoding), 'FROM', c.conproc),
  pg_get_userbyid(c.conowner)
FROM pg_conversion c JOIN ns n ON n.oid = c.connamespace
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_conversion'::regclass AND t.objid = c.oid)
"""

_TEXT_SEARCH: Final = """
SELECT 'pg_ts_config'::regclass::oid, c.oid, 0, 'text search configuration',
  n.name || '.' || quote_ident(c.cfgname),
  concat_ws(' ',
    'PARSER', (SELECT quote_ident(pn.nspname) || '.' || quote_ident(p.prsname) FROM pg_ts_parser p
               JOIN pg_namespace pn ON pn.oid = p.prsnamespace WHERE p.oid = c.cfgparser),
    'MAPPING (' || (
      SELECT string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', '
                        ORDER BY m.maptokentype, m.mapseqno)
      FROM pg_ts_config_map m WHERE m.mapcfg = c.oid) || ')'),
  pg_get_userbyid(c.cfgowner)
FROM pg_ts_config c JOIN ns n ON n.oid = c.cfgnamespace
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_ts_config'::regclass AND t.objid = c.oid)
UNION ALL
SELECT 'pg_ts_dict'::regclass::oid, d.oid, 0, 'text search dictionary',
  n.name || '.' || quote_ident(d.dictname),
  concat_ws(' ', 'TEMPLATE', quote_ident(tn.nspname) || '.' || quote_ident(t.tmplname), d.dictinitoption),
  pg_get_userbyid(d.dictowner)
FROM pg_ts_dict d JOIN ns n ON n.oid = d.dictnamespace
JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
WHERE NOT EXISTS (SELECT FROM theirs x WHERE x.classid = 'pg_ts_dict'::regclass AND x.objid = d.oid)
UNION ALL
SELECT 'pg_ts_parser'::regclass::oid, p.oid, 0, 'text search parser', n.name || '.' || quote_ident(p.prsname),
  concat_ws(' ', p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype), NULL
FROM pg_ts_parser p JOIN ns n ON n.oid = p.prsnamespace
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_ts_parser'::regclass AND t.objid = p.oid)
UNION ALL
SELECT 'pg_ts_template'::regclass::oid, m.oid, 0, 'text search template',
  n.name || '.' || quote_ident(m.tmplname),
  concat_ws(' ', m.tmplinit, m.tmpllexize), NULL
FROM pg_ts_template m JOIN ns n ON n.oid = m.tmplnamespace
WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.classid = 'pg_ts_template'::regclass AND t.objid = m.oid)
"""

_PARTS: Final = (
    _SCHEMAS,
    _EXTENSIONS,
    _PUBLICATIONS,
    _EVENT_TRIGGERS,
    _FOREIGN,
    _LANGUAGES,
    _COLLATIONS,
    _TEXT_SEARCH,
)
_FILTERED_PUBLICATIONS_SINCE: Final = 150000


def database_objects_query(server_version: int) -> str:
    """The statement; its one parameter is `leave_out`, an array of unqualified table names."""
    filtered = server_version >= _FILTERED_PUBLICATIONS_SINCE
    text = _HEAD + "UNION ALL".join(_PARTS)
    text = text.replace("/*filter*/", _ROW_AND_COLUMN_FILTERS if filtered else "")
    return text.replace("/*schemas*/", _PUBLISHED_SCHEMAS if filtered else "")
