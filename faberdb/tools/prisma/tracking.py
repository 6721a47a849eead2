"""Prisma's tracking table, `_prisma_migrations`: its rows read and written as Prisma does."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from msgspec import Struct
from psycopg import sql

from faberdb.connection import Connection
from faberdb.revision import Revision, Standing, TrackedRevision

_CREATE = """
CREATE TABLE {table} (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             TIMESTAMPTZ,
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          TIMESTAMPTZ,
    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count     INTEGER NOT NULL DEFAULT 0
)"""


class Attempt(Struct, frozen=True, kw_only=True):
    """A row that is not rolled back."""

    id: str
    standing: Standing
    steps: int  # statements known to be done, while it has not ended


class TrackingTable(Struct, frozen=True, kw_only=True):
    """The table's place, and every statement about it. Its names are always qualified: a script may have
    set the search path to anything."""

    schema: str
    table: str

    def exists(self, conn: Connection) -> bool:
        """Whether it is there."""
        row = conn.execute(
            "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s",
            (self.schema, self.table),
        ).fetchone()
        return row is not None

    def create(self, conn: Connection) -> None:
        """Create it, and its schema, where they are missing.

        IF NOT EXISTS would not do: it demands the right to create even where nothing has to be created.
        """
        if self.exists(conn):
            return
        with conn.transaction():
            found = conn.execute("SELECT FROM pg_namespace WHERE nspname = %s", (self.schema,)).fetchone()
            if found is None:
                conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
            conn.execute(self.statement(_CREATE))

    def rows(self, conn: Connection) -> list[TrackedRevision]:
        """All rows, oldest first."""
        query = self.statement(
            "SELECT migration_name, checksum, started_at, finished_at, rolled_back_at, logs"
            " FROM {table} ORDER BY started_at, id"
        )
        return [
            TrackedRevision(
                name=name,
                checksum=checksum,
                standing=_standing(finished, rolled_back, logs),
                started_at=started,
                finished_at=finished,
                logs=logs or "",
            )
            for name, checksum, started, finished, rolled_back, logs in conn.execute(query)
        ]

    def attempts(self, conn: Connection, name: str) -> list[Attempt]:
        """The rows of one revision that are not rolled back, oldest first."""
        query = self.statement(
            "SELECT id, finished_at, logs, applied_steps_count FROM {table}"
            " WHERE migration_name = %s AND rolled_back_at IS NULL ORDER BY started_at, id"
        )
        # Not prepared: a script may hold DEALLOCATE or DISCARD.
        return [
            Attempt(id=id_, standing=_standing(finished, None, logs), steps=steps)
            for id_, finished, logs, steps in conn.execute(query, (name,), prepare=False)
        ]

    def start(self, id_: str, revision: Revision) -> sql.Composed:
        """The statement that records that a revision begins."""
        return self.statement(
            "INSERT INTO {table} (id, checksum, migration_name, started_at, applied_steps_count)"
            " VALUES ({id}, {checksum}, {name}, clock_timestamp(), 0)",
            id=id_,
            checksum=revision.checksum,
            name=revision.name,
        )

    def start_first(self, id_: str, revision: Revision) -> sql.Composed:
        """The same, failing with a NOT NULL violation where another attempt is not rolled back.

        It saves the round trip of looking first.
        """
        return self.statement(
            "INSERT INTO {table} (id, checksum, migration_name, started_at, applied_steps_count)"
            " VALUES ({id}, {checksum}, {name}, clock_timestamp(), CASE WHEN EXISTS (SELECT FROM {table}"
            " WHERE migration_name = {name} AND rolled_back_at IS NULL) THEN NULL ELSE 0 END)",
            id=id_,
            checksum=revision.checksum,
            name=revision.name,
        )

    def step(self, id_: str, done: int) -> sql.Composed:
        """The statement that records how many statements are done."""
        return self.statement(
            "UPDATE {table} SET applied_steps_count = {done} WHERE id = {id}", id=id_, done=done
        )

    def finish(self, id_: str) -> sql.Composed:
        """The statement that records a revision's success; Prisma counts one step for a whole script."""
        return self.statement(
            "UPDATE {table} SET finished_at = clock_timestamp(), applied_steps_count = 1 WHERE id = {id}",
            id=id_,
        )

    def fail(self, conn: Connection, id_: str, revision: Revision, logs: str) -> None:
        """Record a failure, also where the beginning could not be."""
        conn.execute(
            self.statement(
                "INSERT INTO {table} (id, checksum, migration_name, logs, started_at, applied_steps_count)"
                " VALUES ({id}, {checksum}, {name}, {logs}, clock_timestamp(), 0)"
                " ON CONFLICT (id) DO UPDATE SET logs = excluded.logs",
                id=id_,
                checksum=revision.checksum,
                name=revision.name,
                logs=logs,
            )
        )

    def forget(self, conn: Connection, id_: str) -> None:
        """Remove the row of an attempt of which nothing stayed; one with an end stays."""
        conn.execute(self.statement("DELETE FROM {table} WHERE id = {id} AND finished_at IS NULL", id=id_))

    def record_applied(self, conn: Connection, revisions: Sequence[Revision]) -> None:
        """What `prisma migrate resolve --applied` writes; revisions that are applied are left alone."""
        with conn.transaction():
            applied = {t.name for t in self.rows(conn) if t.standing is Standing.APPLIED}
            for revision in revisions:
                if revision.name in applied:
                    continue
                self.roll_back(conn, revision.name)
                conn.execute(
                    self.statement(
                        "INSERT INTO {table} (id, checksum, migration_name, logs, started_at, finished_at,"
                        " applied_steps_count) SELECT {id}, {checksum}, {name}, '', t, t, 0"
                        " FROM clock_timestamp() t",
                        id=new_id(),
                        checksum=revision.checksum,
                        name=revision.name,
                    )
                )

    def roll_back(self, conn: Connection, name: str) -> None:
        """What `prisma migrate resolve --rolled-back` writes; nothing where nothing is unresolved."""
        conn.execute(
            self.statement(
                "UPDATE {table} SET rolled_back_at = clock_timestamp()"
                " WHERE migration_name = {name} AND finished_at IS NULL AND rolled_back_at IS NULL",
                name=name,
            )
        )

    def remove(self, conn: Connection, names: Sequence[str]) -> None:
        """Remove the rows of revisions that are applied no longer; nothing of Prisma's does it.

        `rolled_back_at` would not do: `prisma migrate status` calls a database up to date that has any row of a
        revision, and compares the revision's checksum with the first (diagnose_migration_history.rs).
        """
        conn.execute(
            self.statement("DELETE FROM {table} WHERE migration_name = ANY ({names})", names=list(names))
        )

    def statement(self, template: LiteralString, **values: Any) -> sql.Composed:
        """A statement with the table's quoted name and literal values."""
        literals = {k: sql.Literal(v) for k, v in values.items()}
        return sql.SQL(template).format(table=sql.Identifier(self.schema, self.table), **literals)


