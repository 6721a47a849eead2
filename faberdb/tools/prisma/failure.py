"""Telling what failed in a revision: to the tracking table as Prisma does, to the caller as an error."""

from __future__ import annotations

from typing import Final, Literal

import psycopg

from faberdb.connection import Connection
from faberdb.errors import FaberError, RevisionFailed, ServerUnreachable
from faberdb.revision import Revision
from faberdb.server_errors import safe_detail
from faberdb.tools.prisma.tracking import TrackingTable, prisma_logs

Effects = Literal["none", "uncertain"]

_CAUSE: Final = {
    "55P03": "It waited for a lock longer than its budget allows; another transaction holds the table.",
    "57014": "It ran longer than its budget allows, or was cancelled.",
}


def record_failure(
    conn: Connection,
    tracking: TrackingTable,
    id_: str,
    revision: Revision,
    error: psycopg.Error,
    *,
    effects: Effects,
    line: int | None,
    done: str = "",
) -> FaberError:
    """Write the failure into the row where the connection still allows it, and make the error to raise.

    Args:
        conn: outside a transaction.
        tracking: where the row is, or should be.
        id_: of the row.
        revision: which failed.
        error: PostgreSQL's.
        effects: whether something of the revision may have stayed.
        line: of the failed statement, None where it is not known.
        done: what is known of the statements before it, one sentence.
    """
    if conn.closed:
        return connection_lost(revision, error)
    unrecorded = ""
    try:
        tracking.fail(conn, id_, revision, prisma_logs(revision.name, error))
    except psycopg.Error as second:  # the first error is the one to tell; a row without an end stays
        unrecorded = f"It could not be recorded in {tracking.table}: {_postgres_words(second)}"
    where = f" at line {line}" if line else ""
    stayed = "Nothing of it stayed: its transaction was rolled back." if effects == "none" else ""
    why = [_postgres_words(error), _CAUSE.get(error.sqlstate or "", ""), done, stayed, unrecorded]
    return RevisionFailed(
        f"The revision {revision.name!r} failed{where}.",
        why=" ".join(w for w in why if w),
        next_step="faber-db rollback ENV settles it; then correct the revision or the data, and plan again",
        revision=revision.name,
        effects=effects,
        line=line,
        sqlstate=error.sqlstate or "",
    )


def connection_lost(revision: Revision, error: psycopg.Error) -> ServerUnreachable:
    """The server or the way to it went away in the middle.

    Nothing is decided by that: the tracking table knows more when the server is back, and applying the
    revision again asks it.
    """
    return ServerUnreachable(
        f"The connection was lost while the revision {revision.name!r} ran.",
        why=str(error).strip().splitlines()[0] if str(error).strip() else "",
        next_step="run the same command again: it asks the database whether the revision is done",
    )


def _postgres_words(error: psycopg.Error) -> str:
    diag = error.diag
    words = f"{diag.message_primary or str(error).strip()} (SQLSTATE {error.sqlstate or 'unknown'})."
    for label, text in (("Detail", safe_detail(error)), ("Hint", diag.message_hint)):
        words += f" {label}: {text}" if text else ""
    return words
