"""What a PostgreSQL server's error in the middle of work means for the caller's next move.

Owns the classing by SQLSTATE. Refuses to know what was being done: the caller says it in a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from faberdb.errors import FaberError, Failed, Refused, ServerUnreachable, Transient

_ANOTHER_SESSION = (
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.ObjectInUse,
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.UndefinedTable,  # dropped by another session between two of our looks
)


@contextmanager
def explained(what: str, *, needs: str = "a role that may") -> Iterator[None]:
    """Turn what psycopg raises inside the block into the error whose class says what to do.

    Args:
        what: what did not happen, one sentence.
        needs: what it takes where the server says that our role may not, such as "a role with CREATEDB".
    """
    try:
        yield
    except psycopg.Error as error:
        raise explain(error, what, needs=needs) from error


def explain(error: psycopg.Error, what: str, *, needs: str = "a role that may") -> FaberError:
    """The same for one error at hand. Only the first line and the hint of its text are shown."""
    why = _reason(error)
    if isinstance(error, errors.InsufficientPrivilege):
        return Refused(what, why=why, next_step=f"put {needs} into the environment's URL")
    if lost(error):
        return ServerUnreachable(what, why=why, next_step="try again when the server answers")
    if isinstance(error, _ANOTHER_SESSION):
        return Transient(what, why=why, next_step="try again when the other session is done")
    return Failed(what, why=why)


def lost(error: psycopg.Error) -> bool:
    """Whether the session ended: the network, the server or an administrator took it."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


def safe_detail(error: psycopg.Error) -> str:
    """What the server adds to its message; of a broken constraint its place only, for the rest quotes the row.

    The ledger keeps texts for ever, and a row may hold anything.
    """
    diag = error.diag
    if not (error.sqlstate or "").startswith("23"):
        return diag.message_detail or ""
    places = (("table", diag.table_name), ("column", diag.column_name), ("constraint", diag.constraint_name))
    return ", ".join(f"{kind} {name}" for kind, name in places if name)


def _reason(error: psycopg.Error) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    parts = [first, safe_detail(error), error.diag.message_hint]
    return " ".join(p.strip().rstrip(".") + "." for p in parts if p)
