"""What was written into tables and columns since a change added them, and keeping it elsewhere before they go.

The place is a database of its own on the same server. Everything is kept there as PostgreSQL writes it in text: so
no type, function or constraint of the change is needed to keep a value, and it is read back by the same words.
Refuses to know why they go (`faberdb.release.in_place`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from msgspec import Struct
from psycopg import sql

from faberdb.connection import Connection

KEPT_AT_MOST: Final = 100_000  # rows of all of them together: copied while writers wait


class Holder(Struct, frozen=True, kw_only=True):
    """A table that was added, or one that columns were added to."""

    schema: str
    table: str
    name: str  # qualified and quoted as PostgreSQL quotes it
    columns: tuple[str, ...]  # those that were added; all of a table that was
    key: tuple[str, ...]  # the primary key's columns
    partitioned: bool
    added: bool  # the table itself was
    starts: tuple[str, ...]  # what each column held when it was added, as SQL; "" where that is not one value

    @property
    def label(self) -> str:
        """For people: `public.note`, or `public.account (note, kind)`."""
        return self.name if self.added else f"{self.name} ({', '.join(self.columns)})"

    @property
    def source(self) -> sql.Composed:
        """Where its rows are read: a partition's come with its parent only where columns were added to that."""
        only = sql.SQL("" if self.partitioned else "ONLY ")
        return sql.SQL("{only}{table}").format(only=only, table=sql.Identifier(self.schema, self.table))

    @property
    def written(self) -> sql.Composable:
        """The condition under which a row holds something that was written since."""
        if self.added:
            return sql.SQL("true")
        arms = [
            _written(sql.Identifier(c), start) for c, start in zip(self.columns, self.starts, strict=True)
        ]
        return sql.SQL(" OR ").join(arms)


def _written(column: sql.Identifier, start: str) -> sql.Composable:
    given = sql.SQL("{} IS NOT NULL").format(column)
    if not start:
        return given
    return sql.Composed(
        [sql.SQL("("), given, sql.SQL(" AND "), column, sql.SQL(f" IS DISTINCT FROM {start})")]
    )


def find_holders(conn: Connection, added: Collection[str]) -> tuple[Holder, ...]:
    """The tables and columns among the names of objects, such as `column public.account.note`, that hold rows."""
    tables = [n.removeprefix("table ") for n in added if n.startswith("table ")]
    columns = [n.removeprefix("column ") for n in added if n.startswith("column ")]
    rows = conn.execute(_HOLDERS, {"tables": tables, "columns": columns}).fetchall()
    return tuple(
        Holder(
            schema=schema,
            table=table,
            name=name,
            columns=tuple(names),
            key=tuple(key or ()),
            partitioned=partitioned,
            added=is_new,
            starts=tuple(starts),
        )
        for schema, table, name, names, key, partitioned, is_new, starts in rows
    )


def count_held(conn: Connection, holders: Sequence[Holder]) -> dict[str, int]:
    """How many rows hold something, by `Holder.label`; those with none are left out.

    Stops counting one beyond `KEPT_AT_MOST`.
    """
    found = {}
    for holder in holders:
        row = conn.execute(
            sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) held").format(
                holder.source, holder.written, sql.Literal(KEPT_AT_MOST + 1)
            )
        ).fetchone()
        if row and row[0]:
            found[holder.label] = int(row[0])
    return found


def keep_held(conn: Connection, aside: Connection, holders: Sequence[Holder]) -> None:
    """Copy what they hold into tables of the same names in another database; what is there already is replaced.

    Args:
        conn: where they are, in a transaction that keeps writers away.
        aside: the other database, in autocommit: what is copied stays, whatever becomes of the transaction.
        holders: those that hold something; one that was not added needs a key, by which its values are found again.
    """
    for holder in holders:
        columns = holder.columns if holder.added else (*holder.key, *holder.columns)
        place = sql.Identifier(holder.schema, holder.table)
        listed = sql.SQL(", ").join(sql.Identifier(c) for c in columns)
        aside.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(holder.schema)))
        aside.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(place))
        aside.execute(
            sql.SQL("CREATE TABLE {} ({})").format(
                place, sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(c)) for c in columns)
            )
        )
        reading = sql.SQL("COPY (SELECT {} FROM {} WHERE {}) TO STDOUT").format(
            listed, holder.source, holder.written
        )
        writing = sql.SQL("COPY {} ({}) FROM STDIN").format(place, listed)
        with conn.cursor().copy(reading) as out, aside.cursor().copy(writing) as into:
            for block in out:
                into.write(block)


# A generated column holds nothing of its own. What a column held when it was added is in attmissingval, until the
# table is written anew; a default without a call is the same value.
_HOLDERS: Final[Any] = """
WITH relation AS (
  SELECT c.oid, c.relkind, n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
), held AS (
  SELECT r.*, r.name = ANY (%(tables)s) AS is_new, a.attname, a.attnum,
    CASE WHEN a.atthasmissing
         THEN format('(%%L::%%s[])[1]', a.attmissingval::text, format_type(a.atttypid, a.atttypmod))
         WHEN pg_get_expr(d.adbin, d.adrelid) !~ '\\(' THEN pg_get_expr(d.adbin, d.adrelid)
         ELSE '' END AS start
  FROM relation r
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE (r.name = ANY (%(tables)s) AND r.relkind = 'r')
     OR (r.name <> ALL (%(tables)s) AND r.name || '.' || quote_ident(a.attname) = ANY (%(columns)s))
)
SELECT h.nspname::text, h.relname::text, h.name, array_agg(h.attname::text ORDER BY h.attnum),
  (SELECT array_agg(k.attname::text ORDER BY k.attnum) FROM pg_index i
     JOIN pg_attribute k ON k.attrelid = i.indrelid AND k.attnum = ANY (i.indkey)
   WHERE i.indrelid = h.oid AND i.indisprimary),
  h.relkind = 'p', h.is_new, array_agg(h.start ORDER BY h.attnum)
FROM held h GROUP BY h.oid, h.nspname, h.relname, h.name, h.relkind, h.is_new ORDER BY h.name
"""
