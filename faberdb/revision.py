"""One migration as its tool knows it, and the states a tool's tracking table can put it in."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Revision(Struct, frozen=True, kw_only=True):
    """A migration on disk. Order in a list is the order of application."""

    name: str  # the tool's own name for it, such as Prisma's folder name
    checksum: str  # hex, computed as the tool computes it over the bytes on disk
    script: str  # the SQL text


class Standing(StrEnum):
    """Where a tracked revision stands."""

    APPLIED = "applied"
    STARTED = "started"  # begun, with neither an end nor an error: a process died here
    FAILED = "failed"  # begun, with an error on record, unresolved
    ROLLED_BACK = "rolled back"

    @property
    def unresolved(self) -> bool:
        """Whether it was begun, has not ended well, and nobody settled it."""
        return self in {Standing.STARTED, Standing.FAILED}


class TrackedRevision(Struct, frozen=True, kw_only=True):
    """A row of the tool's tracking table."""

    name: str
    checksum: str
    standing: Standing
    started_at: datetime
    finished_at: datetime | None
    logs: str = ""
