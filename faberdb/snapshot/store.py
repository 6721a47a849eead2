"""Where snapshots are kept: one folder each, complete or not there.

A snapshot is written under `<id>.partial` and renamed when everything is on disk, so that whoever sees it
under its own name sees all of it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from faberdb.errors import SnapshotUnusable
from faberdb.snapshot.manifest import Manifest, manifest_from_text, manifest_to_text

MANIFEST = "manifest.json"
DUMP = "dump"


class SnapshotStore(Protocol):
    """Keeps snapshots by id."""

    def has(self, id_: str) -> bool:
        """Whether a complete snapshot of that id is there."""
        ...

    def begin(self, id_: str) -> Path:
        """A new folder to dump into; what an earlier try of the same id left is removed."""
        ...

    def abandon(self, id_: str) -> None:
        """Remove what a failed try left."""
        ...

    def commit(self, id_: str, manifest: Manifest) -> None:
        """Make the dump of `begin` a snapshot, durably."""
        ...

    def manifest(self, id_: str) -> Manifest:
        """A snapshot's manifest.

        Raises:
            SnapshotUnusable: missing or damaged.
        """
        ...

    def folder(self, id_: str) -> Path:
        """The folder of a snapshot's dump."""
        ...

    def list(self, project: str, environment: str | None = None) -> list[Manifest]:
        """A project's snapshots, newest first; damaged ones are left out."""
        ...


@dataclass(frozen=True, slots=True)
class LocalStore:
    """Snapshots in a folder of this machine, readable by their owner only."""

    root: Path

    def has(self, id_: str) -> bool:
        """Whether a complete snapshot of that id is there."""
        return (self._place(id_) / MANIFEST).is_file()

    def begin(self, id_: str) -> Path:
        """A new folder for `pg_dump`, which makes it by itself."""
        self.abandon(id_)
        partial = self._partial(id_)
        partial.mkdir(parents=True, mode=0o700)
        return partial / DUMP

    def abandon(self, id_: str) -> None:
        """Remove what a failed try left."""
        shutil.rmtree(self._partial(id_), ignore_errors=True)

    def commit(self, id_: str, manifest: Manifest) -> None:
        """Write the manifest, flush everything, and give the folder its own name."""
        partial = self._partial(id_)
        (partial / MANIFEST).write_text(manifest_to_text(manifest), encoding="utf-8")
        for path in sorted(partial.rglob("*"), reverse=True):
            _flush(path)
        _flush(partial)
        partial.rename(self._place(id_))
        _flush(self.root)

    def manifest(self, id_: str) -> Manifest:
        """A snapshot's manifest."""
        try:
            text = (self._place(id_) / MANIFEST).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise SnapshotUnusable(
                f"There is no snapshot {id_!r} in {self.root}.", next_step="faber-db snapshots"
            ) from None
        except UnicodeDecodeError:
            raise SnapshotUnusable(f"The manifest of snapshot {id_} is damaged.") from None
        return manifest_from_text(text, source=id_)

    def folder(self, id_: str) -> Path:
        """The folder of a snapshot's dump."""
        return self._place(id_) / DUMP

    def list(self, project: str, environment: str | None = None) -> list[Manifest]:
        """A project's snapshots, newest first; damaged ones are left out."""
        found = []
        for path in self.root.glob(f"*/{MANIFEST}"):
            try:
                manifest = self.manifest(path.parent.name)
            except SnapshotUnusable:  # named when somebody asks for it; a list is no place to fail
                continue
            if manifest.project == project and environment in {None, manifest.environment}:
                found.append(manifest)
        return sorted(found, key=lambda m: m.created_at, reverse=True)

    def _place(self, id_: str) -> Path:
        if not id_ or "/" in id_ or id_.startswith("."):
            raise SnapshotUnusable(f"{id_!r} is not a snapshot's id.", next_step="faber-db snapshots")
        return self.root / id_

    def _partial(self, id_: str) -> Path:
        place = self._place(id_)
        return place.with_name(f"{place.name}.partial")


def new_snapshot_id(environment: str, now: datetime) -> str:
    """An id that sorts by time within an environment."""
    return f"{environment}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def snapshot_id_of_release(release: str) -> str:
    """The id of a release's own snapshot: a replay asks for the same one."""
    return f"{release}-snapshot"


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
