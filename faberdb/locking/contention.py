"""PostgreSQL's errors that say nothing about a statement, only that others were at work."""

from __future__ import annotations

from typing import Final

import psycopg

from faberdb.errors import Contended
from faberdb.locking.blockers import Blocker, listed

PASSING: Final = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


def contended(what: str, error: psycopg.Error, blockers: tuple[Blocker, ...]) -> Contended:
    """The error to raise when one of them rolled an attempt back.

    Args:
        what: which attempt, one sentence.
        error: one of `PASSING`.
        blockers: who was in the way, as far as that was seen.
    """
    words = error.diag.message_primary or type(error).__name__
    return Contended(
        what,
        why=f"{words}: {listed(blockers)}" if blockers else words,
        next_step="try again when the other transactions are done",
    )
