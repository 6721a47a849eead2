"""Exchanging two databases' names: a restored one goes live, the live one is set aside and kept.

The exchange is one transaction of the server, so at every moment there is exactly one database under the
live name. Killed anywhere, the same call ends the work. Refuses to know why databases are exchanged.

What happens around that transaction: the live database is closed to new sessions (an application that
reconnects in a loop would else win), the sessions are ended, the names change, the new live one opens. The
set-aside database stays open under its new name, for people who rescue rows; its sessions are read-only by
default, so that nobody writes there by mistake and believes it kept.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Final

import psycopg
from msgspec import Struct
from psycopg import sql

from faberdb.connection import Connection, run
from faberdb.database_properties import allow_connections, apply_properties, read_properties, set_comment
from faberdb.databases import (
    end_sessions,
    exists,
    fitting_name,
    maintenance,
    require_fitting,
    sessions_beyond_us,
)
from faberdb.dsn import Dsn
from faberdb.errors import CompensationFailed, Refused, Transient
from faberdb.progress import Progress, silent
from faberdb.server_errors import explained

_PATIENCE_S: Final = 45
_PAUSE_S: Final = 0.1
_SET_ASIDE: Final = "faber-db set aside from "


class SwapState(StrEnum):
    """Which of the three names there are."""

    READY = "the live and the restored database are there, nothing is set aside"
    DONE = "the names are exchanged: the live and the set-aside database are there"
    NOTHING_RESTORED = "only the live database is there"
    NAME_TAKEN = "the live and the restored database are there, and the set-aside name is taken already"
    LIVE_MISSING = "no database has the live name"


class SwapOutcome(Struct, frozen=True, kw_only=True):
    """How the exchange went."""

    live: str
    aside: str
    exchanged_now: bool  # False when an earlier call had done it
    sessions_ended: int


def probe_swap(dsn: Dsn, *, restored: str, aside: str) -> SwapState:
    """Where an exchange stands, from looking alone."""
    with maintenance(dsn, purpose="look at a swap") as conn:
        return _probe(conn, dsn.database, restored, aside)


def list_set_aside(dsn: Dsn) -> tuple[str, ...]:
    """The names of databases that were set aside from the Dsn's, by what is written on them; never itself."""
    with maintenance(dsn, purpose="list set-aside databases") as conn:
        rows = conn.execute(
            "SELECT datname::text FROM pg_database WHERE datname <> %s"
            " AND shobj_description(oid, 'pg_database') = %s ORDER BY 1",
            (dsn.database, _SET_ASIDE + dsn.database),
        )
        return tuple(name for (name,) in rows)


def mark_set_aside(dsn: Dsn, aside: str) -> None:
    """Say on a database of the same server that it was set aside from the Dsn's, and guard it against writing."""
    with maintenance(dsn, purpose="set aside") as conn:
        _mark(conn, dsn.database, aside)


def swap_in(
    dsn: Dsn,
    *,
    restored: str,
    aside: str,
    progress: Progress = silent,
    terminate: bool = True,
    patience_s: float = _PATIENCE_S,
) -> SwapOutcome:
    """Ensure that the database `restored` is live under the Dsn's name, and the one before it kept as `aside`.

    Owner, grants, settings, connection limit and comment go with the live name.

    Args:
        dsn: the live database.
        restored: the name of the database that goes live.
        aside: the name under which the one that was live is kept.
        progress: told before and after each part.
        terminate: end the sessions of others; else wait for them to leave.
        patience_s: how long to try while sessions linger.

    Raises:
        Refused: a privilege is missing; nothing was changed.
        Transient: sessions did not leave in time; the live database is open again under its name.
        CompensationFailed: the names are in no state that this could end; says which, and the commands.
    """
    require_fitting(aside)
    with maintenance(dsn, purpose="swap") as conn, explained("The databases' names were not exchanged."):
        state = _probe(conn, dsn.database, restored, aside)
        if state is SwapState.DONE:
            _finish(conn, dsn.database, aside)
            progress(f"{dsn.database} is the restored one already; {aside} is kept")
            return SwapOutcome(live=dsn.database, aside=aside, exchanged_now=False, sessions_ended=0)
        if state is not SwapState.READY:
            raise _stuck(conn, state, dsn.database, restored, aside)
        swap = _Swap(conn=conn, live=dsn.database, restored=restored, aside=aside, progress=progress)
        return swap.run(terminate=terminate, patience_s=patience_s)


