"""Sending a whole script in one round trip, and knowing which of its statements failed.

PostgreSQL reports no position for most run-time errors (a violated constraint, a division by zero); the
results that came before the error say which statement it was. psycopg's cursor drops them, so this speaks
to the connection one level lower, with psycopg's own waiting: Ctrl-C cancels the query in the server.
"""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from faberdb.connection import Connection
from faberdb.locking import Watch

_CANCEL_S: Final = 5.0


class StatementFailed(Exception):
    """A statement of a script failed, and those after it did not run."""

    def __init__(self, error: psycopg.Error, done: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.done = done  # statements that ended well before it

    @property
    def position(self) -> int | None:
        """Where in the text PostgreSQL points to, in characters from 1."""
        given = self.error.diag.statement_position
        return int(given) if given else None


def send_script(conn: Connection, script: str, watch: Watch | None = None) -> None:
    """Run a script as one simple query. Whatever interrupts the wait cancels the statement in the server.

    Outside a transaction block PostgreSQL runs it as one transaction, unless it has its own.

    Args:
        conn: in autocommit.
        script: any statements but COPY over the connection.
        watch: is called while it runs.

    Raises:
        StatementFailed: one failed, or the connection was lost.
    """
    try:
        with conn.lock:
            conn.pgconn.send_query(script.encode(conn.info.encoding))
            results = _wait(conn, watch)
    except psycopg.OperationalError as error:
        raise StatementFailed(error, 0) from error
    for done, result in enumerate(results):
        if result.status == ExecStatus.FATAL_ERROR:
            raise StatementFailed(psycopg.errors.error_from_result(result, encoding=conn.info.encoding), done)


def _wait(conn: Connection, watch: Watch | None) -> list[PGresult]:
    running = generators.execute(conn.pgconn)
    if watch is not None:
        watch.begin()
        running = _watched(running, watch)
    try:
        return conn.wait(running)
    except KeyboardInterrupt:  # psycopg has cancelled it
        raise
    except Exception:
        raise
    except BaseException:  # such as an engine's own for SIGTERM: the statement must not outlive us
        conn.cancel_safe(timeout=_CANCEL_S)
        conn.close()
        raise


def _watched(running: PQGen[list[PGresult]], watch: Watch) -> PQGen[list[PGresult]]:
    """The same, with a call of `watch` at each of psycopg's ticks, ten a second."""
    wanted = next(running)
    while True:
        ready = yield wanted
        if not ready:
            watch()
            continue
        try:
            wanted = running.send(ready)
        except StopIteration as ended:
            results: list[PGresult] = ended.value
            return results
