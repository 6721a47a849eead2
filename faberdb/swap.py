"""Exchanging two databases' names: the restored one goes live, the failed one is set aside.

Both renames are one transaction, so at every moment exactly one database has the live name. Every step is an
ensure; killed at any point, the next run finishes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

import psycopg

from faberdb.connection import Connection, connect, run
from faberdb.database_properties import apply_properties, read_properties
from faberdb.databases import maintenance_dsn
from faberdb.dsn import Dsn
from faberdb.errors import CompensationFailed
from faberdb.progress import Progress

_TRIES = 20
_PAUSE_S = 0.25


class SwapState(StrEnum):
    """What the server's names say about an exchange."""

    BEFORE = "before"  # live and restored are there
    AFTER = "after"  # live and aside are there
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOutcome:
    """What an exchange did."""

    aside: str  # the name that the formerly live database has now
    ended_sessions: int


def swap_in(dsn: Dsn, *, restored: str, aside: str, progress: Progress) -> SwapOutcome:
    """Ensure that the database `restored` has the live name and the formerly live one is `aside`.

    Owner, grants, settings, connection limit and comment of the live database are carried over. Sessions in
    both are ended; new ones are refused until the names are exchanged.

    Args:
        dsn: the live database.
        restored: the name of the database to put in its place.
        aside: the name to keep the live one under.
        progress: told before and after each sub-step.

    Raises:
        CompensationFailed: the names are not as they should be, or sessions cannot be ended.
    """
    live, ended = dsn.database, 0
    with connect(maintenance_dsn(dsn), purpose="exchange databases") as conn:
        state = probe_swap(conn, live=live, restored=restored, aside=aside)
        if state is SwapState.UNCLEAR:
            raise _unclear(conn, live, restored, aside)
        if state is SwapState.BEFORE:
            progress(f"closing {live} to new sessions")
            run(conn, "ALTER DATABASE {live} ALLOW_CONNECTIONS false", live=live)
            progress(f"{live} is closed")
            ended = _exchange(conn, live, restored, aside)
            progress("names exchanged")
        run(conn, "ALTER DATABASE {live} ALLOW_CONNECTIONS true", live=live)
        run(conn, "ALTER DATABASE {aside} ALLOW_CONNECTIONS true", aside=aside)
        progress(f"{live} is open")
    return SwapOutcome(aside=aside, ended_sessions=ended)


def probe_swap(conn: Connection, *, live: str, restored: str, aside: str) -> SwapState:
    """Ask the server how far an exchange got."""
    rows = conn.execute(
        "SELECT datname FROM pg_database WHERE datname = ANY(%s)", ([live, restored, aside],)
    ).fetchall()
    there = {name for (name,) in rows}
    if there == {live, restored}:
        return SwapState.BEFORE
    if there == {live, aside}:
        return SwapState.AFTER
    return SwapState.UNCLEAR


def _exchange(conn: Connection, live: str, restored: str, aside: str) -> int:
    ended = 0
    for attempt in range(_TRIES):
        ended += _end_sessions(conn, live) + _end_sessions(conn, restored)
        try:
            with conn.transaction():
                properties = read_properties(conn, live)
                run(conn, "ALTER DATABASE {live} RENAME TO {aside}", live=live, aside=aside)
                run(conn, "ALTER DATABASE {restored} RENAME TO {live}", restored=restored, live=live)
                apply_properties(conn, live, properties)
        except (psycopg.errors.ObjectInUse, psycopg.errors.LockNotAvailable) as error:
            # A session that was told to end may need a moment; a prepared transaction never goes by itself.
            if attempt == _TRIES - 1:
                run(conn, "ALTER DATABASE {live} ALLOW_CONNECTIONS true", live=live)
                raise CompensationFailed(
                    f"The sessions in {live} could not be ended; it is open again and was not exchanged.",
                    why=str(error).strip().splitlines()[0],
                    next_step="end them by hand (pg_stat_activity, pg_prepared_xacts), then: faber-db rollback",
                ) from error
            time.sleep(_PAUSE_S)
        else:
            return ended
    raise AssertionError("the loop returns or raises")


def _end_sessions(conn: Connection, database: str) -> int:
    row = conn.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = %s AND pid <> pg_backend_pid()",
        (database,),
    ).fetchone()
    return int(row[0]) if row else 0


def _unclear(conn: Connection, live: str, restored: str, aside: str) -> CompensationFailed:
    rows = conn.execute(
        "SELECT datname FROM pg_database WHERE datname = ANY(%s) ORDER BY 1", ([live, restored, aside],)
    ).fetchall()
    there = ", ".join(name for (name,) in rows) or "none of them"
    return CompensationFailed(
        f"The databases are not as the exchange expects, and nothing was renamed: there is {there}.",
        why=f"Expected {live} with {restored} (before) or {live} with {aside} (after).",
        next_step=f"rename by hand so that the database to use is called {live}; then: faber-db status",
    )
