"""What CREATE INDEX and REINDEX left behind when they worked concurrently, and clearing it away.

A concurrent build that fails or is killed leaves an index that is marked invalid: it costs every write and
serves no read. One of CREATE INDEX makes the next attempt fail, or do nothing under IF NOT EXISTS; each failed
attempt of REINDEX leaves one more.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from psycopg import sql

from faberdb.connection import Connection
from faberdb.locking import Watch
from faberdb.progress import Kept, Progress
from faberdb.statements import ConcurrentIndex, Statement
from faberdb.tools.simple_query import send_script


class IndexState(StrEnum):
    """What is there under an index's name."""

    ABSENT = "absent"
    INVALID = "invalid"
    VALID = "valid"


def index_state(conn: Connection, index: ConcurrentIndex, *, schema: str) -> IndexState:
    """Look at the index of that name on that table.

    Args:
        conn: any.
        index: as its statement names it.
        schema: where the table is, when the statement does not say it.
    """
    row = conn.execute(
        "SELECT i.indisvalid AND i.indisready FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid"
        " JOIN pg_namespace n ON n.oid = t.relnamespace"
        " WHERE c.relname = %s AND t.relname = %s AND n.nspname = %s",
        (index.name, index.table, index.schema or schema),
        prepare=False,
    ).fetchone()
    if row is None:
        return IndexState.ABSENT
    return IndexState.VALID if row[0] else IndexState.INVALID


def drop_invalid_index(
    conn: Connection, index: ConcurrentIndex, *, schema: str, progress: Progress, watch: Watch
) -> IndexState:
    """Ensure that no invalid index of that name is in the way.

    Returns:
        What is there now: absent or valid.

    Raises:
        StatementFailed: it could not be dropped in the time that the session gives.
    """
    state = index_state(conn, index, schema=schema)
    if state is not IndexState.INVALID:
        return state
    _drop(conn, index.schema or schema, index.name, progress, watch)
    return IndexState.ABSENT


def drop_reindex_leftovers(
    conn: Connection, statement: Statement, *, schema: str, progress: Progress, watch: Watch
) -> None:
    """Ensure that no invalid copy of an index is left of earlier attempts of a REINDEX CONCURRENTLY.

    Args:
        conn: in autocommit.
        statement: the REINDEX; one of a whole schema or database names no object, and all of the database count.
        schema: of names without one.
        progress: is told of each.
        watch: is called while one is dropped.

    Raises:
        StatementFailed: one could not be dropped in the time that the session gives.
    """
    values = {"schema": schema, "name": next(iter(statement.objects), None)}
    for place, name in conn.execute(_LEFT, values, prepare=False).fetchall():
        _drop(conn, place, name, progress, watch)


# The names that REINDEX CONCURRENTLY gives to the new and to the old index while it works (PostgreSQL's manual,
# "REINDEX"); an index that a session still works on under such a name is waited for, and then has another one.
_LEFT: Final = """
WITH named AS (
  SELECT coalesce(x.indrelid, c.oid) AS oid FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid
   WHERE c.oid = coalesce(to_regclass(quote_ident(%(schema)s) || '.' || %(name)s), to_regclass(%(name)s)))
SELECT n.nspname, c.relname
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relname ~ '_cc(new|old)[0-9]*$'
   AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
   AND (%(name)s::text IS NULL OR i.indrelid IN (
        SELECT oid FROM named UNION SELECT relid FROM named, pg_partition_tree(named.oid)))
 ORDER BY c.relname"""


def _drop(conn: Connection, schema: str, name: str, progress: Progress, watch: Watch) -> None:
    progress(f"dropping the invalid index {name}")
    statement = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(schema, name))
    send_script(conn, statement.as_string(conn), watch)
    progress(Kept(f"dropped the invalid index {name} that an earlier attempt left"))