class _Swap(Struct, frozen=True, kw_only=True):
    """One exchange in state READY."""

    conn: Connection
    live: str
    restored: str
    aside: str
    progress: Progress

    def run(self, *, terminate: bool, patience_s: float) -> SwapOutcome:
        self._require_privileges(terminate)
        self.progress(f"giving {self.restored} the owner, grants and settings of {self.live}")
        apply_properties(self.conn, self.restored, read_properties(self.conn, self.live))
        try:
            self._close()
            ended = self._exchange(terminate, patience_s)
        except BaseException:
            self._reopen()
            raise
        self.progress(f"{self.live} is the restored one, and open; {self.aside} is kept")
        return SwapOutcome(live=self.live, aside=self.aside, exchanged_now=True, sessions_ended=ended)

    def _require_privileges(self, terminate: bool) -> None:
        strangers = sessions_beyond_us(self.conn, self.live, self.restored) if terminate else ()
        if strangers:
            raise Refused(
                f"Sessions of {', '.join(strangers)} in {self.live!r} may not be ended by our role;"
                " nothing was changed.",
                next_step="stop those programs, or: GRANT pg_signal_backend TO the role",
            )

    def _close(self) -> None:
        self.progress(f"closing {self.live} to new sessions")
        with (
            explained(
                f"The server does not let us close {self.live!r} to new sessions; nothing was changed.",
                needs="the database's owner, or a superuser",
            ),
            self.conn.transaction(),
        ):
            allow_connections(self.conn, self.live, False)
            allow_connections(self.conn, self.restored, False)
        self.progress(f"closed {self.live}")

    def _exchange(self, terminate: bool, patience_s: float) -> int:
        ended, deadline = 0, time.monotonic() + patience_s
        while True:
            ended += end_sessions(self.conn, self.live, self.restored) if terminate else 0
            self.progress(f"exchanging the names: {self.live} becomes {self.aside}")
            try:
                self._rename()
            except (psycopg.errors.ObjectInUse, psycopg.errors.LockNotAvailable) as error:
                if time.monotonic() > deadline:
                    raise self._still_used(error) from error
                self.progress(f"{self.live} is still in use; trying again")
                time.sleep(_PAUSE_S)
            else:
                return ended

    def _rename(self) -> None:
        comment = read_properties(self.conn, self.live).comment
        with self.conn.transaction():
            run(self.conn, "ALTER DATABASE {live} RENAME TO {aside}", live=self.live, aside=self.aside)
            run(
                self.conn,
                "ALTER DATABASE {restored} RENAME TO {live}",
                restored=self.restored,
                live=self.live,
            )
            set_comment(self.conn, self.live, comment)
            _finish(self.conn, self.live, self.aside)
            self.progress("the names are exchanged, and not yet committed")

    def _reopen(self) -> None:
        """Whatever went wrong before the exchange, the live database takes its sessions again."""
        try:
            for name in (self.live, self.restored):
                allow_connections(self.conn, name, True)
        except psycopg.Error:  # the first error is told; the next run finds the database closed and goes on
            self.progress(f"{self.live} could not be opened again")

    def _still_used(self, error: psycopg.Error) -> Transient:
        users = self.conn.execute(_USERS, {"names": [self.live, self.restored]}).fetchall()
        told = "; ".join(f"{what} in {where}" for where, what in users) or error.diag.message_detail or ""
        return Transient(
            f"{self.live!r} is still in use, so its name was not exchanged; it is open again as it was.",
            why=told or "A session came and went.",
            next_step="stop what uses it, then run the same command again",
        )


def _probe(conn: Connection, live: str, restored: str, aside: str) -> SwapState:
    if not exists(conn, live):
        return SwapState.LIVE_MISSING
    return {
        (True, False): SwapState.READY,
        (False, True): SwapState.DONE,
        (False, False): SwapState.NOTHING_RESTORED,
        (True, True): SwapState.NAME_TAKEN,
    }[exists(conn, restored), exists(conn, aside)]


def _finish(conn: Connection, live: str, aside: str) -> None:
    """Open both, and say on the set-aside one what it is."""
    with conn.transaction():
        allow_connections(conn, live, True)
        allow_connections(conn, aside, True)
        _mark(conn, live, aside)


def _mark(conn: Connection, live: str, aside: str) -> None:
    run(conn, "ALTER DATABASE {aside} SET default_transaction_read_only = on", aside=aside)
    set_comment(conn, aside, _SET_ASIDE + live)


def _stuck(conn: Connection, state: SwapState, live: str, restored: str, aside: str) -> CompensationFailed:
    names = {"live": live, "restored": restored, "set aside": aside}
    there = "; ".join(f"{k} {v!r}: {'there' if exists(conn, v) else 'missing'}" for k, v in names.items())
    return CompensationFailed(
        f"The databases' names cannot be exchanged: {state.value}.",
        why=f"{there}. Nothing was changed.",
        next_step=_commands(conn, state, live, restored, aside),
    )


def _commands(conn: Connection, state: SwapState, live: str, restored: str, aside: str) -> str:
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {};")
    if state is SwapState.NOTHING_RESTORED:
        return "restore the snapshot beside first, then run the same command again"
    if state is SwapState.NAME_TAKEN:
        command = rename.format(sql.Identifier(aside), sql.Identifier(fitting_name(aside, "_earlier")))
        return f"look at {aside!r}; to keep it under another name: {command.as_string(conn)}"
    source = restored if exists(conn, restored) else aside
    command = rename.format(sql.Identifier(source), sql.Identifier(live))
    return f"look at what is there with \\l in psql; to go live with {source!r}: {command.as_string(conn)}"


_USERS: Final = """
SELECT datname::text, 'session ' || pid || ' of ' || COALESCE(usename, backend_type, 'the server')
  || COALESCE(' (' || NULLIF(application_name, '') || ')', '')
FROM pg_stat_activity WHERE datname = ANY (%(names)s) AND pid <> pg_backend_pid()
UNION ALL
SELECT database::text, 'prepared transaction ' || quote_literal(gid) FROM pg_prepared_xacts
WHERE database = ANY (%(names)s)
"""
