"""Prisma as a migration tool: the folder, the table, the lock and the executor behind one face."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from faberdb.budget import Budget
from faberdb.connection import Connection
from faberdb.errors import ConfigInvalid, Refused
from faberdb.progress import Progress
from faberdb.revision import Revision, TrackedRevision
from faberdb.tools.prisma.datasource import read_datasource
from faberdb.tools.prisma.directory import SCRIPT, read_down, read_revisions, recorded_checksum
from faberdb.tools.prisma.executor import apply_revision
from faberdb.tools.prisma.lock import migration_lock
from faberdb.tools.prisma.tracking import TrackingTable


class PrismaMigrations(Struct, frozen=True, kw_only=True):
    """A Prisma project's migrations. See `faberdb.tools.protocol.MigrationTool`."""

    directory: Path  # prisma/migrations
    schema_file: Path | None  # schema.prisma, or the folder of a schema in several files
    schema: str = "public"  # what `?schema=` says
    table: str = "_prisma_migrations"

    @property
    def name(self) -> str:
        """In the configuration."""
        return "prisma"

    @property
    def tracking_tables(self) -> tuple[str, ...]:
        """Prisma has one."""
        return (self.table,)

    def revisions(self) -> tuple[Revision, ...]:
        """Those on disk, in Prisma's order.

        Raises:
            ConfigInvalid: the project is of another database.
            HistoryRefused, UnreadableSql: a folder without a script, a script that is not UTF-8.
        """
        self._check_provider()
        return read_revisions(self.directory)

    def tracked(self, conn: Connection) -> tuple[TrackedRevision, ...]:
        """The table's rows, with the checksum on disk where Prisma takes the recorded one as the same."""
        tracking = self._tracking
        if not tracking.exists(conn):
            return ()
        return tuple(
            replace(row, checksum=recorded_checksum(self.directory, row.name, row.checksum))
            for row in tracking.rows(conn)
        )

    def write_revision(self, name: str, script: str) -> Path:
        """Write `NAME/migration.sql`."""
        file = self.directory / name / "migration.sql"
        if file.exists():
            raise Refused(f"{file} is there already.")
        file.parent.mkdir(parents=True)
        file.write_text(script)
        return file

    def withdraw_revision(self, name: str, keep: Path) -> Path:
        """Move `NAME/migration.sql` to `keep/NAME.sql`, and remove its folder."""
        folder, kept = self.directory / name, keep / f"{name}.sql"
        others = sorted(f.name for f in folder.iterdir() if f.name != SCRIPT)
        if others:
            raise Refused(f"{folder} holds {', '.join(others)} too; it was left as it is.")
        if kept.exists():
            raise Refused(f"{kept} is there already.", next_step="move it away, then run the command again")
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / SCRIPT, kept)
        (folder / SCRIPT).unlink()
        folder.rmdir()
        return kept

    def ensure_tracking(self, conn: Connection) -> None:
        """Create the table, and the schema it belongs to, where they are missing."""
        self._tracking.create(conn)

    @contextmanager
    def hold_lock(self, conn: Connection, *, timeout_s: float) -> Iterator[None]:
        """Hold the advisory lock that Prisma's own commands wait for.

        Raises:
            EnvironmentBusy: it was not free in time; names the holder.
        """
        with migration_lock(conn, timeout_s=timeout_s):
            yield

    def apply(self, conn: Connection, revision: Revision, budget: Budget, progress: Progress) -> None:
        """Run one revision and record it; one that is applied is left alone.

        What an attempt that was killed left is finished, when it was ours and the database tells how far
        it came. The caller holds the lock.

        Raises:
            RevisionFailed: a statement failed; the row holds the error.
            HistoryRefused: an earlier attempt is unresolved.
            UnreadableSql: it is not PostgreSQL; nothing was sent.
        """
        apply_revision(conn, self._tracking, revision, budget, progress)

    def baseline(self, conn: Connection, revisions: Sequence[Revision]) -> None:
        """Record revisions as applied, as `prisma migrate resolve --applied` does."""
        self.ensure_tracking(conn)
        self._tracking.record_applied(conn, revisions)

    def mark_rolled_back(self, conn: Connection, name: str) -> None:
        """Settle unresolved rows, as `prisma migrate resolve --rolled-back` does."""
        self._tracking.roll_back(conn, name)

    def record_undone(self, conn: Connection, names: Sequence[str]) -> None:
        """Remove their rows: `prisma migrate status` takes a revision with any row for one that is there."""
        self._tracking.remove(conn, names)

    def down_script(self, revision: str) -> str:
        """What `NAME/down.sql` says, where Prisma's documentation puts it; "" without one."""
        return read_down(self.directory, revision)

    @property
    def _tracking(self) -> TrackingTable:
        return TrackingTable(schema=self.schema, table=self.table)

    def _check_provider(self) -> None:
        if self.schema_file is None or not self.schema_file.exists():
            return
        provider = read_datasource(self.schema_file).provider
        if provider not in {"postgresql", "postgres"}:
            raise ConfigInvalid(
                f"The Prisma schema has the wrong provider: {provider!r}.",
                why=f"{self.schema_file} is for another database; faber-db applies revisions for postgresql.",
                next_step="point the project's schema in faber-db.toml at the one for PostgreSQL",
            )
