"""What a store of snapshots can do, whether it is a folder or far away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from faberdb.progress import Progress, silent
from faberdb.snapshot.manifest import Manifest


class Unfinished(Struct, frozen=True, kw_only=True):
    """What was begun and is no snapshot, or what was fetched and left."""

    id: str
    at: datetime  # when something of it was written last
    resumable: bool  # `finish` can go on with it


class SnapshotStore(Protocol):
    """Keeps snapshots. Every method that writes is an ensure."""

    def begin(self, id_: str) -> Path:
        """An empty local folder to write a snapshot's files into; what an earlier attempt left is gone."""
        ...

    def commit(self, id_: str, manifest: Manifest, *, progress: Progress = silent) -> None:
        """Make what was written since `begin` durable and complete, its manifest last.

        Raises:
            Transient: the store is away. What was written is kept; `finish` goes on with it.
            SnapshotUnusable: another process took a snapshot of this id meanwhile.
        """
        ...

    def finish(self, id_: str, *, progress: Progress = silent) -> bool:
        """Go on with a commit that died or was cut off on this machine; whether there was one.

        Raises:
            Transient, SnapshotUnusable: as `commit`.
        """
        ...

    def abandon(self, id_: str) -> None:
        """Remove what was written since `begin`; what is complete stays."""
        ...

    def unfinished(self) -> tuple[Unfinished, ...]:
        """What `abandon` would remove, the oldest first. It may be at work still."""
        ...

    def resumable(self, id_: str) -> bool:
        """Whether `finish` can go on with a snapshot here."""
        ...

    def holds(self, id_: str) -> bool:
        """Whether there is a complete snapshot of this id."""
        ...

    def manifest(self, id_: str) -> Manifest:
        """A complete snapshot's manifest.

        Raises:
            SnapshotUnusable: missing, damaged, of an unknown format or another snapshot's.
        """
        ...

    def sizes(self, id_: str) -> Mapping[str, int]:
        """The bytes of each file that is there, but the manifest, by its name in the snapshot."""
        ...

    def read(self, id_: str, name: str) -> Iterator[bytes]:
        """One file's content, piece by piece; not compared with the manifest.

        Raises:
            SnapshotUnusable: it is missing.
        """
        ...

    def opened(
        self, id_: str, *, progress: Progress = silent
    ) -> AbstractContextManager[tuple[Manifest, Path]]:
        """The manifest and a local folder, to read only, with every file as the manifest names it.

        Raises:
            SnapshotUnusable: missing, truncated, corrupt or mixed up; names the file.
            Refused: there is no room for the files here; nothing was written.
            Transient: the store is away.
        """
        ...

    def list(self, project: str, environment: str | None = None) -> tuple[Manifest, ...]:
        """The project's snapshots with a readable manifest, newest first."""
        ...

    def delete(self, id_: str) -> None:
        """Remove a snapshot, if it is there."""
        ...

    def free_bytes(self) -> int | None:
        """How much may still be written into the folder of `begin`, or None where nothing bounds it."""
        ...