def _standing(finished: object, rolled_back: object, logs: str | None) -> Standing:
    if rolled_back is not None:
        return Standing.ROLLED_BACK
    if finished is not None:
        return Standing.APPLIED
    return Standing.FAILED if logs else Standing.STARTED


def new_id() -> str:
    """A version 4 UUID whose last eight digits follow from the others, so that our rows are known again.

    It matters for a row without an end: in ours the script is done exactly if the row says so, and in one
    that Prisma began the script may be done although the row does not say so.
    """
    first = uuid.uuid4().bytes[:12]
    return str(uuid.UUID(bytes=first + _signature(first)))


def is_ours(id_: str) -> bool:
    """Whether `new_id` made it."""
    try:
        raw = uuid.UUID(id_).bytes
    except ValueError:  # other tools write rows with ids of their own kind
        return False
    return raw[12:] == _signature(raw[:12])


def _signature(first: bytes) -> bytes:
    return hashlib.sha256(b"faber-db" + first).digest()[:4]


def prisma_logs(name: str, error: psycopg.Error) -> str:
    """What Prisma writes into a failed row's `logs`, for the error that PostgreSQL gave."""
    diag = error.diag
    lines = [
        "A migration failed to apply. New migrations cannot be applied before the error is recovered from."
        " Read more about how to resolve migration issues in a production database:"
        " https://pris.ly/d/migrate-resolve",
        f"Migration name: {name}",
        f"Database error code: {error.sqlstate or 'unknown'}",
        f"Database error:\nERROR: {diag.message_primary or str(error).strip()}",
    ]
    lines += [f"DETAIL: {diag.message_detail}"] if diag.message_detail else []
    lines += [f"HINT: {diag.message_hint}"] if diag.message_hint else []
    return "\n\n".join(lines)
