"""How far a transfer is, who is told, and when it has to be over; and the requests that make it, a few at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Final

from faberdb.errors import Transient
from faberdb.progress import Progress

_BETWEEN_NOTES_S: Final = 3.0


@dataclass(slots=True, kw_only=True)
class Transfer:
    """One upload or download as a whole. Told from several threads, it tells one at a time."""

    verb: str  # "uploaded", "downloaded"
    total: int  # bytes
    progress: Progress
    deadline: float  # of time.monotonic()
    done: int = 0
    _noted_at: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, size: int) -> None:
        """So many bytes more arrived.

        Raises:
            Transient: the time for the whole is over.
        """
        self.check_time()
        with self._lock:
            self.done += size
            now = time.monotonic()
            if now - self._noted_at >= _BETWEEN_NOTES_S:
                self._noted_at = now
                self.progress(f"{self.verb} {mib(self.done)} of {mib(self.total)}")

    def check_time(self) -> None:
        """Law 8, for a connection that is slow and never silent.

        Raises:
            Transient: the time for the whole is over.
        """
        if time.monotonic() > self.deadline:
            raise Transient(
                f"The time was over when {mib(self.done)} of {mib(self.total)} were {self.verb}.",
                why="[backup] timeout_seconds bounds it.",
                next_step="run the same command again: it goes on with what is there",
            )


def all_of(work: Iterable[Callable[[], Any]], *, at_once: int) -> None:
    """Run all of it, some at once; the first error ends it and is raised when what was begun has ended."""
    pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="transfer")
    try:
        futures: list[Future[Any]] = [pool.submit(each) for each in work]
        ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failed = next((f.exception() for f in ended if f.exception() is not None), None)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if failed is not None:
        raise failed


def mib(size: int) -> str:
    """As people read it."""
    return f"{size / (1 << 20):,.1f} MiB"
