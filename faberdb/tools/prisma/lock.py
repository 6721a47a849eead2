"""Prisma's migration lock: a session-level advisory lock, waited for with a bound."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import psycopg
from psycopg import pq

from faberdb.connection import Connection
from faberdb.errors import EnvironmentBusy

LOCK_KEY: Final = 72707369  # Prisma's own: https://pris.ly/d/migrate-advisory-locking


@contextlib.contextmanager
def migration_lock(conn: Connection, *, timeout_s: float) -> Iterator[None]:
    """Hold the lock while the block runs.

    Raises:
        EnvironmentBusy: it was not free in time; names the session that holds it.
    """
    try:
        with conn.transaction():  # the lock outlives the transaction, the time-out does not
            conn.execute(
                "SELECT set_config('lock_timeout', %s, true)", (f"{max(1, int(timeout_s * 1000))}ms",)
            )
            conn.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
    except psycopg.errors.LockNotAvailable:
        raise _busy(conn, timeout_s) from None
    try:
        yield
    finally:
        _release(conn)


def _release(conn: Connection) -> None:
    if conn.info.transaction_status == pq.TransactionStatus.INERROR:
        conn.rollback()
    with contextlib.suppress(psycopg.OperationalError):  # a session that is gone holds no lock
        conn.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))


def _busy(conn: Connection, timeout_s: float) -> EnvironmentBusy:
    holder = conn.execute(
        "SELECT l.pid, coalesce(nullif(a.application_name, ''), 'a session without a name'),"
        " a.usename, a.backend_start"
        " FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = %s AND l.objsubid = 1"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        (LOCK_KEY,),
    ).fetchone()
    if holder is None:
        return EnvironmentBusy(
            f"Prisma's migration lock was not free within {timeout_s:g} s.",
            why="Its holder ended just now.",
            next_step="run the same command again",
        )
    pid, application, user, since = holder
    connected = f", connected since {since:%Y-%m-%d %H:%M:%S %Z}" if since else ""
    return EnvironmentBusy(
        f"Another migration of this database is running: pid {pid}.",
        why=f"{application} (user {user or 'unknown'}{connected}) holds Prisma's migration lock; it was not"
        f" free within {timeout_s:g} s.",
        next_step=f"wait until it ends and run the same command again; if it is a leftover, end it with"
        f" SELECT pg_terminate_backend({pid})",
    )
