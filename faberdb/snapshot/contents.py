"""What the tables of a database hold: exact rows, and a checksum of their content, as of one moment.

A checksum is the sum, over a table's rows in whatever order, of a 64-bit hash of the row's text. The server
computes it, and prints the row under fixed settings, so that a restored table gives the same one. Of a large table
with a primary key a share of the rows can do: a row belongs to it by the hash of its key. Sequences are read too.
Refuses to know what a difference means (`faberdb.snapshot.proof`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final

import psycopg
from msgspec import Meta, Struct
from psycopg import sql
from psycopg.pq import TransactionStatus

from faberdb.config.proving import Checksums
from faberdb.connection import Connection
from faberdb.errors import Failed, Refused
from faberdb.printing import PRINTING, set_locally
from faberdb.rows import LARGE_OBJECTS, ORDINARY_TABLES
from faberdb.server_errors import explained

SHARE: Final = 64  # of a large table one row in so many is in the checksum
_LARGE_BYTES: Final = 32 << 20
_TABLES_A_STATEMENT: Final = 200  # each arm of a UNION is one more level on the parser's stack

_PRINTING: Final = {
    **PRINTING,
    "row_security": "off",  # a policy that would hide rows is an error instead of fewer rows
    "search_path": "",
    "jit": "off",
}


class Checksum(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one table's content."""

    share: Annotated[int, Meta(ge=1)]  # one row of so many is in it; 1 is all of them
    sum: Annotated[str, Meta(pattern=r"\A-?[0-9]+\Z")]


class Contents(Struct, frozen=True, kw_only=True):
    """Of all tables, by schema-qualified name, quoted as PostgreSQL quotes it."""

    rows: Mapping[str, int]
    checksums: Mapping[str, Checksum]  # of the tables that were asked for


class Table(Struct, frozen=True, kw_only=True):
    """One table to look into."""

    name: str  # schema-qualified, quoted
    place: tuple[str, str]
    key: tuple[tuple[str, bool], ...]  # the primary key's columns, and whether each is an integer


def list_tables(conn: Connection) -> tuple[Table, ...]:
    """The tables whose rows a dump holds, in alphabetical order: not those of extensions.

    Partitions count, their parents hold nothing. Large objects are one table.
    """
    with explained("The tables could not be listed."):
        rows = conn.execute(_TABLES).fetchall()
    return tuple(
        Table(name=name, place=(schema, table), key=tuple((c, i) for c, i in key))
        for name, schema, table, key in rows
    )


def shares(conn: Connection, tables: Sequence[Table], wanted: Checksums) -> dict[str, int]:
    """Which share of each table's rows the policy wants in its checksum; 0 is none."""
    if wanted is not Checksums.SAMPLE:
        return dict.fromkeys((t.name for t in tables), 1 if wanted is Checksums.FULL else 0)
    with explained("The tables' sizes could not be read."):
        large = {name for (name,) in conn.execute(_LARGE)}
    return {t.name: SHARE if t.key and t.name in large else 1 for t in tables}


def hold_tables(conn: Connection, tables: Sequence[Table]) -> None:
    """Keep tables from being dropped, truncated and rewritten until the caller's transaction ends.

    Raises:
        Refused: the role may not read one, or the server has no room for so many locks; nothing is held.
        Transient: one is locked.
    """
    places = [t.place for t in tables if t.name != LARGE_OBJECTS]
    try:
        with explained("The tables could not be held still.", needs="a role that may read every row"):
            for start in range(0, len(places), _TABLES_A_STATEMENT):
                names = [sql.Identifier(*p) for p in places[start : start + _TABLES_A_STATEMENT]]
                listed = sql.SQL(", ONLY ").join(names)
                conn.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(listed))
    except Failed as error:
        if not isinstance(error.__cause__, psycopg.errors.OutOfMemory):
            raise
        raise Refused(
            f"The server has no room for locks on {len(places):,} tables; nothing was done.",
            why="All of them are held, so that all are of one moment, and max_locks_per_transaction is too small.",
            next_step=f"set max_locks_per_transaction to {max(128, len(places) // 50)} on the server and restart it",
        ) from error


def read_contents(
    conn: Connection, tables: Sequence[Table], share: Mapping[str, int], *, moment: str = ""
) -> Contents:
    """Count every row of the tables, and sum the wanted checksums.

    The indexes of the tables stay locked for one statement only, and not until the caller's work ends: a database
    of many tables has more of them than a server has room for locks.

    Args:
        conn: outside of a transaction.
        tables: which.
        share: by a table's name the share of its rows for the checksum; 0 and no entry make none.
        moment: the name of an exported snapshot to look at; "" for now, table by table.

    Raises:
        Refused: the role may not read a table, or row-level security would hide rows from it.
        Transient: a table is locked, or the statement's time ran out.
    """
    rows: dict[str, int] = {}
    checksums: dict[str, Checksum] = {}
    with explained("The rows could not be counted.", needs="a role that may read every row"):
        sees_objects = conn.execute("SELECT has_table_privilege('pg_largeobject', 'SELECT')").fetchone() == (
            True,
        )
        filled = {name for (name,) in conn.execute(_FILLED)}
        empty = [t.name for t in tables if t.name not in filled]
        rows.update(dict.fromkeys(empty, 0))
        checksums.update({n: Checksum(share=share[n], sum="0") for n in empty if share.get(n)})
        scanned = [t for t in tables if t.name in filled]
        for start in range(0, len(scanned), _TABLES_A_STATEMENT):
            part = scanned[start : start + _TABLES_A_STATEMENT]
            arms = [_arm(t, share.get(t.name, 0), sees_objects) for t in part]
            with looking(conn, moment):
                found = conn.execute(sql.SQL(" UNION ALL ").join(arms)).fetchall()
            for name, count, total in found:
                rows[name] = count
                if total is not None:
                    checksums[name] = Checksum(share=share[name], sum=str(total))
    if not rows.get(LARGE_OBJECTS, 1):
        del rows[LARGE_OBJECTS]
        checksums.pop(LARGE_OBJECTS, None)
    return Contents(rows=dict(sorted(rows.items())), checksums=dict(sorted(checksums.items())))


