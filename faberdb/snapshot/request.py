"""What a snapshot is asked for: its id, whose it is, why, and for how long."""

from __future__ import annotations

from msgspec import Struct

from faberdb.config.proving import Checksums


class SnapshotRequest(Struct, frozen=True, kw_only=True):
    """The facts that only the caller knows; the rest of a manifest is measured."""

    id: str
    project: str
    environment: str
    label: str = ""
    reason: str = ""
    retention_days: int
    revisions: tuple[str, ...] = ()  # names that the tool's tracking table has as applied, in order
    tracking_tables: tuple[str, ...] = ()  # unqualified names that the schema's fingerprint leaves out
    release_id: str | None = None  # the release that it was taken for
    checksums: Checksums = Checksums.SAMPLE  # of which rows' content
