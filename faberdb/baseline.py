"""Recognising which revisions an existing database already has, by replaying them beside it.

A database that was made without the tool has tables and no history. Marking every revision as applied, as
is often done, hides whatever is missing. So the revisions are replayed one by one in a scratch database
until its schema equals the existing one's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from faberdb.budget import Budget
from faberdb.catalog import read_schema
from faberdb.connection import Connection, connect, flushed_together
from faberdb.databases import scratch_database
from faberdb.dsn import Dsn
from faberdb.errors import HistoryRefused
from faberdb.progress import Progress
from faberdb.revision import Revision
from faberdb.tools.protocol import MigrationTool


def has_objects(conn: Connection, *, leave_out: Collection[str]) -> bool:
    """Whether the database holds any table or view beside those left out."""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND n.nspname NOT LIKE 'pg\\_toast%%'"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
        " AND c.relname <> ALL (%s))",
        (list(leave_out),),
    ).fetchone()
    return bool(row and row[0])


def find_baseline(
    dsn: Dsn, tool: MigrationTool, revisions: Sequence[Revision], budget: Budget, progress: Progress
) -> tuple[Revision, ...]:
    """The leading revisions whose outcome is the schema that the database has now.

    Raises:
        HistoryRefused: no point of the history has this schema.
    """
    with connect(dsn, purpose="recognise") as conn:
        wanted = read_schema(conn, leave_out=tool.tracking_tables).fingerprint
    with (
        scratch_database(dsn, "recognise") as scratch,
        connect(scratch, purpose="recognise") as conn,
        flushed_together(conn),
    ):
        tool.ensure_tracking(conn)
        for number, revision in enumerate(revisions, 1):
            progress(f"comparing with {revision.name}")
            tool.apply(conn, revision, budget, progress)
            if read_schema(conn, leave_out=tool.tracking_tables).fingerprint == wanted:
                return tuple(revisions[:number])
    raise HistoryRefused(
        f"The existing database {dsn.database!r} has a schema that no point of the revisions produces.",
        why="It was changed by hand, or the revisions do not belong to it; guessing would hide what differs.",
        next_step="bring the revisions up to the database, or name another database in faber-db.toml",
    )
