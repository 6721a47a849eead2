"""A look at a running statement from outside: what it waits for, and how far a build of an index is.

It also ends a wait for a lock that goes on beyond its bound, as in a script that sets a lock_timeout of its own.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Final

import psycopg

from faberdb.connection import Connection, connect_beside
from faberdb.errors import FaberError
from faberdb.locking.blockers import Blocker, blockers_of, listed
from faberdb.locking.contention import PASSING
from faberdb.progress import Progress

_FIRST_LOOK_S: Final = 0.2  # most statements are done by then, and cost nothing
_EVERY_S: Final = 0.5

_BUILD: Final = """
SELECT phase, blocks_done, blocks_total, tuples_done, tuples_total, lockers_done, lockers_total
  FROM pg_stat_progress_create_index WHERE pid = %s"""


# Since version 14; pg_locks tells no older server's begin of a wait, and only its own time-outs bound it there.
_WAITED: Final = """
SELECT extract(epoch FROM clock_timestamp() - min(waitstart)) FROM pg_locks WHERE pid = %s AND NOT granted"""
_WAITS_TOLD: Final = 140000
_BEYOND_S: Final = 0.5  # the server's own time-out comes first


class Watch:
    """Call it while a statement of `conn` runs; it opens a session of its own when that takes long."""

    def __init__(self, conn: Connection, progress: Progress, *, lock_s: float) -> None:
        self.blockers: tuple[Blocker, ...] = ()  # those of the last wait that was seen
        self.lock_s = lock_s  # bound on one wait for a lock
        self._ended_a_wait = False
        self._conn = conn
        self._progress = progress
        self._stack = ExitStack()
        self._other: Connection | None = None
        self._next = 0.0
        self._told = ""
        self._gone = False

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def begin(self) -> None:
        """A statement begins now."""
        self._ended_a_wait = False
        self._next = time.monotonic() + _FIRST_LOOK_S

    def __call__(self) -> None:
        """Look, if it is time. A look that fails is the last: the statement matters more."""
        now = time.monotonic()
        if self._gone or now < self._next:
            return
        self._next = now + _EVERY_S
        try:
            self._look()
        except (psycopg.Error, FaberError):
            self._gone = True

    def _look(self) -> None:
        if self._other is None:
            self._other = self._stack.enter_context(connect_beside(self._conn, purpose="watch"))
        pid = self._conn.info.backend_pid
        seen = blockers_of(self._other, pid)
        if seen:
            self.blockers = seen
            self._tell(f"waits for {listed(seen)}")
            self._bound_wait(self._other, pid)
        row = self._other.execute(_BUILD, (pid,)).fetchone()
        if row is not None:
            self._tell(_build_text(*row))

    def _bound_wait(self, other: Connection, pid: int) -> None:
        if self._conn.info.server_version < _WAITS_TOLD:
            return
        row = other.execute(_WAITED, (pid,)).fetchone()
        if row is not None and row[0] is not None and float(row[0]) > self.lock_s + _BEYOND_S:
            self._ended_a_wait = True
            other.execute("SELECT pg_cancel_backend(%s)", (pid,))

    def passing(self, error: psycopg.Error) -> bool:
        """Whether an error of the statement says nothing about it, only that others were at work."""
        cancelled = isinstance(error, psycopg.errors.QueryCanceled)
        return isinstance(error, PASSING) or (self._ended_a_wait and cancelled)

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._progress(text)


def _build_text(
    phase: str, blocks: int, all_blocks: int, rows: int, all_rows: int, lockers: int, all_lockers: int
) -> str:
    if phase.startswith("waiting"):
        return f"index: {phase}, {lockers} of {all_lockers} are done"
    done, total = (rows, all_rows) if all_rows else (blocks, all_blocks)
    share = f", {done / total:.0%}" if total else ""
    return f"index: {phase}{share}"
