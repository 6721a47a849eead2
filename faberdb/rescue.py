"""Rows that a rollback left in the set-aside database: found there, and written out to be brought back by a person.

A set-aside database is compared with the live one table by table, by primary key; of a table without one, whole rows
are counted against each other. The live database's keys and row checksums are streamed into a temporary table beside
the set-aside rows, so that the server compares and nothing is held in memory here. Refuses to write into the live
database: what is brought back, and over what, is for a person to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from psycopg import sql

from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import Refused
from faberdb.holdings import find_holders
from faberdb.printing import PRINTING, set_locally
from faberdb.progress import Progress
from faberdb.rescue_files import RescueFiles, Table, parents_first
from faberdb.rows import ORDINARY_TABLES
from faberdb.server_errors import explained

_HASH: Final = sql.Identifier("faber-db hash")
_LIVE: Final = sql.Identifier("faber-db live rows")


class Rescued(Struct, frozen=True, kw_only=True):
    """What was found of one table."""

    table: str
    new: int = 0  # in the set-aside database alone
    changed: int = 0  # in both, and not the same
    gone: int = 0  # in the live database alone: deleted after the snapshot, or written since the rollback
    added: int = 0  # rows with values in columns that the live table does not have
    note: str = ""

    @property
    def any(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.new or self.changed or self.gone or self.added)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "table": self.table,
            "new": self.new,
            "changed": self.changed,
            "gone": self.gone,
            "added": self.added,
            "note": self.note,
        }


def rescue(
    aside: Dsn,
    live: Dsn,
    files: RescueFiles,
    *,
    leave_out: Collection[str],
    partial: bool,
    progress: Progress,
) -> tuple[Rescued, ...]:
    """Compare, and write what is in the set-aside database and not in the live one.

    Args:
        aside: the set-aside database; it gets a temporary table and nothing that stays.
        live: only read, as of one moment.
        files: where it is written.
        leave_out: unqualified names of the migration tool's tables.
        partial: the set-aside one holds only what an undo in place removed.
        progress: told of each table.

    Returns:
        The tables with something to tell, in the order in which their rows can come back.

    Raises:
        Refused: the role may not read a table.
    """
    with _session(aside, writes=True) as there, _session(live, writes=False) as here:
        tables = _tables(there, here, leave_out, partial=partial)
        found = []
        for table in tables:
            progress(f"comparing {table.name}")
            one = _kept(there, table, files) if partial else _compared(there, here, table, files)
            if one.any:
                found.append(one)
        if not partial:
            files.sequences(there, _sequences_behind(there, here))
        return tuple(found)


@contextmanager
def _session(dsn: Dsn, *, writes: bool) -> Iterator[Connection]:
    with (
        connect(dsn, purpose="rescue", statement_timeout_s=3600) as conn,
        explained("The rows could not be compared.", needs="a role that may read every row"),
        conn.transaction(),
    ):
        access = sql.SQL("READ WRITE" if writes else "READ ONLY")
        conn.execute(sql.SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, {}").format(access))
        set_locally(conn, _PRINTING)
        yield conn


def _tables(there: Connection, here: Connection, leave_out: Collection[str], *, partial: bool) -> list[Table]:
    aside, live = _read(there), _read(here)
    found = {}
    for name, (schema, table, columns, key, fixed) in aside.items():
        if table in leave_out:
            continue
        theirs = live.get(name)
        own_key = theirs[3] if partial and theirs else key
        common = [c for c in columns if theirs and c in theirs[2]]
        found[name] = Table(
            schema=schema,
            table=table,
            name=name,
            columns=tuple(common if theirs else columns),
            more=tuple(c for c in columns if c not in common) if theirs else (),
            fewer=tuple(c for c in theirs[2] if c not in columns) if theirs and not partial else (),
            key=tuple(own_key) if not theirs or set(own_key) <= set(common) else (),
            fixed=frozenset(fixed),
            in_live=theirs is not None,
        )
    order = parents_first(list(found), there.execute(_REFERENCES).fetchall())
    return [found[name] for name in order]


def _read(conn: Connection) -> dict[str, tuple[str, str, list[str], list[str], list[str]]]:
    return {
        name: (schema, table, list(columns or ()), list(key or ()), list(fixed or ()))
        for name, schema, table, columns, key, fixed in conn.execute(_TABLES)
    }


def _kept(there: Connection, table: Table, files: RescueFiles) -> Rescued:
    """Of a database that holds only what an undo in place removed."""
    if not table.in_live:
        return Rescued(table=table.name, new=files.new(there, table, table.place), note=_ALONE)
    return Rescued(table=table.name, added=files.added(there, table, sql.SQL("true")), note=_LATER)


def _compared(there: Connection, here: Connection, table: Table, files: RescueFiles) -> Rescued:
    if not table.in_live:
        only = sql.SQL("(SELECT * FROM ONLY {}) AS a").format(table.place)
        return Rescued(table=table.name, new=files.new(there, table, only), note=_ALONE)
    _bring_live_rows(there, here, table)
    found = _by_key(there, table, files) if table.key else _by_rows(there, table, files)
    there.execute(sql.SQL("DROP TABLE pg_temp.{}").format(_LIVE))
    added = files.added(there, table, _written(there, table)) if table.more and table.key else 0
    notes = [found.note] if found.note else []
    notes += [f"only the set-aside table has {', '.join(table.more)}"] if table.more else []
    notes += [f"only the live table has {', '.join(table.fewer)}"] if table.fewer else []
    return replace(found, added=added, note="; ".join(notes))


def _bring_live_rows(there: Connection, here: Connection, table: Table) -> None:
    keys = sql.SQL(", ").join(
        [*(sql.Identifier(c) for c in table.key), sql.SQL("''::text AS {}").format(_HASH)]
    )
    there.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} AS SELECT {} FROM ONLY {} WITH NO DATA").format(
            _LIVE, keys, table.place
        )
    )
    read = sql.SQL(", ").join([*(sql.Identifier(c) for c in table.key), _hash(table)])
    reading = sql.SQL("COPY (SELECT {} FROM ONLY {}) TO STDOUT").format(read, table.place)
    writing = sql.SQL("COPY pg_temp.{} FROM STDIN").format(_LIVE)
    with here.cursor().copy(reading) as out, there.cursor().copy(writing) as into:
        for block in out:
            into.write(block)
    there.execute(sql.SQL("ANALYZE pg_temp.{}").format(_LIVE))


def _hash(table: Table, alias: str = "") -> sql.Composed:
    columns = [sql.Identifier(*([alias] if alias else []), c) for c in table.columns]
    return sql.SQL("md5(ROW({})::text)").format(sql.SQL(", ").join(columns))


def _by_key(there: Connection, table: Table, files: RescueFiles) -> Rescued:
    same = sql.SQL(" AND ").join(sql.SQL("a.{c} = l.{c}").format(c=sql.Identifier(c)) for c in table.key)
    facts = {"t": table.place, "l": _LIVE, "same": same, "hash": _HASH, "own": _hash(table, "a")}
    new = "(SELECT a.* FROM ONLY {t} a WHERE NOT EXISTS (SELECT FROM pg_temp.{l} l WHERE {same})) AS a"
    changed = "(SELECT a.* FROM ONLY {t} a JOIN pg_temp.{l} l ON {same} WHERE l.{hash} <> {own}) AS a"
    gone = "(SELECT l.* FROM pg_temp.{l} l WHERE NOT EXISTS (SELECT FROM ONLY {t} a WHERE {same})) AS a"
    return Rescued(
        table=table.name,
        new=files.new(there, table, sql.SQL(new).format(**facts)),
        changed=files.changed(there, table, sql.SQL(changed).format(**facts)),
        gone=files.gone(there, table, sql.SQL(gone).format(**facts)),
    )


def _by_rows(there: Connection, table: Table, files: RescueFiles) -> Rescued:
    """As many of each row as the set-aside table has more of them than the live one."""
    facts = {"t": table.place, "l": _LIVE, "hash": _HASH, "own": _hash(table, "o")}
    numbered = (
        '(SELECT n.* FROM (SELECT o.*, {own} AS {hash}, row_number() OVER (PARTITION BY {own}) AS "faber-db n"'
        " FROM ONLY {t} o) n LEFT JOIN (SELECT {hash}, count(*) AS c FROM pg_temp.{l} GROUP BY 1) l USING ({hash})"
        ' WHERE n."faber-db n" > coalesce(l.c, 0)) AS a'
    )
    row = there.execute(
        sql.SQL(
            "SELECT coalesce(sum(greatest(l.c - coalesce(o.c, 0), 0)), 0)::bigint"
            " FROM (SELECT {hash}, count(*) AS c FROM pg_temp.{l} GROUP BY 1) l"
            " LEFT JOIN (SELECT {own} AS {hash}, count(*) AS c FROM ONLY {t} o GROUP BY 1) o USING ({hash})"
        ).format(**facts)
    ).fetchone()
    return Rescued(
        table=table.name,
        new=files.new(there, table, sql.SQL(numbered).format(**facts)),
        gone=int(row[0]) if row else 0,
        note="it has no primary key, so a changed row counts as a new one and one that is gone",
    )


def _written(there: Connection, table: Table) -> sql.Composable:
    """The condition under which a row holds something in the columns that only the set-aside table has."""
    names = there.execute(
        "SELECT 'column ' || %s || '.' || quote_ident(c) FROM unnest(%s::text[]) c",
        (table.name, list(table.more)),
    ).fetchall()
    (holder,) = find_holders(there, [name for (name,) in names])
    return holder.written


def _sequences_behind(there: Connection, here: Connection) -> Mapping[tuple[str, str], int]:
    """Sequences that are further in the set-aside database: rows that come back have such numbers."""
    live = {(schema, name): last or 0 for schema, name, last in here.execute(_SEQUENCES)}
    aside = {(schema, name): last or 0 for schema, name, last in there.execute(_SEQUENCES)}
    return {names: last for names, last in aside.items() if names in live and last > live[names]}


def require_output(folder: Path) -> None:
    """Refuse to mix what is written with other files.

    Raises:
        Refused: the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(
            f"{folder} is there already and not empty; nothing was written.", next_step="--output ANOTHER"
        )


_ALONE: Final = "the live database has no such table"
_LATER: Final = "for when its columns are there again"

# Both sessions have to print a value alike.
_PRINTING: Final = {**PRINTING, "row_security": "off", "search_path": "pg_catalog, pg_temp"}
_TABLES: Final[Any] = f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), n.nspname::text, c.relname::text,
  (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
  (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_index i
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::smallint[])
   WHERE i.indrelid = c.oid AND i.indisprimary),
  (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attidentity = 'a')
{ORDINARY_TABLES}
ORDER BY 1
"""  # noqa: S608 -- of constants
_REFERENCES: Final = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname),
  quote_ident(m.nspname) || '.' || quote_ident(p.relname)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace
WHERE k.contype = 'f'
"""
_SEQUENCES: Final = (
    "SELECT schemaname::text, sequencename::text, last_value FROM pg_sequences"
    " WHERE schemaname !~ '^pg_' ORDER BY 1, 2"
)
