"""The local folder of a store far away: what is dumped and not there yet, and what is fetched from it.

A fetched snapshot is locked by whoever fetches it, then shared by all who read it, and removed by the last.
What a killed process left is found by the next, which goes on with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from faberdb.errors import EnvironmentBusy, Transient
from faberdb.snapshot.store.ids import PARTIAL

_FETCHED: Final = ".fetched"
_WAIT_S: Final = 0.5


class Scratch(Struct, frozen=True):
    """Owned by one project on one machine. Only its owner may read it: it holds the data itself."""

    root: Path

    def partial(self, id_: str) -> Path:
        """The folder of a snapshot that is being taken."""
        return self.root / f"{id_}{PARTIAL}"

    def begin(self, id_: str) -> Path:
        """The same, empty."""
        remove_folder(self.partial(id_))
        return _private(self.partial(id_))

    @contextlib.contextmanager
    def alone(self, id_: str) -> Iterator[Path]:
        """Hold the folder of a snapshot that is being sent.

        Raises:
            EnvironmentBusy: another process sends it.
        """
        folder = self.partial(id_)
        handle = os.open(folder, os.O_RDONLY)
        try:
            if not _lock(handle, fcntl.LOCK_EX):
                raise EnvironmentBusy(
                    f"Another process is at work on the snapshot {id_!r}.",
                    next_step="wait for it, then run the same command again",
                )
            yield folder
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def fetched(self, id_: str, fetch: Callable[[Path], None], *, wait_s: float) -> Iterator[Path]:
        """A folder that `fetch` filled, now or for another process that still reads it.

        Args:
            id_: the snapshot's.
            fetch: fills the folder; it may hold what an earlier attempt fetched.
            wait_s: how long another process may take that is fetching it now.

        Raises:
            EnvironmentBusy: it took longer.
        """
        folder = self.root / f"{id_}{_FETCHED}"
        handle = _claimed(folder, fetch, time.monotonic() + wait_s)
        try:
            yield folder
        finally:
            if _lock(handle, fcntl.LOCK_EX):  # nobody else reads it
                shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)

    def remove(self, id_: str) -> None:
        """Remove what is here of a snapshot, but what somebody reads or fetches."""
        remove_folder(self.partial(id_))
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(self.root / f"{id_}{_FETCHED}", os.O_RDONLY)
            if _lock(handle, fcntl.LOCK_EX):
                remove_folder(self.root / f"{id_}{_FETCHED}")
            os.close(handle)

    def left(self) -> Iterator[tuple[str, datetime]]:
        """What was begun and is not over: the snapshot's id, and when something was written last."""
        for ending in (PARTIAL, _FETCHED):
            for folder in self.root.glob(f"*{ending}"):
                with contextlib.suppress(FileNotFoundError):
                    yield folder.name.removesuffix(ending), last_written(folder)

    def free_bytes(self) -> int:
        """How much may still be written."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free


def _claimed(folder: Path, fetch: Callable[[Path], None], deadline: float) -> int:
    """A lock that is shared on a folder that is filled."""
    while True:
        handle = os.open(_private(folder), os.O_RDONLY)
        try:
            if _lock(handle, fcntl.LOCK_EX):
                fetch(folder)
                _lock(handle, fcntl.LOCK_SH)
                return handle
            if _lock(handle, fcntl.LOCK_SH) and _is_still(folder, handle):
                return handle
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, Transient):
                shutil.rmtree(folder, ignore_errors=True)  # nothing to go on with
            os.close(handle)
            raise
        os.close(handle)
        if time.monotonic() > deadline:
            raise EnvironmentBusy(
                f"Another process is still fetching {folder.name.removesuffix(_FETCHED)!r}.",
                next_step="wait for it, then run the same command again",
            )
        time.sleep(_WAIT_S)


def _is_still(folder: Path, handle: int) -> bool:
    """Whether the folder of that name is the one that was opened: the last reader removes it."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _private(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder that a pg_dump without a parent may still be writing into, by its path."""
    away = folder.with_name(f"{folder.name}.{os.urandom(4).hex()}{PARTIAL}")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(away)
        shutil.rmtree(away)


def last_written(folder: Path) -> datetime:
    """When something in it was written last."""
    return datetime.fromtimestamp(max(p.stat().st_mtime for p in (folder, *folder.rglob("*"))), UTC)
