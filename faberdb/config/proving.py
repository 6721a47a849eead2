"""What a snapshot has to show before it is relied on, in the words of the configuration."""

from __future__ import annotations

from enum import StrEnum


class SnapshotProof(StrEnum):
    """How a snapshot is proven before the first statement of the release that it was taken for."""

    MANIFEST = "manifest"  # every file's checksum, and the archive's listing
    RECENT = "recent"  # and another snapshot of the same schema was restored and compared not long ago
    RESTORE = "restore"  # restored beside: schema, rows and checksums equal


class Checksums(StrEnum):
    """Of which rows' content a snapshot keeps a checksum for each table."""

    NONE = "none"
    SAMPLE = "sample"  # every row of small tables, one of 64 of large ones with a primary key
    FULL = "full"
