"""What went over one connection, in order: which statement each result and each message belongs to.

libpq's own trace says it, so that whoever runs the statements need not help. PostgreSQL gives no clock time
per statement of a round trip; the trace has the client's, for whole round trips.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import psycopg

from faberdb.connection import Connection

# One pattern for both directions: looking for each apart would read the rest of a long trace again and again.
_LINE: Final = re.compile(
    rb"^(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6})\t"
    rb'(?:F\t(?P<bytes>\d+)\t(?:(?P<query>Query)\t "|(?P<execute>Execute)\t)'
    rb'|B\t\d+\t(?:CommandComplete\t "(?P<tag>[^"\n]*)"'
    rb"|(?P<other>NoticeResponse|ErrorResponse|ReadyForQuery)\t))",
    re.MULTILINE,
)


@dataclass(slots=True, kw_only=True)
class RoundTrip:
    """One message and what came back of it."""

    text: str  # "" where it went by the extended protocol
    sent: float  # by our clock, seconds since 1970
    ready: float
    parts: list[tuple[str, str]] = field(default_factory=list)  # done and its tag, notice, error; in order


class Tape:
    """Records a connection."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    @contextmanager
    def recording(self, trips: list[RoundTrip]) -> Iterator[None]:
        """At the end the list is filled; it stays as it is where the platform cannot record."""
        with tempfile.TemporaryFile() as file:
            try:
                self._conn.pgconn.trace(file.fileno())
            except psycopg.NotSupportedError:  # libpq on a platform where its FILE is not ours
                yield
                return
            try:
                yield
            finally:
                if not self._conn.closed:
                    self._conn.pgconn.untrace()
                file.seek(0)
                trips.extend(read_trace(file.read()))


def read_trace(trace: bytes) -> Iterator[RoundTrip]:
    """The round trips of a trace."""
    place, trip = 0, None
    while line := _LINE.search(trace, place):
        place = line.end()
        at = _seconds(line["at"])
        if line["bytes"]:
            if trip is not None:
                yield trip
            text = b""
            if line["query"]:
                text = trace[
                    place : place + int(line["bytes"]) - 5
                ]  # without the length's and the end's bytes
                place += len(text)
            trip = RoundTrip(text=text.decode(errors="replace"), sent=at, ready=at)
        elif trip is not None:
            trip.ready = at
            if line["tag"] is not None:
                trip.parts.append(("done", line["tag"].decode(errors="replace")))
            elif line["other"] != b"ReadyForQuery":
                trip.parts.append(("notice" if line["other"] == b"NoticeResponse" else "error", ""))
    if trip is not None:
        yield trip


def _seconds(stamp: bytes) -> float:
    whole, _, part = stamp.decode().partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%d %H:%M:%S")) + float(f"0.{part}")
