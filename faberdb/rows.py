"""How many rows every table has, counted exactly, and what differs between two counts.

Rows are counted where they are stored: a partition counts for itself and its parent not at all, so that no
row counts twice. An extension's own tables are left out (a dump leaves their rows out as well); large
objects count as one table, where there are any. Refuses to know what a difference means.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from msgspec import Struct
from psycopg import sql
from psycopg.pq import TransactionStatus

from faberdb.catalog.names import name_parts
from faberdb.connection import Connection
from faberdb.server_errors import explained

LARGE_OBJECTS: Final = "pg_catalog.pg_largeobject_metadata"
_TABLES_A_STATEMENT: Final = 500  # each arm of a UNION is one more level on the parser's stack


class RowChange(Struct, frozen=True, kw_only=True):
    """One table's rows then and now. A table that is not there has none."""

    table: str  # schema-qualified, quoted as PostgreSQL quotes it
    before: int
    now: int


def count_rows(conn: Connection) -> Mapping[str, int]:
    """The exact number of rows of every ordinary table, all as of one moment.

    Inside the caller's transaction its snapshot is used, its tables stay locked against DROP and TRUNCATE
    until it ends, and `row_security` stays off; else a transaction of its own is.

    Returns:
        Rows by the table's schema-qualified name, quoted as PostgreSQL quotes it.

    Raises:
        Refused: the role may not read a table, or row-level security would hide rows from it.
        Transient: a table is locked, or the statement's time ran out.
    """
    counts: dict[str, int] = {}
    with explained("The rows could not be counted.", needs="a role that may read every row"), _moment(conn):
        tables = conn.execute(_TABLES).fetchall()
        for start in range(0, len(tables), _TABLES_A_STATEMENT):
            arms = [_arm(*t) for t in tables[start : start + _TABLES_A_STATEMENT]]
            counts.update(conn.execute(sql.SQL(" UNION ALL ").join(arms)).fetchall())
    if not counts[LARGE_OBJECTS]:
        del counts[LARGE_OBJECTS]
    return dict(sorted(counts.items()))


def rows_after(
    before: Mapping[str, int], now: Mapping[str, int], *, leave_out: Collection[str] = ()
) -> tuple[RowChange, ...]:
    """The tables whose number of rows differs, in alphabetical order, but for those of an unqualified name."""
    changes = (
        RowChange(table=t, before=before.get(t, 0), now=now.get(t, 0)) for t in sorted({*before, *now})
    )
    return tuple(c for c in changes if c.before != c.now and name_parts(c.table)[-1] not in leave_out)


@contextmanager
def _moment(conn: Connection) -> Iterator[None]:
    outermost = conn.info.transaction_status == TransactionStatus.IDLE
    with conn.transaction():
        if outermost:
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Off, a policy that would hide rows is an error instead of a smaller count.
        conn.execute("SET LOCAL row_security = off")
        conn.execute("SET LOCAL quote_all_identifiers = off")
        yield


def _arm(name: str, schema: str, table: str) -> sql.Composed:
    return sql.SQL("SELECT {}, count(*) FROM ONLY {}").format(
        sql.Literal(name), sql.Identifier(schema, table)
    )


ORDINARY_TABLES: Final = """FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'e')"""
_TABLES: Final[Any] = f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), n.nspname::text, c.relname::text
{ORDINARY_TABLES}
UNION ALL SELECT 'pg_catalog.pg_largeobject_metadata', 'pg_catalog', 'pg_largeobject_metadata'
ORDER BY 1
"""
