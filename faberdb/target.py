"""One environment of one project, opened: everything that a step needs, and no secret that can leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from faberdb.catalog import Schema, read_schema
from faberdb.connection import Connection, connect
from faberdb.credentials import ledger_dsn, resolve_dsn
from faberdb.dsn import Dsn
from faberdb.embedded import start_server
from faberdb.given import NOTHING_GIVEN, Given
from faberdb.ledger import Ledger, open_ledger
from faberdb.ledger.schemas import keep_schema
from faberdb.policy import tightened
from faberdb.project import Environment, Project, load_project
from faberdb.snapshot.store import LocalStore, SnapshotStore
from faberdb.tools import open_tool
from faberdb.tools.protocol import MigrationTool


class Target(Struct, frozen=True, kw_only=True):
    """An environment with its tool, its snapshot store and the open ledger."""

    project: Project
    environment: Environment
    dsn: Dsn
    tool: MigrationTool
    store: SnapshotStore
    ledger: Ledger

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.environment.name

    def schema(self) -> Schema:
        """The database's schema now, the tool's own tables left out."""
        with connect(self.dsn, purpose="schema") as conn:
            return self.read(conn)

    def read(self, conn: Connection) -> Schema:
        """The schema of the database that is connected, as this project tells one."""
        return read_schema(
            conn,
            leave_out=self.tool.tracking_tables,
            column_order=self.project.config.drift.column_order,
        )

    def fingerprint(self) -> str:
        """Of the database's schema now."""
        return self.schema().fingerprint

    def record_schema(self) -> str:
        """Keep the database's schema, so that it can be compared with later; its fingerprint."""
        schema = self.schema()
        keep_schema(self.ledger, schema)
        return schema.fingerprint


def tool_of(project: Project, dsn: Dsn | None = None) -> MigrationTool:
    """The project's migration tool, for the schema that the environment's URL names."""
    config = project.config
    return open_tool(
        config.database.migration_tool,
        directory=project.migrations_directory,
        schema_file=project.schema_file,
        schema=dsn.schema if dsn else "public",
        table=config.migrations.table,
    )


def store_of(project: Project, given: Given = NOTHING_GIVEN) -> SnapshotStore:
    """Where the project's snapshots are kept."""
    place = given.snapshots or project.snapshots
    if isinstance(place, Path):
        return LocalStore(place)
    from faberdb.snapshot.store.s3 import S3Store  # noqa: PLC0415 -- only those pay who keep snapshots there
    from faberdb.snapshot.store.s3_client import S3Client  # noqa: PLC0415
    from faberdb.snapshot.store.scratch import Scratch  # noqa: PLC0415

    place = replace(place, transfer_s=project.config.backup.timeout_seconds)
    return S3Store(S3Client(place), Scratch(project.scratch_directory))


@contextmanager
def open_project_ledger(project: Project) -> Iterator[Ledger]:
    """The project's ledger; the embedded server is started where the ledger lives there."""
    if project.uses_embedded:
        start_server(project.home)
    with open_ledger(ledger_dsn(project), project=project.name) as ledger:
        yield ledger


@contextmanager
def open_target(folder: str | Path, environment: str, *, given: Given = NOTHING_GIVEN) -> Iterator[Target]:
    """Resolve names into an open environment.

    Args:
        folder: the project's folder, or one below it.
        environment: its name in the configuration.
        given: what Prefect blocks say of it: they win over variables, and only tighten the policy.
    """
    project = load_project(Path(folder))
    chosen = project.environment(environment)
    chosen = replace(chosen, policy=tightened(chosen.policy, given.tightening))
    with open_project_ledger(project) as ledger:
        dsn = resolve_dsn(project, chosen, given=given)
        yield Target(
            project=project,
            environment=chosen,
            dsn=dsn,
            tool=tool_of(project, dsn),
            store=store_of(project, given),
            ledger=ledger,
        )
