"""The relations of a copy before a plan or a step, by oid: a lock on what they alone made keeps nobody out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from faberdb.connection import Connection


class Relation(Struct, frozen=True, kw_only=True):
    """A table, view, index or sequence."""

    name: str  # quoted where needed; without the schema where it is the tool's
    table: int | None  # of an index


Relations = Mapping[int, Relation]


def read_relations(conn: Connection, *, schema: str, leave_out: Sequence[str]) -> Relations:
    """All but the server's own, the witness's and the tables `leave_out` of the schema, with their indexes."""
    rows = conn.execute(_QUERY, {"schema": schema, "leave_out": list(leave_out)}, prepare=False)
    return {oid: Relation(name=name, table=table) for oid, name, table in rows}


def read_oids(conn: Connection, *, schema: str, tables: Sequence[str]) -> frozenset[int]:
    """Of those of the tables that are there."""
    rows = conn.execute(
        "SELECT c.oid::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = ANY (%s)",
        (schema, list(tables)),
        prepare=False,
    )
    return frozenset(oid for (oid,) in rows)


_QUERY: Final = """
SELECT c.oid::int8, CASE WHEN n.nspname = %(schema)s THEN '' ELSE quote_ident(n.nspname) || '.' END
    || quote_ident(c.relname), i.indrelid::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_class t ON t.oid = i.indrelid
WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'i', 'I', 'S') AND c.oid >= 16384
  AND NOT (n.nspname = %(schema)s AND coalesce(t.relname, c.relname) = ANY (%(leave_out)s))
  AND n.nspname NOT IN ('information_schema', 'pg_toast', 'faber_witness')
"""
