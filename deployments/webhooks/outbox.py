"""Accepted deliveries in the ledger's database: none is lost, and each becomes one run.

Holds what a run is made of, never a body. Refuses to know Prefect: who sends is told which delivery is his
and says how it went, while the row is locked against every other receiver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from importlib import resources
from typing import Any, Final

from msgspec import Struct, convert
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from deployments.webhooks.connections import Connections
from faberdb.connection import Connection, connect, run
from faberdb.credentials import ledger_dsn
from faberdb.errors import AuthenticationFailed, DatabaseMissing
from faberdb.ledger.store import ensure_ledger
from faberdb.project import Project

_CONNECTIONS = 8
_HEAD_START_S = 2.5  # for the request that brought it, before anybody else sends it


class State(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    SENT = "sent"
    REFUSED = "refused"


class Delivery(Struct, frozen=True, kw_only=True):
    """A row of the outbox."""

    key: str
    received_at: datetime
    repository: str
    event: str
    deployment: str
    parameters: Mapping[str, Any]
    state: State
    run: str
    attempts: int
    last_error: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of one attempt to send."""

    state: State
    run: str = ""
    error: str = ""
    again_in_s: float = 0.0


_COLUMNS: Final = sql.SQL(
    "key, received_at, repository, event, deployment, parameters, state, run, attempts, last_error"
)


class Outbox:
    """The deliveries of one project. May be used by many threads, and by many receivers at once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._connections = Connections(
            lambda: ledger_dsn(project).runs_as, purpose="webhooks", size=_CONNECTIONS
        )

    def prepare(self) -> None:
        """Create the table where it is missing; that needs the ledger's owner once."""
        try:
            missing = self._connections.run(_is_missing)
        except (DatabaseMissing, AuthenticationFailed):  # neither the ledger nor its role is there yet
            missing = True
        if missing:
            _set_up(self._project)

    def accept(
        self, key: str, *, repository: str, event: str, deployment: str, parameters: Mapping[str, Any]
    ) -> Delivery:
        """Keep a delivery; it is on disk when this returns. One that is there already is returned as it is."""

        def keep(conn: Connection) -> Delivery:
            conn.execute(
                "INSERT INTO webhooks.delivery"
                " (project, key, repository, event, deployment, parameters, next_attempt_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp() + make_interval(secs => %s))"
                " ON CONFLICT DO NOTHING",
                (self._project.name, key, repository, event, deployment, Jsonb(parameters), _HEAD_START_S),
            )
            return self._read(conn, "WHERE project = %s AND key = %s", self._project.name, key)[0]

        return self._connections.run(keep)

    def attempt(self, key: str, send: Callable[[Delivery], Outcome]) -> Delivery:
        """Send one, unless it is no longer pending; waits for another receiver that is just sending it."""

        def at_it(conn: Connection) -> Delivery:
            with conn.transaction():
                where = "WHERE project = %s AND key = %s FOR UPDATE"
                found = self._read(conn, where, self._project.name, key)[0]
                return self._settle(conn, found, send) if found.state is State.PENDING else found

        return self._connections.run(at_it)

    def attempt_next(self, send: Callable[[Delivery], Outcome]) -> Delivery | None:
        """Send the one that is due longest and that nobody else is sending; None where there is none."""

        def at_it(conn: Connection) -> Delivery | None:
            with conn.transaction():
                found = self._read(
                    conn,
                    "WHERE project = %s AND state = 'pending' AND next_attempt_at <= clock_timestamp()"
                    " ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED",
                    self._project.name,
                )
                return self._settle(conn, found[0], send) if found else None

        return self._connections.run(at_it)

    def newest(self, limit: int = 50) -> list[Delivery]:
        """The newest first."""
        where = "WHERE project = %s ORDER BY received_at DESC LIMIT %s"
        return self._connections.run(lambda conn: self._read(conn, where, self._project.name, limit))

    def send_again(self, key: str) -> bool:
        """Make a refused one pending, for whoever corrected the cause; False where there is no such one."""

        def again(conn: Connection) -> bool:
            changed = conn.execute(
                "UPDATE webhooks.delivery SET state = 'pending', next_attempt_at = clock_timestamp()"
                " WHERE project = %s AND key = %s AND state = 'refused'",
                (self._project.name, key),
            )
            return changed.rowcount == 1

        return self._connections.run(again)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _settle(self, conn: Connection, delivery: Delivery, send: Callable[[Delivery], Outcome]) -> Delivery:
        outcome = send(delivery)
        conn.execute(
            "UPDATE webhooks.delivery SET state = %s, run = %s, last_error = %s, attempts = attempts + 1,"
            " next_attempt_at = clock_timestamp() + make_interval(secs => %s)"
            " WHERE project = %s AND key = %s",
            (
                *(outcome.state, outcome.run, outcome.error[:1000], outcome.again_in_s),
                *(self._project.name, delivery.key),
            ),
        )
        where = "WHERE project = %s AND key = %s"
        return self._read(conn, where, self._project.name, delivery.key)[0]

    def _read(self, conn: Connection, where: Any, *parameters: object) -> list[Delivery]:
        query = sql.SQL("SELECT {} FROM webhooks.delivery {}").format(_COLUMNS, sql.SQL(where))
        with conn.cursor(row_factory=dict_row) as cursor:
            return convert(cursor.execute(query, parameters).fetchall(), list[Delivery])


def _is_missing(conn: Connection) -> bool:
    row = conn.execute("SELECT to_regclass('webhooks.delivery') IS NULL").fetchone()
    return bool(row and row[0])


def _set_up(project: Project) -> None:
    address = ledger_dsn(project)
    ensure_ledger(address)
    script = (resources.files("deployments.webhooks") / "outbox.sql").read_text()
    with connect(address.admin, purpose="outbox set-up") as conn, conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(7236529093)")  # two receivers' first starts
        conn.execute(script.encode())
        role = address.runs_as.user
        if role and role != address.admin.user:
            run(conn, "GRANT USAGE ON SCHEMA webhooks TO {role}", role=role)
            run(conn, "GRANT SELECT, INSERT, UPDATE ON webhooks.delivery TO {role}", role=role)
