"""What a snapshot says of itself: enough to know later that it is whole, and whose it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from faberdb.errors import SnapshotUnusable

FORMAT_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file of the dump."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A snapshot's description. Counts and fingerprint are of the same moment as the dump."""

    format_version: int
    id: str
    project: str
    environment: str
    database: str
    created_at: datetime  # UTC
    server_version: int  # as the server numbers it: 180006
    client_version: str  # what pg_dump says of itself
    label: str
    reason: str
    retention_days: int
    revisions: tuple[str, ...]  # applied, oldest first
    schema_fingerprint: str  # the tool's own tables left out
    row_counts: Mapping[str, int]  # by schema-qualified table
    files: Mapping[str, FileRecord]  # by name within the dump's folder
    release_id: str | None

    @property
    def bytes(self) -> int:
        """The dump's size on disk."""
        return sum(f.bytes for f in self.files.values())


_ADAPTER: Final[TypeAdapter[Manifest]] = TypeAdapter(Manifest)


def manifest_to_text(manifest: Manifest) -> str:
    """As `manifest.json` holds it."""
    value: dict[str, Any] = _ADAPTER.dump_python(manifest, mode="json")
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def manifest_from_text(text: str, *, source: str) -> Manifest:
    """Read `manifest.json`.

    Raises:
        SnapshotUnusable: it is damaged, or written by a newer faber-db.
    """
    try:
        raw = json.loads(text)
        version = raw["format_version"]
        if version != FORMAT_VERSION:
            raise SnapshotUnusable(
                f"Snapshot {source} has manifest format {version}, and this faber-db reads {FORMAT_VERSION}.",
                next_step="use the version of faber-db that took it",
            )
        return _ADAPTER.validate_python(raw)
    except (json.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise SnapshotUnusable(
            f"The manifest of snapshot {source} is damaged.", why=str(error).splitlines()[0]
        ) from None
