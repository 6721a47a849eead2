"""The mark on a database that is ours: its comment says of which snapshot, and whether it is done.

A process that died leaves the mark, and the next one knows what it found. A copy made from a template has rows
before it can have a comment: so it is created closed to every session, which nobody does by hand.
"""

from __future__ import annotations

from msgspec import Struct

from faberdb.connection import Connection
from faberdb.database_properties import set_comment
from faberdb.databases import drop_database, maintenance
from faberdb.dsn import Dsn

_RESTORING = "faber-db restoring "
_RESTORED = "faber-db restored "


class Mark(Struct, frozen=True, kw_only=True):
    """What a restore wrote on its database."""

    snapshot: str
    done: bool


def read_mark(conn: Connection, name: str) -> Mark | None:
    """The mark of a database, or None where it has none or is not there."""
    row = conn.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (name,)
    ).fetchone()
    return _parse(row[0] if row else None)


def closed_at_birth(conn: Connection, name: str) -> bool:
    """Whether the database is a copy whose maker died before it was marked."""
    row = conn.execute(
        "SELECT NOT datallowconn AND datconnlimit = 0 AND shobj_description(oid, 'pg_database') IS NULL"
        " FROM pg_database WHERE datname = %s",
        (name,),
    ).fetchone()
    return row is not None and bool(row[0])


def _parse(text: str | None) -> Mark | None:
    comment = text or ""
    for head, done in ((_RESTORING, False), (_RESTORED, True)):
        if comment.startswith(head):
            return Mark(snapshot=comment.removeprefix(head), done=done)
    return None


def set_mark(conn: Connection, name: str, mark: Mark) -> None:
    """Write the mark; a database has one."""
    set_comment(conn, name, (_RESTORED if mark.done else _RESTORING) + mark.snapshot)


def restored_from(dsn: Dsn, snapshot: str) -> bool:
    """Whether the database is there and a restore of the snapshot made it, finished or not."""
    mark = _mark_of(dsn)
    return mark is not None and mark.snapshot == snapshot


def drop_restored(dsn: Dsn, snapshot: str) -> bool:
    """Drop the database if a restore of the snapshot made it, and no other; whether it was there."""
    return restored_from(dsn, snapshot) and drop_database(dsn)


def half_restored(dsn: Dsn) -> bool:
    """Whether the database is one that a restore began and did not finish."""
    mark = _mark_of(dsn)
    return mark is not None and not mark.done


def _mark_of(dsn: Dsn) -> Mark | None:
    with maintenance(dsn, purpose="look at a restored copy", read_only=True) as conn:
        return read_mark(conn, dsn.database)
