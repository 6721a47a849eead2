"""Who runs the Prefect of a folder, and who else uses it: file locks, which the kernel frees when a process dies.

A command that finds another's Prefect uses it, and the other does not end it from under that command.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from faberdb.progress import Progress

_LOOK_EVERY_S = 0.2


@contextlib.contextmanager
def owning(home: Path) -> Iterator[bool]:
    """Become the one that runs the Prefect of this folder, until the block ends; gives whether we are."""
    with _locked(home / "stack.owner", fcntl.LOCK_EX) as ours:
        yield ours


@contextlib.contextmanager
def using(home: Path) -> Iterator[bool]:
    """Keep the owner from ending it, until the block ends; gives False when it is being ended already."""
    with _locked(home / "stack.users", fcntl.LOCK_SH) as in_time:
        yield in_time


@contextlib.contextmanager
def unused(home: Path, progress: Progress) -> Iterator[None]:
    """Wait until no other command uses it, then keep new ones away until the block ends.

    The others' own time-outs bound the wait; Ctrl-C ends it.
    """
    told = False
    while True:
        with _locked(home / "stack.users", fcntl.LOCK_EX) as alone:
            if alone:
                yield
                return
        if not told:
            progress("waiting for another command that uses this Prefect")
            told = True
        time.sleep(_LOOK_EVERY_S)


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[bool]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:  # not inherited: programs that we start do not hold it
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
