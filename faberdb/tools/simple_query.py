"""Sending a whole script in one round trip, and knowing which of its statements failed.

PostgreSQL reports no position for most run-time errors (a violated constraint, a division by zero); the
results that came before the error say which statement it was. psycopg's cursor drops them, so this speaks
to the connection one level lower, with psycopg's own waiting: Ctrl-C cancels the query in the server.
"""

from __future__ import annotations

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus

from faberdb.connection import Connection


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


def send_script(conn: Connection, script: str) -> None:
    """Run a script as one simple query.

    Outside a transaction block PostgreSQL runs it as one transaction, unless it has its own.

    Args:
        conn: in autocommit.
        script: any statements but COPY over the connection.

    Raises:
        StatementFailed: one failed, or the connection was lost.
    """
    try:
        with conn.lock:
            conn.pgconn.send_query(script.encode(conn.info.encoding))
            results = conn.wait(generators.execute(conn.pgconn))
    except psycopg.OperationalError as error:
        raise StatementFailed(error, 0) from error
    for done, result in enumerate(results):
        if result.status == ExecStatus.FATAL_ERROR:
            raise StatementFailed(psycopg.errors.error_from_result(result, encoding=conn.info.encoding), done)
