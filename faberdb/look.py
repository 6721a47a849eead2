"""A look at an environment's database as it is now, begun beside others: revisions, size, schema.

Refuses to know what the ledger says of it (`faberdb.status`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from msgspec import Struct

from faberdb.catalog import Schema, read_schema
from faberdb.connection import Connection
from faberdb.credentials import address_source
from faberdb.errors import FaberError
from faberdb.framing import EnvironmentState, environment_state
from faberdb.given import Given
from faberdb.project import Environment, Project
from faberdb.tools.protocol import MigrationTool


class EnvironmentLook(Struct, frozen=True, kw_only=True):
    """What was seen."""

    state: EnvironmentState
    address: str  # where it comes from: a block, a variable, the embedded server
    size: str = ""  # as PostgreSQL prints it, "" where there is no database
    tables: int = 0
    schema: Schema | None = None  # None where there is no database, or its revisions could not be read


class Looking(Struct, frozen=True, kw_only=True):
    """A look that was begun."""

    environment: Environment
    given: Given  # what blocks say of it
    seen: Future[EnvironmentLook]


def begin_looks(
    project: Project, environments: Sequence[Environment], given: Mapping[str, Given]
) -> list[Looking]:
    """Begin to look at environments side by side; nobody waits yet.

    Args:
        project: whose.
        environments: which.
        given: what blocks say of each, by name.
    """
    pool = ThreadPoolExecutor(max_workers=8)
    looks = [
        Looking(environment=e, given=given[e.name], seen=pool.submit(_look, project, e, given[e.name]))
        for e in environments
    ]
    pool.shutdown(wait=False)  # its threads end with their looks, whose waits are bounded
    return looks


def _look(project: Project, environment: Environment, given: Given) -> EnvironmentLook:
    try:
        address = address_source(project, environment, given)
    except FaberError:  # the tool's schema is not readable; the state says so
        address = "unknown"
    seen: list[tuple[str, int, Schema]] = []
    ordered = project.config.drift.column_order
    state = environment_state(
        project,
        environment,
        given,
        also=lambda conn, tool: seen.append(_size_and_schema(conn, tool, ordered)),
    )
    if not seen:
        return EnvironmentLook(state=state, address=address)
    size, tables, schema = seen[0]
    return EnvironmentLook(state=state, address=address, size=size, tables=tables, schema=schema)


def _size_and_schema(conn: Connection, tool: MigrationTool, ordered: bool) -> tuple[str, int, Schema]:
    row = conn.execute(
        "SELECT pg_size_pretty(pg_database_size(current_database())), (SELECT count(*) FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema'))"
    ).fetchone()
    assert row is not None
    schema = read_schema(conn, leave_out=tool.tracking_tables, column_order=ordered)
    return row[0], row[1], schema
