"""One release at a time in one database: a session advisory lock on its server.

The lock is taken in the server's maintenance database, because an advisory lock belongs to one database
and restore-and-swap exchanges the databases' names while the release goes on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from faberdb.connection import Connection, connect
from faberdb.databases import maintenance_dsn
from faberdb.dsn import Dsn
from faberdb.errors import EnvironmentBusy, ServerUnreachable

_PATIENCE_S = 3.0  # a killed holder's session may need a moment to end
_held: dict[int, tuple[str, Connection]] = {}  # this process's own: a release's rollback runs inside it


@contextmanager
def hold_environment(dsn: Dsn, holder: str) -> Iterator[None]:
    """Hold the database's release lock until the block ends; the same holder may nest.

    Raises:
        EnvironmentBusy: another release holds it; names the session.
    """
    key = _key(dsn.database)
    if key in _held and _held[key][0] == holder:
        yield
        return
    with connect(maintenance_dsn(dsn), purpose=holder) as conn:
        _acquire(conn, key, dsn)
        mine = _held[key] = (holder, conn)
        try:
            yield
        finally:
            if _held.get(key) is mine:
                del _held[key]


def require_lock(dsn: Dsn, holder: str) -> None:
    """Pass only while this process holds the lock for this release; asked before each effect.

    Raises:
        ServerUnreachable: it does not, as when the lock's session was ended; another release may be at work.
    """
    lost = ServerUnreachable(
        f"The release lock on {dsn.database!r} is not held by {holder}; nothing more was done.",
        why="Its session ended, or the step was called outside of a release.",
        next_step="the same command takes it again and continues",
    )
    mine = _held.get(_key(dsn.database))
    if mine is None or mine[0] != holder:
        raise lost
    try:
        mine[1].execute("SELECT 1")
    except psycopg.OperationalError:
        raise lost from None


def lock_holder(dsn: Dsn) -> str:
    """Who holds the database's release lock, in words; "" for nobody."""
    with connect(maintenance_dsn(dsn), purpose="look at the release lock") as conn:
        return _holder(conn, _key(dsn.database))


def _acquire(conn: Connection, key: int, dsn: Dsn) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        row = conn.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() > deadline:
            raise EnvironmentBusy(
                f"Another release is at work on {dsn.database!r}.",
                why=f"The release lock is held by {_holder(conn, key) or 'a session that just ended'}.",
                next_step="wait for it to end, then run the same command again; faber-db status shows it",
            )
        time.sleep(0.1)


def _holder(conn: Connection, key: int) -> str:
    # A bigint key shows up in pg_locks split in two: classid the high half, objid the low one.
    row = conn.execute(
        "SELECT a.pid, a.application_name, a.backend_start FROM pg_locks l"
        " JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND l.classid::bigint = (%s::bigint >> 32) & 4294967295 AND l.objid::bigint = %s::bigint & 4294967295",
        (key, key),
    ).fetchone()
    if row is None:
        return ""
    pid, application, since = row
    return f"session {pid} ({application}), connected since {since:%Y-%m-%d %H:%M:%S %Z}"


def _key(database: str) -> int:
    raw = hashlib.sha256(f"faber-db release lock\n{database}".encode()).digest()[:8]
    return int.from_bytes(raw, "big", signed=True)