def let_idle(conn: Connection, seconds: float) -> None:
    """Let transactions of a session last, whatever the database's settings say of idle and of long ones.

    Before they begin: `transaction_timeout` cannot be prolonged inside one.
    """
    names = ["idle_in_transaction_session_timeout"]
    names += ["transaction_timeout"] if conn.info.server_version >= 170000 else []
    for name in names:
        conn.execute("SELECT set_config(%s, %s, false)", (name, str(int(seconds * 1000))))


@contextmanager
def looking(conn: Connection, moment: str) -> Iterator[None]:
    """A transaction that sees an exported snapshot, or now, and prints values in one way."""
    assert conn.info.transaction_status == TransactionStatus.IDLE
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        if moment:
            conn.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(moment))
        set_locally(conn, _PRINTING)
        yield


def read_sequences(conn: Connection) -> dict[str, int | None]:
    """The last value of every sequence, None where it gave none yet. Sequences belong to no transaction."""
    with explained("The sequences could not be read."):
        return dict(conn.execute(_SEQUENCES).fetchall())


def _arm(table: Table, share: int, sees_objects: bool) -> sql.Composed:
    if table.name == LARGE_OBJECTS:
        total: sql.Composable = sql.SQL(_OBJECTS_SUM if share and sees_objects else "NULL::numeric")
        return sql.SQL("SELECT {}, count(*), {} FROM pg_catalog.pg_largeobject_metadata").format(
            sql.Literal(table.name), total
        )
    total = sql.SQL("NULL::numeric")
    if share:
        chosen: sql.Composable = sql.SQL("")
        if share > 1:
            chosen = sql.SQL(" FILTER (WHERE (({}) & {}) = 0)").format(
                _key_hash(table), sql.Literal(share - 1)
            )
        # (t.*)::text and not t::text: a column may be called t.
        total = sql.SQL('COALESCE(sum(hashtextextended((t.*)::text COLLATE "C", 0)){}, 0)').format(chosen)
    return sql.SQL("SELECT {}, count(*), {} FROM ONLY {} AS t").format(
        sql.Literal(table.name), total, sql.Identifier(*table.place)
    )


def _key_hash(table: Table) -> sql.Composed:
    parts = [
        sql.SQL("hashint8((t.{})::bigint)" if integer else 'hashtext((t.{})::text COLLATE "C")').format(
            sql.Identifier(column)
        )
        for column, integer in table.key
    ]
    return sql.SQL(" # ").join(parts)


_TABLES: Final[Any] = f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, n.nspname::text, c.relname::text,
  COALESCE((SELECT json_agg(json_build_array(a.attname, a.atttypid IN (20, 21, 23)) ORDER BY a.attnum)
            FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = c.oid AND i.indisprimary), '[]')
{ORDINARY_TABLES}
UNION ALL SELECT 'pg_catalog.pg_largeobject_metadata', 'pg_catalog', 'pg_largeobject_metadata', '[]'
ORDER BY 1
"""  # noqa: S608 -- of constants

# A heap without a page holds no row that anybody sees: nothing of it needs a scan.
_FILLED: Final[Any] = f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
{ORDINARY_TABLES} AND (c.relam <> 2 OR pg_relation_size(c.oid) > 0)
UNION ALL SELECT 'pg_catalog.pg_largeobject_metadata'
"""

# The file system is asked for two files of each table, and not for all that pg_table_size wants to know.
_LARGE: Final[Any] = f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
{ORDINARY_TABLES}
  AND pg_relation_size(c.oid) + COALESCE(pg_relation_size(NULLIF(c.reltoastrelid, 0)), 0) > {_LARGE_BYTES}
"""

# A hole in a large object reads as zeros, and a dump fills it with them: zeros at a page's end do not count.
_OBJECTS_SUM: Final = """
(SELECT COALESCE(sum(hashtextextended(loid || ' ' || pageno || ' ' || hex, 0)), 0) FROM
  (SELECT loid, pageno, rtrim(encode(data, 'hex'), '0') AS hex FROM pg_catalog.pg_largeobject) AS p WHERE hex <> '')
"""

_SEQUENCES: Final = """
SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename), last_value FROM pg_sequences
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e'
  AND d.objid = (quote_ident(schemaname) || '.' || quote_ident(sequencename))::regclass)
ORDER BY 1
"""
