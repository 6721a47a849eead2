"""What a CREATE INDEX CONCURRENTLY left behind, and clearing it away.

A concurrent build that fails or is killed leaves an index that is marked invalid: it costs every write,
serves no read, and makes the next attempt fail, or do nothing under IF NOT EXISTS.
"""

from __future__ import annotations

from enum import StrEnum

from psycopg import sql

from faberdb.connection import Connection
from faberdb.progress import Progress
from faberdb.statements import ConcurrentIndex


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
    conn: Connection, index: ConcurrentIndex, *, schema: str, progress: Progress
) -> IndexState:
    """Ensure that no invalid index of that name is in the way.

    Returns:
        What is there now: absent or valid.
    """
    state = index_state(conn, index, schema=schema)
    if state is not IndexState.INVALID:
        return state
    progress(f"dropping the invalid index {index.name} that an earlier attempt left")
    name = sql.Identifier(index.schema or schema, index.name)
    conn.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(name))
    progress(f"dropped the invalid index {index.name}")
    return IndexState.ABSENT
