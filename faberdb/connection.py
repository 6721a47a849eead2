"""Opening a PostgreSQL connection that cannot wait without a bound, and saying plainly why one failed."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from faberdb.dsn import Dsn
from faberdb.errors import AuthenticationFailed, DatabaseMissing, FaberError, Refused, ServerUnreachable

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT_S = 10
# A peer that vanished without a FIN is noticed within about a minute instead of two hours: by us, and by the
# server, where our session would keep its locks for as long.
_KEEPALIVE = {
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


@contextmanager
def connect(
    dsn: Dsn,
    *,
    purpose: str,
    statement_timeout_s: float = 300,
    lock_timeout_s: float = 10,
    connect_timeout_s: int = CONNECT_TIMEOUT_S,
    read_only: bool = False,
) -> Iterator[Connection]:
    """Open an autocommit connection with every wait bounded, and close it at the end.

    Args:
        dsn: where to.
        purpose: shown in `pg_stat_activity.application_name` after `faber-db`, so that an operator who
            finds the session knows whose it is.
        statement_timeout_s: 0 means none, for the few statements with a bound of their own.
        lock_timeout_s: 0 means none.
        connect_timeout_s: seconds for each address that the host's name has.
        read_only: let the server refuse whatever would write.

    Raises:
        AuthenticationFailed, DatabaseMissing, ServerUnreachable, Refused: why it could not be opened.
    """
    try:
        conn = psycopg.connect(
            make_conninfo(
                **dsn.connect_arguments(),
                **_KEEPALIVE,
                connect_timeout=str(connect_timeout_s),
                application_name=_application_name(purpose),
                client_encoding="UTF8",  # else PGCLIENTENCODING, or a database in SQL_ASCII, gives bytes
            ),
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        raise explain_connection_failure(error, dsn) from None
    with conn:
        conn.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),"
            " set_config('idle_in_transaction_session_timeout', '600000', false),"
            " set_config('tcp_keepalives_idle', '20', false), set_config('tcp_keepalives_interval', '10', false),"
            " set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '60000', false)",
            (str(int(statement_timeout_s * 1000)), str(int(lock_timeout_s * 1000))),
        )
        if conn.info.server_version >= 140000:
            # Without it the server finishes, and commits, what a killed client had sent.
            # And a server that ends idle sessions would end the one that holds the release lock.
            conn.execute("SET client_connection_check_interval = '1s'; SET idle_session_timeout = 0")
        if read_only:
            conn.execute("SET default_transaction_read_only = on")
        yield conn


@contextmanager
def connect_beside(conn: Connection, *, purpose: str) -> Iterator[Connection]:
    """A second session in the same database as the same role, for short looks at the first."""
    other = psycopg.connect(
        conn.info.dsn,
        password=conn.info.password or None,
        application_name=_application_name(purpose),
        connect_timeout=CONNECT_TIMEOUT_S,
        options="-c statement_timeout=5000 -c lock_timeout=1000",
        autocommit=True,
    )
    with other:
        yield other


@contextmanager
def flushed_together(conn: Connection) -> Iterator[None]:
    """Let the commits inside return at once, and leave only when all of them are on disk.

    WAL is ordered: a server that dies inside the block forgets a tail of its commits, whole transactions
    with their tracking rows, and nothing before them. Whoever claims success does so after the block.
    """
    conn.execute("SET synchronous_commit = off")
    try:
        yield
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute("RESET synchronous_commit")
            # A commit is flushed only if it wrote something, and this writes to nothing but the WAL.
            conn.execute("SELECT pg_logical_emit_message(true, 'faber-db', '')")


def _application_name(purpose: str) -> str:
    who = f"faber-db {purpose} ({_user()}@{os.uname().nodename} pid {os.getpid()})"
    return who.encode("ascii", "replace").decode()[:63]  # NAMEDATALEN: the server cuts there anyway


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return str(os.getuid())


def explain_connection_failure(error: psycopg.Error, dsn: Dsn) -> FaberError:
    """Class a failed connection attempt.

    libpq gives no SQLSTATE for a connection that was never established (psycopg leaves `sqlstate` None),
    so its message is all there is to go by. The message never contains the password.
    """
    text = str(error).strip()
    reason = text.rsplit("FATAL:", 1)[-1].strip().splitlines()[0]
    if "FATAL:" not in text:
        return ServerUnreachable(
            f"No PostgreSQL server answered for {dsn}.",
            why=text.splitlines()[0],
            next_step="check that the server runs and the address is right, then try again",
        )
    if f'database "{dsn.database}" does not exist' in reason:
        return DatabaseMissing(
            f"The server has no database {dsn.database!r}.", why=reason, next_step="faber-db db-create ENV"
        )
    if "authentication failed" in reason or "no pg_hba.conf entry" in reason or "role" in reason:
        return AuthenticationFailed(
            f"The server turned the login for {dsn} away.",
            why=reason,
            next_step="correct the user or password in the environment's variable, then: faber-db status",
        )
    if "not currently accepting connections" in reason or "not accept" in reason or "permission" in reason:
        return Refused(f"{dsn} does not take connections now.", why=reason, next_step="faber-db status")
    return ServerUnreachable(f"The server refused a session for {dsn}.", why=reason, next_step="try again")


def run(
    conn: Connection, template: LiteralString, /, *parameters: object, **names: str
) -> psycopg.Cursor[tuple[Any, ...]]:
    """Execute one statement whose `{identifiers}` are quoted by psycopg, never by string building."""
    query = sql.SQL(template).format(**{k: sql.Identifier(v) for k, v in names.items()})
    return conn.execute(query, parameters or None)
