"""Watching one session of a copy while a plan's steps run on it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType

import psycopg
from psycopg.errors import Diagnostic

from faberdb.connection import Connection
from faberdb.plan import Step
from faberdb.witness.account import account_of
from faberdb.witness.course import Ran, course_of, course_of_looks
from faberdb.witness.install import Means, begin_step, install, told_by_others
from faberdb.witness.looks import Elapsed, Look, look_of, read_message
from faberdb.witness.relations import Relations, read_oids, read_relations
from faberdb.witness.sampler import Sampler
from faberdb.witness.seen import Witnessed
from faberdb.witness.wire import RoundTrip, Tape


class Witness:
    """Enter it before the first step, and run each step within `watching`.

    It changes nothing that a migration could see, but for its own schema in a copy that is thrown away.
    """

    def __init__(self, conn: Connection, *, tracking: Sequence[str], schema: str) -> None:
        self.seen: list[Witnessed] = []
        self.means = Means.SAMPLES
        self.why_not_better = ""
        self._conn = conn
        self._tracking = list(tracking)
        self._schema = schema
        self._messages: list[Look | Elapsed | None] = []
        self._stack = ExitStack()
        self._known: Relations = {}
        self._own: frozenset[int] = frozenset()
        self._ahead = self._since = 0.0

    def __enter__(self) -> Witness:
        self._known = self._relations()
        self._own = read_oids(self._conn, schema=self._schema, tables=self._tracking)
        self.means, self.why_not_better = install(self._conn, self._tracking, schema=self._schema)
        self._conn.add_notice_handler(self._hear)
        self._sampler = self._stack.enter_context(Sampler(self._conn))
        self._ahead = self._clock_ahead()
        self._since = time.time() + self._ahead
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._conn.remove_notice_handler(self._hear)
        if self.means is Means.EVENTS and not self._conn.closed:
            with suppress(psycopg.Error):
                self._conn.execute(
                    "RESET log_executor_stats; RESET client_min_messages; RESET log_min_messages"
                )

    @contextmanager
    def watching(self, step: Step) -> Iterator[None]:
        """What runs inside is the step; what was seen is kept also when it fails."""
        before = self._relations()
        with suppress(psycopg.Error):  # a script took the witness away, as DISCARD ALL may
            begin_step(self._conn, self.means)
        self._messages.clear()
        self._sampler.restart()
        trips: list[RoundTrip] = []
        try:
            with Tape(self._conn).recording(trips):
                yield
        finally:
            course = self._course(trips) + self._others()
            samples = list(self._sampler.samples)
            self.seen += account_of(
                step,
                course,
                samples,
                known=self._known,
                before=before,
                own=self._own,
                since=self._since,
                certain=self.means is Means.EVENTS,
            )

    def _relations(self) -> Relations:
        return read_relations(self._conn, schema=self._schema, leave_out=self._tracking)

    def _hear(self, said: Diagnostic) -> None:
        self._messages.append(read_message(said.message_primary or "", said.message_detail or ""))

    def _course(self, trips: list[RoundTrip]) -> list[Ran]:
        if trips:
            return course_of(trips, self._messages, ahead_s=self._ahead)
        looks = [m for m in self._messages if isinstance(m, Look)]
        return course_of_looks(looks, until=time.time() + self._ahead)

    def _others(self) -> list[Ran]:
        """What a tool with a session of its own did; of what was rolled back there only samples tell."""
        if self.means is not Means.EVENTS or self._conn.closed:
            return []
        with suppress(psycopg.Error):
            looks = [look_of(told) for told in told_by_others(self._conn)]
            return course_of_looks(looks, until=time.time() + self._ahead)
        return []

    def _clock_ahead(self) -> float:
        before = time.time()
        row = self._conn.execute(
            "SELECT extract(epoch FROM clock_timestamp())::float8", prepare=False
        ).fetchone()
        assert row is not None
        return float(row[0]) - (before + time.time()) / 2
