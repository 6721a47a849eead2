"""Where snapshots are kept: complete ones by id, and those that are being written apart from them.

Owns names, folders and durability. Refuses to know what is inside a snapshot beyond its manifest.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from faberdb.errors import SnapshotUnusable
from faberdb.snapshot.manifest import Manifest, read_manifest

MANIFEST: Final = "manifest.json"
_PARTIAL: Final = ".partial"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,149}")


def new_snapshot_id(environment: str, now: datetime) -> str:
    """An id that sorts by time within its environment and that nobody else has."""
    return f"{_plain(environment)}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def snapshot_id_of_release(release_id: str) -> str:
    """The one id of a release's snapshot, so that taking it again finds it."""
    return f"{_plain(release_id)}-before"


class SnapshotStore(Protocol):
    """Keeps snapshots. Every method that writes is an ensure."""

    def begin(self, id_: str) -> Path:
        """An empty folder to write a snapshot's files into; what an earlier attempt left is gone."""
        ...

    def commit(self, id_: str, manifest: Manifest) -> None:
        """Make what was written since `begin` durable and complete, its manifest last."""
        ...

    def abandon(self, id_: str) -> None:
        """Remove what was written since `begin`."""
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

    def open(self, id_: str) -> tuple[Manifest, Path]:
        """The manifest, and a local folder with the files. They were not compared (`check_files`)."""
        ...

    def list(self, project: str, environment: str | None = None) -> tuple[Manifest, ...]:
        """The project's snapshots with a readable manifest, newest first."""
        ...

    def delete(self, id_: str) -> None:
        """Remove a snapshot, if it is there."""
        ...

    def free_bytes(self) -> int | None:
        """How much may still be written, or None where nothing bounds it."""
        ...


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A folder with one folder for each snapshot. Only its owner may read it: it holds the data itself."""

    root: Path

    def begin(self, id_: str) -> Path:
        """See `SnapshotStore`."""
        partial = self._partial(id_)
        self.abandon(id_)
        self.root.mkdir(parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)
        return partial

    def commit(self, id_: str, manifest: Manifest) -> None:
        """See `SnapshotStore`."""
        partial = self._partial(id_)
        for place, _, names in os.walk(partial, topdown=False):
            for name in names:
                _sync(Path(place, name))
            _sync(Path(place))
        (partial / MANIFEST).write_text(manifest.to_json())
        _sync(partial / MANIFEST)
        _sync(partial)
        try:
            partial.rename(self._folder(id_))
        except OSError as error:
            if not self.holds(id_):
                raise
            raise SnapshotUnusable(
                f"Another process took the snapshot {id_!r} meanwhile; theirs stands.",
                next_step="run the same command again: it finds it",
            ) from error
        _sync(self.root)

    def abandon(self, id_: str) -> None:
        """See `SnapshotStore`."""
        for left in self.root.glob(f"{self._partial(id_).name}*"):
            _remove(left)

    def holds(self, id_: str) -> bool:
        """See `SnapshotStore`."""
        return self._folder(id_).is_dir()

    def manifest(self, id_: str) -> Manifest:
        """See `SnapshotStore`."""
        try:
            text = (self._folder(id_) / MANIFEST).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise SnapshotUnusable(
                f"There is no snapshot {id_!r}.",
                why=f"{self.root} has none, or it lost its {MANIFEST}.",
                next_step="faber-db snapshots",
            ) from None
        except PermissionError as error:
            raise SnapshotUnusable(
                f"The snapshot {id_!r} may not be read.",
                why=str(error),
                next_step="run as the user who took it, or correct the folder's rights",
            ) from None
        return read_manifest(text, snapshot=id_)

    def open(self, id_: str) -> tuple[Manifest, Path]:
        """See `SnapshotStore`."""
        return self.manifest(id_), self._folder(id_)

    def list(self, project: str, environment: str | None = None) -> tuple[Manifest, ...]:
        """See `SnapshotStore`."""
        found = []
        for folder in self.root.glob(f"*/{MANIFEST}"):
            # One damaged manifest must not hide the good ones; asked for by its id it says what it has.
            with contextlib.suppress(SnapshotUnusable):
                found.append(self.manifest(folder.parent.name))
        ours = [m for m in found if m.project == project and environment in {None, m.environment}]
        return tuple(sorted(ours, key=lambda m: (m.created_at, m.id), reverse=True))

    def delete(self, id_: str) -> None:
        """See `SnapshotStore`."""
        self.abandon(id_)
        with contextlib.suppress(FileNotFoundError):  # it is gone already
            # Killed while it is removed, it must not look complete.
            self._folder(id_).rename(self._partial(id_))
        self.abandon(id_)

    def free_bytes(self) -> int | None:
        """See `SnapshotStore`."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def _folder(self, id_: str) -> Path:
        return self.root / _checked(id_)

    def _partial(self, id_: str) -> Path:
        return self.root / f"{_checked(id_)}{_PARTIAL}"


def _checked(id_: str) -> str:
    if not _ID.fullmatch(id_) or id_.endswith(_PARTIAL):
        raise SnapshotUnusable(
            f"{id_!r} is no snapshot's id.",
            why="An id has letters, digits, dots, dashes and underscores, and begins with a letter or digit.",
            next_step="faber-db snapshots",
        )
    return id_


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip("._-")[:120] or "snapshot"


def _remove(folder: Path) -> None:
    """Remove a folder that a pg_dump without a parent may still be writing into, by its path."""
    away = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}{_PARTIAL}")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(away)
        shutil.rmtree(away)


def _sync(path: Path) -> None:
    """Make a file, or a folder's list of names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
