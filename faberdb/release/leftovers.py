"""Sessions that a dead faber-db left at work in a database, and the tool's own lock once they are ended.

A server before version 14, and any that a vanished machine was connected to, goes on with what it was sent
and keeps the advisory lock of the tool. Whoever holds the database's release lock knows that such a session
has no living owner: each applies and undoes only under that lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from faberdb.connection import Connection
from faberdb.errors import EnvironmentBusy
from faberdb.progress import Kept, Progress
from faberdb.release.lock import require_lock
from faberdb.target import Target

APPLYING: Final = "apply"
UNDOING: Final = "undo"

_TOOL_LOCK_WAIT_S: Final = 15.0  # for a Prisma CLI that is at work
_END_S: Final = 10.0
_LOOK_S: Final = 0.05

_LEFT: Final = """
SELECT pid, application_name, query_start, pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
   AND application_name LIKE ANY (%s)"""


@contextmanager
def hold_tool(target: Target, conn: Connection, release: str, progress: Progress) -> Iterator[None]:
    """Hold the lock that the tool's own commands wait for, after ending what a dead faber-db left.

    Args:
        target: whose database it is.
        conn: where the work will be done.
        release: the id of the one that holds the environment.
        progress: is told of each session that was ended.

    Raises:
        ServerUnreachable: the release does not hold the environment's lock.
        EnvironmentBusy: a living session of the tool holds its lock; names it.
    """
    require_lock(target.dsn, release)
    _end_leftovers(conn, progress)
    with target.tool.hold_lock(conn, timeout_s=_TOOL_LOCK_WAIT_S):
        yield


def _end_leftovers(conn: Connection, progress: Progress) -> None:
    names = [f"faber-db {doing} %" for doing in (APPLYING, UNDOING)]
    found = conn.execute(_LEFT, (names,)).fetchall()
    for pid, application, since, _ in found:
        at = f", at work since {since:%H:%M:%S %Z}" if since else ""
        progress(Kept(f"ended pid {pid} ({application}{at}), which a dead faber-db left"))
    pids = [pid for pid, *_ in found]
    deadline = time.monotonic() + _END_S
    while pids and conn.execute("SELECT FROM pg_stat_activity WHERE pid = ANY (%s)", (pids,)).rowcount:
        if time.monotonic() > deadline:
            raise EnvironmentBusy(
                f"A session that a dead faber-db left does not end: pid {', '.join(map(str, pids))}.",
                why=f"It was told to {_END_S:g} s ago; a server ends a session between two steps of its work.",
                next_step="run the same command again in a moment",
            )
        time.sleep(_LOOK_S)
