"""The files that rescued rows are written to, one for each table and what became of its rows.

As SQL: statements for `psql -f`, in the order in which foreign keys let the rows come back. As CSV: the rows. All of
it streams, by a server-side cursor or COPY.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct
from psycopg import sql

from faberdb.connection import Connection

_BATCH: Final = 1000
_HEADS: Final = {
    "new": "rows that the live database did not have",
    "changed": "rows that the live database has otherwise; each statement overwrites what is there",
    "gone": "rows that only the live database has: deleted after the snapshot, or written since the rollback.\n"
    "-- Look before you run this",
    "added": "values of columns that the live table did not have; for when they are there again",
}


class Format(StrEnum):
    """How rows are written."""

    SQL = "sql"
    CSV = "csv"


class Table(Struct, frozen=True, kw_only=True):
    """A table of the set-aside database, and what the live one has of it."""

    schema: str
    table: str
    name: str  # qualified and quoted as PostgreSQL quotes it
    columns: tuple[str, ...]  # that both have, generated ones left out
    more: tuple[str, ...]  # that only the set-aside one has
    fewer: tuple[str, ...]  # that only the live one has
    key: tuple[str, ...]  # the primary key in both, () where there is none
    fixed: frozenset[str]  # columns that an UPDATE may not set
    in_live: bool

    @property
    def place(self) -> sql.Identifier:
        """For a statement."""
        return sql.Identifier(self.schema, self.table)


@dataclass(slots=True, kw_only=True)
class RescueFiles:
    """A folder that is filled, table by table."""

    folder: Path
    format: Format
    written: list[Path] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def new(self, conn: Connection, table: Table, source: sql.Composable) -> int:
        """Write the rows of a source, `(SELECT ...) AS a` or a table, to be inserted; how many there are."""
        listed = sql.SQL(", ").join(sql.Identifier(c) for c in table.columns)
        head = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES (").format(table.place, listed)
        text = sql.SQL("{} || {} || ') ON CONFLICT DO NOTHING;'").format(
            _literal(conn, head), _values(table.columns)
        )
        every = (*table.columns, *table.more)
        return self._write(conn, table, "new", source, text, every)

    def changed(self, conn: Connection, table: Table, source: sql.Composable) -> int:
        """Write the rows of a source to overwrite those of the same key; how many there are."""
        columns = [c for c in table.columns if c not in table.key and c not in table.fixed]
        if not columns:
            return 0
        text = _update(conn, table, columns)
        return self._write(conn, table, "changed", source, text, (*table.columns, *table.more))

    def gone(self, conn: Connection, table: Table, source: sql.Composable) -> int:
        """Write the keys of a source, to be deleted; how many there are."""
        text = sql.SQL("{} || {} || ';'").format(
            _literal(conn, sql.SQL("DELETE FROM {} WHERE ").format(table.place)),
            _pairs(conn, table.key, " AND "),
        )
        return self._write(conn, table, "gone", source, text, table.key)

    def added(self, conn: Connection, table: Table, where: sql.Composable) -> int:
        """Write the values of columns that only this side has, by key; how many rows have some."""
        if not table.key or not table.more:
            return 0
        source = sql.SQL("(SELECT * FROM ONLY {} WHERE {}) AS a").format(table.place, where)
        return self._write(
            conn, table, "added", source, _update(conn, table, table.more), (*table.key, *table.more)
        )

    def sequences(self, conn: Connection, behind: Mapping[tuple[str, str], int]) -> None:
        """Write what puts sequences, by schema and name, behind the numbers of the rows that come back."""
        if not behind or self.format is Format.CSV:
            return
        path = self.folder / "999-sequences.sql"
        self.folder.mkdir(parents=True, exist_ok=True)
        template = sql.SQL("SELECT setval({}, greatest({}, (SELECT last_value FROM {})));\n")
        with path.open("w", encoding="utf-8") as file:
            file.write("-- sequences that were further\n")
            for names, last in behind.items():
                quoted = sql.Identifier(*names)
                text = template.format(sql.Literal(quoted.as_string(conn)), sql.Literal(last), quoted)
                file.write(text.as_string(conn))
        self.written.append(path)

    def _write(
        self,
        conn: Connection,
        table: Table,
        what: str,
        source: sql.Composable,
        text: sql.Composable,
        columns: Sequence[str],
    ) -> int:
        row = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(source)).fetchone()
        count = int(row[0]) if row else 0
        if not count:
            return 0
        path = self._path(table.name, what)
        if self.format is Format.CSV:
            self._csv(conn, path, source, columns)
        else:
            self._sql(conn, path, f"-- {table.name}: {count} {_HEADS[what]}.\n", source, text)
        self.written.append(path)
        return count

    def _csv(self, conn: Connection, path: Path, source: sql.Composable, columns: Sequence[str]) -> None:
        listed = sql.SQL(", ").join(sql.Identifier(c) for c in columns)
        query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv, HEADER)").format(listed, source)
        with path.open("wb") as file, conn.cursor().copy(query) as out:
            for block in out:
                file.write(block)

    def _sql(
        self, conn: Connection, path: Path, head: str, source: sql.Composable, text: sql.Composable
    ) -> None:
        with path.open("w", encoding="utf-8") as file, conn.cursor(name="rescue") as rows:
            rows.itersize = _BATCH
            file.write(head)
            rows.execute(sql.SQL("SELECT {} FROM {}").format(text, source))
            for (statement,) in rows:
                file.write(f"{statement}\n")

    def _path(self, table: str, what: str) -> Path:
        """Numbered in the order of tables; a name of any script is cut to what every disk takes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = self._numbers.setdefault(table, len(self._numbers) + 1)
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", table)[:60]
        return self.folder / f"{number:03}-{plain}.{what}.{self.format.value}"


def parents_first(names: Sequence[str], references: Iterable[tuple[str, str]]) -> list[str]:
    """Each table after those that its foreign keys point to; where they run in a circle, by name."""
    waits: dict[str, set[str]] = {name: set() for name in names}
    for child, parent in references:
        if child in waits and parent in waits and parent != child:
            waits[child].add(parent)
    done: dict[str, None] = {}
    while len(done) < len(names):
        left = [n for n in names if n not in done]
        ready = [n for n in left if waits[n] <= done.keys()] or left[:1]
        done |= dict.fromkeys(ready)
    return list(done)


def _update(conn: Connection, table: Table, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("{} || {} || ' WHERE ' || {} || ';'").format(
        _literal(conn, sql.SQL("UPDATE {} SET ").format(table.place)),
        _pairs(conn, columns, ", "),
        _pairs(conn, table.key, " AND "),
    )


def _pairs(conn: Connection, columns: Sequence[str], between: str) -> sql.Composed:
    parts = [
        sql.SQL("{} || quote_nullable({}::text)").format(
            _literal(conn, sql.SQL("{} = ").format(sql.Identifier(c))), sql.Identifier("a", c)
        )
        for c in columns
    ]
    return sql.SQL("array_to_string(ARRAY[{}], {})").format(sql.SQL(", ").join(parts), sql.Literal(between))


def _values(columns: Sequence[str]) -> sql.Composed:
    parts = [sql.SQL("quote_nullable({}::text)").format(sql.Identifier(c)) for c in columns]
    return sql.SQL("array_to_string(ARRAY[{}]::text[], ', ')").format(sql.SQL(", ").join(parts))


def _literal(conn: Connection, text: sql.Composable) -> sql.Literal:
    return sql.Literal(text.as_string(conn))
