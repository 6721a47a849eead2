"""Looking at a database before a plan is made: what is applied, what its schema is, what could go wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct, field
from psycopg import sql

from faberdb.catalog import Schema, read_schema
from faberdb.connection import Connection, connect
from faberdb.databases import cannot_restore_beside
from faberdb.dsn import Dsn
from faberdb.lint.live import Live, read_live
from faberdb.point_in_time import recoverable
from faberdb.revision import TrackedRevision
from faberdb.tools.protocol import MigrationTool

_LONG_TRANSACTION_S = 60


class Observation(Struct, frozen=True, kw_only=True):
    """What a planner needs to know of a database, read at one moment."""

    tracked: tuple[TrackedRevision, ...]
    schema: Schema  # the tool's own tables left out
    row_counts: Mapping[str, int]  # of the relations asked for, those that exist
    cannot_restore_beside: str  # why restore-and-swap would not work here, "" when it would
    live: Live = field(default_factory=Live)  # of the relations asked for
    notes: tuple[str, ...] = ()  # what an approver should know and no policy judges

    @property
    def fingerprint(self) -> str:
        """Of the schema."""
        return self.schema.fingerprint


def observe(
    dsn: Dsn,
    tool: MigrationTool,
    *,
    count: Collection[str] = (),
    touched: Collection[str] = (),
    column_order: bool = False,
    hosting: str = "",
) -> Observation:
    """Read the database; writes nothing, which the server enforces.

    Args:
        dsn: the environment's database.
        tool: whose tracking table is read.
        count: relations, as scripts name them, whose rows are counted exactly.
        touched: relations, as scripts name them, whose size, traffic and dependents are wanted.
        column_order: whether the order of columns is part of the schema.
        hosting: the environment's, as configured.
    """
    with connect(dsn, purpose="plan", read_only=True) as conn:
        return Observation(
            tracked=tool.tracked(conn),
            schema=read_schema(conn, leave_out=tool.tracking_tables, column_order=column_order),
            row_counts=_row_counts(conn, count),
            cannot_restore_beside=cannot_restore_beside(dsn),
            live=read_live(conn, touched),
            notes=_notes(conn, hosting),
        )


def _row_counts(conn: Connection, names: Collection[str]) -> dict[str, int]:
    counts = {}
    for name in sorted(names):
        found = conn.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p')",
            (name,),
        ).fetchone()
        if found is None:
            continue
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*found))
        row = conn.execute(query).fetchone()
        assert row is not None
        counts[name] = int(row[0])
    return counts


def _notes(conn: Connection, hosting: str) -> tuple[str, ...]:
    by = recoverable(conn, hosting)
    named = (f"{by}: the moment before the first step will be written into the ledger",) if by else ()
    return (*_long_transactions(conn), *_few_locks(conn), *named)


def _few_locks(conn: Connection) -> tuple[str, ...]:
    """A dump holds a lock on every table: without room for them it is refused, which is not found out at night."""
    row = conn.execute(
        "SELECT count(*), current_setting('max_locks_per_transaction')::int"
        " * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)"
        " FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
    ).fetchone()
    tables, room = row if row is not None else (0, 0)
    if tables <= room:
        return ()
    return (
        f"a snapshot locks {tables:,} tables, and the server has room for about {room:,} locks: raise"
        " max_locks_per_transaction, or it may be refused",
    )


def _long_transactions(conn: Connection) -> tuple[str, ...]:
    rows = conn.execute(
        "SELECT pid, application_name, extract(epoch FROM now() - xact_start)::int"
        " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND xact_start < now() - make_interval(secs => %s) ORDER BY xact_start LIMIT 5",
        (_LONG_TRANSACTION_S,),
    ).fetchall()
    return tuple(
        f"a transaction of {app or 'an unnamed application'} (pid {pid}) is open for {seconds} s"
        for pid, app, seconds in rows
    )
