"""What an ALTER TABLE ... DETACH PARTITION CONCURRENTLY left behind, and ending it.

It works in two transactions: after the first the partition is marked as leaving, and an attempt that died
between them can only be ended with FINALIZE.
"""

from __future__ import annotations

from typing import Final

from psycopg import sql

from faberdb.connection import Connection
from faberdb.progress import Progress
from faberdb.statements import Statement

DETACH_CONCURRENTLY: Final = "ALTER TABLE DETACH PARTITION CONCURRENTLY"

_STANDING: Final = """
SELECT pn.nspname, p.relname, cn.nspname, c.relname, i.inhdetachpending
  FROM pg_inherits i
  JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
  JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
 WHERE i.inhparent = coalesce(to_regclass(quote_ident(%(schema)s) || '.' || %(parent)s), to_regclass(%(parent)s))
   AND i.inhrelid = coalesce(to_regclass(quote_ident(%(schema)s) || '.' || %(part)s), to_regclass(%(part)s))"""


def finish_detaching(conn: Connection, statement: Statement, *, schema: str, progress: Progress) -> bool:
    """Ensure that no detaching is half done.

    Args:
        conn: in autocommit.
        statement: the detaching one, whose objects are the table and its partition.
        schema: of names without one.
        progress: is told when there was something to end.

    Returns:
        Whether the partition is detached now; False where it was not begun.
    """
    parent, part = statement.objects
    values = {"schema": schema, "parent": parent, "part": part}
    found = conn.execute(_STANDING, values, prepare=False).fetchone()
    if found is None:
        return True
    if not found[4]:
        return False
    progress(f"ending the detaching of {part} that an earlier attempt began")
    conn.execute(
        sql.SQL("ALTER TABLE {} DETACH PARTITION {} FINALIZE").format(
            sql.Identifier(*found[:2]), sql.Identifier(*found[2:4])
        )
    )
    return True
