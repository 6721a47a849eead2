"""The order of columns, which a schema does not tell and a new table should have."""

from __future__ import annotations

from faberdb.connection import Connection

_QUERY = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(a.attname), a.attnum
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


def read_places(conn: Connection) -> dict[str, int]:
    """Of each table's column, `public.account.id`, its number, for `synthesise`."""
    return dict(conn.execute(_QUERY).fetchall())
