"""Ledger first: the intention of a step is written before its effect, the outcome after it.

A step's effect is an ensure that looks at the database before it acts. So a journal that finds an
intention without an outcome, left by a process that died, runs the ensure again: it finds the work done,
not done or half done, and ends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import psycopg
from msgspec import Struct

from faberdb.errors import FaberError
from faberdb.ledger import Entry, Kind, Ledger
from faberdb.progress import Kept, Progress
from faberdb.server_errors import explain

_NOTE_EVERY_S = 0.2  # notes are for people watching; each costs the ledger a commit


class Stage(StrEnum):
    """The moments of a step that others can watch."""

    INTENDED = "intended"
    NOTED = "noted"
    DONE = "done"
    FAILED = "failed"


class Moment(Struct, frozen=True, kw_only=True):
    """Something that just happened in a step."""

    release: str
    step: str
    stage: Stage
    note: str = ""


LISTENERS: Final[list[Callable[[Moment], None]]] = []
"""Called at every moment of every journal of this process, after the ledger has it."""


@dataclass(slots=True, kw_only=True)
class Journal:
    """The steps of one release, written to the ledger as they happen."""

    ledger: Ledger
    release: str
    environment: str
    actor: str = "faber-db"
    _noted_at: float = field(default=0.0, init=False)

    def ensure(self, step: str, do: Callable[[Progress], Mapping[str, Any]]) -> dict[str, Any]:
        """Do a step once in the life of a release.

        Args:
            step: its name, unique within the release.
            do: an ensure. Gets a progress callback; returns JSON values, no secrets.

        Returns:
            The outcome: of this run, or of the run that did it before.
        """
        before = self.outcome(step)
        if before is not None:
            return before
        self._write(Kind.STEP_INTENDED, step)
        self._tell(step, Stage.INTENDED)
        try:
            outcome = dict(do(lambda note: self._note(step, note)))
        except psycopg.Error as error:
            failure = explain(error, f"The database failed in the step {step!r}.")
            self._fail(step, failure)
            raise failure from error
        except FaberError as error:
            self._fail(step, error)
            raise
        except Exception:
            raise
        except BaseException:  # Ctrl-C, or an engine's own for a run that is cancelled
            with suppress(psycopg.Error):
                self._note(step, Kept("interrupted; the same command goes on from here"))
            raise
        self._write(Kind.STEP_DONE, step, outcome=outcome)
        self._tell(step, Stage.DONE)
        return outcome

    def outcome(self, step: str) -> dict[str, Any] | None:
        """What the step ended with, or None while it has not ended well."""
        for entry in self.ledger.entries(release=self.release, kind=Kind.STEP_DONE):
            if entry.body["step"] == step:
                return dict(entry.body["outcome"])
        return None

    def _note(self, step: str, note: str) -> None:
        now = time.monotonic()
        if isinstance(note, Kept) or now - self._noted_at >= _NOTE_EVERY_S:
            self._noted_at = now
            self._write(Kind.STEP_NOTED, step, note=note)
        self._tell(step, Stage.NOTED, note)

    def _fail(self, step: str, error: FaberError) -> None:
        try:
            self._write(Kind.STEP_FAILED, step, error=type(error).__name__, what=error.what, why=error.why)
        except psycopg.Error as lost:
            # The intention stands in the ledger without an outcome: the next run will ask the database.
            error.add_note(f"The ledger could not be written either: {_first_line(lost)}")
        self._tell(step, Stage.FAILED, error.what)

    def _write(self, kind: Kind, step: str, **facts: Any) -> Entry:
        return self.ledger.append(
            kind,
            release=self.release,
            environment=self.environment,
            actor=self.actor,
            body={"step": step, **facts},
        )

    def _tell(self, step: str, stage: Stage, note: str = "") -> None:
        for listener in LISTENERS:
            listener(Moment(release=self.release, step=step, stage=stage, note=note))


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
