"""How many rows every table has, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from faberdb.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A table whose number of rows differs between two moments."""

    table: str  # schema-qualified, quoted as PostgreSQL quotes it
    before: int
    now: int


def count_rows(conn: Connection) -> dict[str, int]:
    """Exact counts of all tables of the connected database, in one statement.

    Partitions are counted, their parents are not: the sum of the counts is the number of rows.
    """
    tables = conn.execute(
        "SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relpersistence <> 't'"
        " AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'"
        " ORDER BY 3"
    ).fetchall()
    if not tables:
        return {}
    counts = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, count(*) FROM ONLY {}").format(sql.Literal(label), sql.Identifier(schema, table))
        for schema, table, label in tables
    )
    return {label: int(count) for label, count in conn.execute(counts)}


def rows_after(before: Mapping[str, int], now: Mapping[str, int]) -> tuple[RowChange, ...]:
    """The tables whose counts differ; a table that is missing on one side counts as empty there."""
    return tuple(
        RowChange(table=table, before=before.get(table, 0), now=now.get(table, 0))
        for table in sorted({*before, *now})
        if before.get(table, 0) != now.get(table, 0)
    )
