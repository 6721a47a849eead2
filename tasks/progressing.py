"""How far a long step is, as a progress artifact. Quick steps have none: it is made after two seconds.

A thread of its own talks to Prefect, so that a step never waits for it and never fails by it.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from faberdb.progress import revision_noted
from faberdb.release.journal import LISTENERS, Moment, Stage
from faberdb.release.record import Release
from tasks.artifact_keys import artifact_key

_LOG: Final = logging.getLogger("faber-db.progressing")
_QUICK_S: Final = 2.0
_EVERY_S: Final = 1.0
_LAST_WORD_S: Final = 5.0

Share = Callable[[str], float | None]
"""Gets a note; returns how much is done, 0 to 1, or None where the note does not say."""


def revisions_done(release: Release) -> Share:
    """Of applying: the plan's order says what came before."""
    order = {s.revision: n for n, s in enumerate(release.plan.steps)}

    def share(note: str) -> float | None:
        noted = revision_noted(note)
        if noted is None or noted[0] not in order:
            return None
        return (order[noted[0]] + noted[1]) / len(order)

    return share


def parts_done(*begins: str) -> Share:
    """Of work that says which of its parts begins; the last of them says that all is done."""

    def share(note: str) -> float | None:
        found = [n for n, begin in enumerate(begins) if note.startswith(begin)]
        return found[0] / (len(begins) - 1) if found else None

    return share


SNAPSHOT: Final = parts_done("holding", "dumping", "writing the manifest", "took the snapshot")
PROOF: Final = parts_done(
    "checking", "creating", "restoring", "restored the archive", "comparing", "restored "
)


@contextmanager
def progress_shown(release: Release, step: str, share: Share) -> Iterator[None]:
    """Show how far a step of this release is, for as long as the block lasts."""
    board = _Board(artifact_key(step, release.environment), f"{step} of {release.id}", share)

    def listen(moment: Moment) -> None:
        if (moment.release, moment.step) == (release.id, step):
            board.hear(moment)

    # The run that the artifact belongs to is in the context, and a thread starts with an empty one.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(board.keep,), name=f"progress {step}", daemon=True)
    LISTENERS.append(listen)
    thread.start()
    try:
        yield
    finally:
        LISTENERS.remove(listen)
        board.ended.set()
        thread.join(_LAST_WORD_S)


class _Board:
    """What was heard last, and the artifact that shows it."""

    def __init__(self, key: str, title: str, share: Share) -> None:
        self.ended = threading.Event()
        self._key, self._title, self._share = key, title, share
        self._percent, self._note = 0.0, ""
        self._shown: tuple[float, str] | None = None
        self._artifact: UUID | None = None

    def hear(self, moment: Moment) -> None:
        """Take in a moment; nothing leaves the process here."""
        done = 1.0 if moment.stage is Stage.DONE else self._share(moment.note)
        if done is not None:
            self._percent = round(100 * done, 1)
        self._note = moment.note or moment.stage.value

    def keep(self) -> None:
        """Show it until the end, once a second at most."""
        if self.ended.wait(_QUICK_S):
            return
        try:
            while not self.ended.is_set():
                self._show()
                self.ended.wait(_EVERY_S)
            self._show()
        except Exception as error:
            _LOG.warning("The progress of %s could not be shown: %s", self._title, type(error).__name__)

    def _show(self) -> None:
        now = (self._percent, self._note)
        if now == self._shown:
            return
        text = f"{self._title}: {self._note}"
        if self._artifact is None:
            made = create_progress_artifact(self._percent, key=self._key, description=text)
            assert isinstance(made, UUID)  # sync here: this thread runs no event loop
            self._artifact = made
        else:
            update_progress_artifact(self._artifact, self._percent, description=text)
        self._shown = now
