"""Snapshots in a folder of this machine, or one that it has mounted.

Owns folders and durability. Refuses to know what is inside a snapshot beyond its manifest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from msgspec import Struct

from faberdb.errors import SnapshotUnusable
from faberdb.progress import Progress, silent
from faberdb.snapshot.files import MANIFEST, check_folder, sizes_in, unusable
from faberdb.snapshot.manifest import Manifest, read_manifest
from faberdb.snapshot.store.ids import PARTIAL, checked_id
from faberdb.snapshot.store.protocol import Unfinished
from faberdb.snapshot.store.scratch import last_written, remove_folder

_PIECE: Final = 1 << 20  # bytes read at a time
_SYNCS_AT_ONCE: Final = 8  # measured on thousands of small files: a third of the time of one after the other


class LocalStore(Struct, frozen=True):
    """A folder with one folder for each snapshot. Only its owner may read it: it holds the data itself."""

    root: Path

    def begin(self, id_: str) -> Path:
        """See `SnapshotStore`."""
        partial = self._partial(id_)
        self.abandon(id_)
        self.root.mkdir(parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)
        return partial

    def commit(self, id_: str, manifest: Manifest, *, progress: Progress = silent) -> None:
        """See `SnapshotStore`."""
        partial = self._partial(id_)
        _sync_all(partial)
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

    def finish(self, id_: str, *, progress: Progress = silent) -> bool:
        """See `SnapshotStore`. A commit here is one rename: there is nothing to go on with."""
        return False

    def abandon(self, id_: str) -> None:
        """See `SnapshotStore`."""
        for left in self.root.glob(f"{self._partial(id_).name}*"):
            remove_folder(left)

    def unfinished(self) -> tuple[Unfinished, ...]:
        """See `SnapshotStore`."""
        found = []
        for folder in self.root.glob(f"*{PARTIAL}"):
            with contextlib.suppress(FileNotFoundError):
                id_ = folder.name.removesuffix(PARTIAL)
                found.append(Unfinished(id=id_, at=last_written(folder), resumable=False))
        return tuple(sorted(found, key=lambda u: (u.at, u.id)))

    def resumable(self, id_: str) -> bool:
        """See `SnapshotStore`."""
        return False

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

    def sizes(self, id_: str) -> Mapping[str, int]:
        """See `SnapshotStore`."""
        return sizes_in(self._folder(id_))

    def read(self, id_: str, name: str) -> Iterator[bytes]:
        """See `SnapshotStore`."""
        try:
            with (self._folder(id_) / name).open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece
        except FileNotFoundError:
            raise unusable(self.manifest(id_), f"the file {name} is missing") from None

    @contextlib.contextmanager
    def opened(self, id_: str, *, progress: Progress = silent) -> Iterator[tuple[Manifest, Path]]:
        """See `SnapshotStore`. The folder is the snapshot's own."""
        manifest, folder = self.manifest(id_), self._folder(id_)
        check_folder(manifest, folder)
        yield manifest, folder

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
        return self.root / checked_id(id_)

    def _partial(self, id_: str) -> Path:
        return self.root / f"{checked_id(id_)}{PARTIAL}"


def _sync(path: str | Path) -> None:
    """Make a file, or a folder's list of names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_all(folder: Path) -> None:
    """The same for all that is in a folder. What is asked for at once, the disk does together."""
    with ThreadPoolExecutor(_SYNCS_AT_ONCE, thread_name_prefix="sync") as pool:
        for place, _, names in os.walk(folder, topdown=False):
            for _ in pool.map(_sync, (os.path.join(place, name) for name in names)):
                pass  # what failed is raised here
            _sync(place)
