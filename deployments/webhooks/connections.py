"""A small, bounded set of open connections to the outbox's database."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import psycopg
from msgspec import Struct

from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import ServerUnreachable

_Result = TypeVar("_Result")
_PATIENCE_S = 10.0


class _Open(Struct, frozen=True):
    conn: Connection
    closing: contextlib.ExitStack


class Connections:
    """Opened when they are needed, kept for the next, never more than `size`.

    Args:
        address: asked at each opening, so that a rotated password or a restarted server is followed.
        purpose: as for `connect`.
        size: how many.
    """

    def __init__(self, address: Callable[[], Dsn], *, purpose: str, size: int) -> None:
        self._address = address
        self._purpose = purpose
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[_Open] = []

    def run(self, work: Callable[[Connection], _Result]) -> _Result:
        """Do something that may be done twice; on a fresh connection where an idle one turns out to be dead.

        Raises:
            ServerUnreachable: the server does not answer, or all connections are in use for too long.
        """
        with self._slot():
            kept = self._take()
            if kept is not None:
                try:
                    return self._use(kept, work)
                except psycopg.OperationalError:
                    if not kept.conn.closed:
                        raise
                    self.close()  # a server that restarted took the others too
            return self._use(self._open(), work)

    def close(self) -> None:
        """Close those that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for one in idle:
            one.closing.close()

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._free.acquire(timeout=_PATIENCE_S):
            raise ServerUnreachable("All connections to the outbox are in use.", next_step="try again")
        try:
            yield
        finally:
            self._free.release()

    def _take(self) -> _Open | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _open(self) -> _Open:
        closing = contextlib.ExitStack()
        conn = closing.enter_context(connect(self._address(), purpose=self._purpose, statement_timeout_s=30))
        return _Open(conn, closing)

    def _use(self, one: _Open, work: Callable[[Connection], _Result]) -> _Result:
        try:
            return work(one.conn)
        finally:
            if one.conn.closed:
                one.closing.close()
            else:
                with self._lock:
                    self._idle.append(one)
