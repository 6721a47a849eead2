"""What a migration tool is to faber-db."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

from faberdb.budget import Budget
from faberdb.connection import Connection
from faberdb.progress import Progress
from faberdb.revision import Revision, TrackedRevision


class MigrationTool(Protocol):
    """Reads a project's revisions, and reads and writes the tool's own tracking table.

    Every method that writes is an ensure: calling it again after it succeeded changes nothing.
    """

    @property
    def name(self) -> str:
        """The tool's name in the configuration."""
        ...

    @property
    def tracking_tables(self) -> tuple[str, ...]:
        """Unqualified names of the tables that hold the tool's bookkeeping, not the application's data."""
        ...

    def revisions(self) -> tuple[Revision, ...]:
        """The revisions on disk, in order of application.

        Raises:
            HistoryRefused, UnreadableSql, ConfigInvalid: the directory cannot be used; says which file.
        """
        ...

    def write_revision(self, name: str, script: str) -> Path:
        """Write a new revision's file, and nothing into any database.

        Raises:
            Refused: there is one of this name.
        """
        ...

    def withdraw_revision(self, name: str, keep: Path) -> Path:
        """Move a revision out of the tool's sight, into a folder that keeps its script; the kept file.

        Raises:
            Refused: it is not alone in its place, or the folder has another script of its name.
        """
        ...

    def tracked(self, conn: Connection) -> tuple[TrackedRevision, ...]:
        """The tracking table's rows, oldest first; empty where there is no table."""
        ...

    def ensure_tracking(self, conn: Connection) -> None:
        """Create the tracking table where it is missing."""
        ...

    def hold_lock(self, conn: Connection, *, timeout_s: float) -> AbstractContextManager[None]:
        """Hold the tool's own migration lock, so that the tool itself cannot run meanwhile.

        Raises:
            EnvironmentBusy: it was not free in time; names the holder.
        """
        ...

    def apply(self, conn: Connection, revision: Revision, budget: Budget, progress: Progress) -> None:
        """Run one revision and record it exactly as the tool would.

        Raises:
            RevisionFailed: a statement failed; the tracking table holds the error as the tool writes it.
        """
        ...

    def baseline(self, conn: Connection, revisions: Sequence[Revision]) -> None:
        """Record revisions as applied without running them."""
        ...

    def mark_rolled_back(self, conn: Connection, name: str) -> None:
        """Settle a failed or unfinished revision whose effects are known to be gone."""
        ...

    def record_undone(self, conn: Connection, names: Sequence[str]) -> None:
        """Forget revisions whose effects were taken back, so that they are pending again.

        Works in the caller's transaction.
        """
        ...


@runtime_checkable
class Reversible(Protocol):
    """A tool whose revisions may bring the script that takes them back."""

    def down_script(self, revision: str) -> str:
        """The SQL that takes one revision back, "" where it brings none.

        Raises:
            UnreadableSql: it is not UTF-8.
        """
        ...
