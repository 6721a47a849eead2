"""A snapshot's manifest: what it holds, of what, taken when, by whom asked, and how to know it is whole.

Owns the values and their JSON. Refuses to know where snapshots are kept or how one is made. The layout is
described in docs/reference/snapshots.md, and a change of it raises FORMAT_VERSION. Older formats are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

from msgspec import DecodeError, Meta, Struct, field, json, to_builtins

from faberdb.canonical import canonical_json
from faberdb.errors import SnapshotUnusable
from faberdb.snapshot.contents import Checksum

FORMAT_VERSION: Final = 2
_READ: Final = (1, FORMAT_VERSION)

Count = Annotated[int, Meta(ge=0)]


class FileFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to recognise one file of the snapshot."""

    bytes: Count
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class SnapshotKind(StrEnum):
    """What keeps the rows."""

    DUMP = "dump"  # an archive of pg_dump among the snapshot's files
    TEMPLATE = "template"  # a closed copy of the database on its own server


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is known of one snapshot. Written last, so that a folder with one is complete."""

    format_version: int = FORMAT_VERSION
    id: str
    project: str
    environment: str
    database: str
    created_at: Annotated[datetime, Meta(tz=True)]  # UTC, by our clock, when its transaction began
    server_version: Annotated[int, Meta(ge=90000)]  # as PostgreSQL numbers itself, such as 180006
    client_version: str  # of the pg_dump that wrote it
    label: str
    reason: str
    retention_days: Annotated[int, Meta(ge=1)]
    revisions: tuple[str, ...]  # applied, in order
    tracking_tables: tuple[str, ...]  # unqualified names that the fingerprint leaves out
    schema_fingerprint: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    roles: tuple[str, ...]  # that own or were granted something in it; a dump does not hold them
    row_counts: Mapping[str, Count]
    files: Mapping[str, FileFacts]  # by path relative to the snapshot, with "/"
    release_id: str | None
    # Since format 2:
    kind: SnapshotKind = SnapshotKind.DUMP
    copy: str = ""  # the database that holds a template snapshot's rows
    compression: str = "gzip"  # of the archive: "gzip" or "zstd"; "" without one
    checksums: Mapping[str, Checksum] = field(default_factory=dict)  # by table, as policy wanted them
    # The last value before and after the dump, for sequences belong to no transaction; None: none given yet.
    sequences: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(f.bytes for f in self.files.values())

    @property
    def kept_until(self) -> datetime:
        """When its retention is over; prune may remove it after."""
        return self.created_at + timedelta(days=self.retention_days)

    def to_json(self) -> str:
        """The canonical JSON: equal manifests give equal text."""
        return canonical_json(to_builtins(self))


class _Format(Struct, frozen=True):
    format_version: int


def read_manifest(text: str | bytes, *, snapshot: str) -> Manifest:
    """Read a manifest's JSON.

    Args:
        text: the file's content.
        snapshot: the id under which it was found, to name in an error.

    Raises:
        SnapshotUnusable: it is damaged, of an unknown format, or another snapshot's.
    """
    try:
        version = json.decode(text, type=_Format).format_version
        if version not in _READ:
            known = " and ".join(map(str, _READ))
            why = f"its manifest has format {version}; this version of faber-db reads {known}"
            raise _unusable(snapshot, why)
        manifest = json.decode(text, type=Manifest)
    except DecodeError as error:
        raise _unusable(snapshot, f"its manifest is damaged: {error}") from None
    if manifest.id != snapshot:
        raise _unusable(
            snapshot, f"its manifest is that of {manifest.id!r}: the folder was renamed or mixed up"
        )
    return manifest


def _unusable(snapshot: str, why: str) -> SnapshotUnusable:
    return SnapshotUnusable(
        f"The snapshot {snapshot!r} cannot be used.",
        why=why[0].upper() + why[1:] + ".",
        next_step="choose another: faber-db snapshots",
    )
