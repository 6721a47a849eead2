"""What an ALTER TABLE ... DETACH PARTITION CONCURRENTLY left behind, and ending it.

It works in two transactions: after the first the partition is marked as leaving, and an attempt that died
between them can only be ended with FINALIZE.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from psycopg import sql

from faberdb.connection import Connection
from faberdb.locking import Watch
from faberdb.progress import Kept, Progress
from faberdb.statements import Statement
from faberdb.tools.simple_query import send_script

DETACH_CONCURRENTLY: Final = "ALTER TABLE DETACH PARTITION CONCURRENTLY"

_STANDING: Final = """
SELECT pn.nspname, p.relname, cn.nspname, c.relname, i.inhdetachpending
  FROM pg_inherits i
  JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
  JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
 WHERE i.inhparent = coalesce(to_regclass(quote_ident(%(schema)s) || '.' || %(parent)s), to_regclass(%(parent)s))
   AND i.inhrelid = coalesce(to_regclass(quote_ident(%(schema)s) || '.' || %(part)s), to_regclass(%(part)s))"""


class Detaching(StrEnum):
    """How far a partition is from leaving its table."""

    NOT_BEGUN = "not begun"
    ENDED = "ended"  # it was half done, and is done now
    NONE = "none"  # it is no partition of that table: detached before, or never attached


def finish_detaching(
    conn: Connection, statement: Statement, *, schema: str, progress: Progress, watch: Watch
) -> Detaching:
    """Ensure that no detaching is half done.

    Args:
        conn: in autocommit.
        statement: the detaching one, whose objects are the table and its partition.
        schema: of names without one.
        progress: is told when there was something to end.
        watch: is called while that is ended.

    Returns:
        What it found and, where it was half done, ended.

    Raises:
        StatementFailed: it could not be ended in the time that the session gives.
    """
    parent, part = statement.objects
    values = {"schema": schema, "parent": parent, "part": part}
    found = conn.execute(_STANDING, values, prepare=False).fetchone()
    if found is None:
        return Detaching.NONE
    if not found[4]:
        return Detaching.NOT_BEGUN
    progress(Kept(f"ending the detaching of {part} that an earlier attempt began"))
    ending = sql.SQL("ALTER TABLE {} DETACH PARTITION {} FINALIZE").format(
        sql.Identifier(*found[:2]), sql.Identifier(*found[2:4])
    )
    send_script(conn, ending.as_string(conn), watch)
    return Detaching.ENDED
