"""A second session that looks at the locks of all others in the copy, for what tells nothing of itself."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

import psycopg

from faberdb.connection import Connection, connect_beside
from faberdb.errors import FaberError

_EVERY_S: Final = 0.005
_LATER_S: Final = 0.05  # once it goes on for long, an end is known well enough
_OFTEN: Final = 500  # looks at the first rate
_CONNECT_S: Final = 10
_SHARE: Final = 4  # of the time, one in so many is spent looking: thousands of locks take their time to list

_QUERY: Final = """
SELECT l.relation::int8, l.mode, l.pid, extract(epoch FROM clock_timestamp())::float8 FROM pg_locks l
WHERE l.locktype = 'relation' AND l.granted AND l.relation >= 16384 AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid IN (SELECT pid FROM pg_stat_get_activity(NULL) WHERE backend_type = 'client backend')
"""


@dataclass(slots=True, kw_only=True)
class Sample:
    """A lock that was seen at several looks running."""

    relation: int  # its oid
    mode: str  # as pg_locks spells it
    first: float  # by the server's clock, seconds since 1970
    last: float


class Sampler:
    """Looks while it is entered. A look that fails is the last: the rehearsal matters more."""

    def __init__(self, conn: Connection) -> None:
        self.samples: list[Sample] = []
        self._conn = conn
        self._looks = 0
        self._end = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faber-db witness", daemon=True)

    def restart(self) -> None:
        """Forget what was seen, and look often again."""
        self.samples.clear()
        self._looks = 0

    def __enter__(self) -> Sampler:
        self._thread.start()
        self._ready.wait(_CONNECT_S)  # what runs meanwhile would not be seen
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            with connect_beside(self._conn, purpose="witness") as other:
                held: dict[tuple[int, str, int], Sample] = {}
                self._ready.set()
                took = 0.0
                while not self._end.wait(max(_EVERY_S if self._looks < _OFTEN else _LATER_S, _SHARE * took)):
                    self._looks += 1
                    began = time.monotonic()
                    held = self._look(other, held)
                    took = time.monotonic() - began
        except (psycopg.Error, FaberError):
            return
        finally:
            self._ready.set()

    def _look(
        self, other: Connection, held: dict[tuple[int, str, int], Sample]
    ) -> dict[tuple[int, str, int], Sample]:
        now: dict[tuple[int, str, int], Sample] = {}
        for relation, mode, pid, at in other.execute(_QUERY):
            key = relation, mode, pid
            sample = held.get(key)
            if sample is None:
                sample = Sample(relation=relation, mode=mode, first=at, last=at)
                self.samples.append(sample)
            sample.last = at
            now[key] = sample
        return now
