"""Template snapshots: a closed copy of an idle database on its own server, made by the server file by file.

Much faster than a dump, with the same manifest; but it dies with its server, so it is for development. The manifest
and the recorded schema are in the store as for any snapshot; the rows are in a database whose comment names it.
Refuses to know when a copy is good enough (`faberdb.policy`).
"""

from __future__ import annotations

import hashlib
from typing import Final

import psycopg
from msgspec.structs import replace
from psycopg import sql

from faberdb.connection import Connection, connect
from faberdb.database_properties import allow_connections, set_comment
from faberdb.databases import drop_database, exists, fitting_name, maintenance
from faberdb.dsn import Dsn
from faberdb.errors import Refused, SnapshotUnusable
from faberdb.progress import Progress, silent
from faberdb.server_errors import explained
from faberdb.snapshot.contents import let_idle, list_tables, read_sequences
from faberdb.snapshot.files import SCHEMA, measure
from faberdb.snapshot.manifest import Manifest, SnapshotKind
from faberdb.snapshot.mark import closed_at_birth
from faberdb.snapshot.request import SnapshotRequest
from faberdb.snapshot.seen import both_looks, manifest_of, see
from faberdb.snapshot.store import SnapshotStore
from faberdb.snapshot.take import commit, found, written

_MARK: Final = "faber-db keeps snapshot "
_WAL_BYTES: Final = 64 << 20  # below, writing the copy to the WAL is quicker than two checkpoints


def copy_name(database: str, snapshot: str) -> str:
    """The database that holds a template snapshot's rows."""
    return fitting_name(database, f"_snapshot_{hashlib.sha256(snapshot.encode()).hexdigest()[:12]}")


def take_template(
    dsn: Dsn,
    store: SnapshotStore,
    request: SnapshotRequest,
    *,
    progress: Progress = silent,
    timeout_s: float = 3600,
) -> Manifest | None:
    """Ensure that there is a template snapshot of the wanted id, or any of that id.

    Args, and what is raised: as `faberdb.snapshot.take.take_snapshot`, and

    Returns:
        None, and nothing was done, where others are connected to the database, or the role may not copy it.

    Raises:
        Refused: the copy's name belongs to a database that is no such copy.
    """
    if store.holds(request.id) or store.finish(request.id, progress=progress):
        progress(f"found the snapshot {request.id}")
        manifest = found(store, request, dsn)
        if manifest.kind is SnapshotKind.TEMPLATE:
            require_copy(manifest, dsn)
        return manifest
    progress(f"copying {dsn.database}, if it is idle")
    copy = copy_idle(dsn, request.id, timeout_s=timeout_s)
    if copy is None:
        return None
    progress(f"counting the rows of {copy.database}")
    with (
        connect(copy, purpose="snapshot contents", statement_timeout_s=timeout_s) as conn,
        explained(f"The snapshot of {dsn.database!r} was not taken."),
    ):
        let_idle(conn, timeout_s)
        sequences = read_sequences(conn)
        seen = replace(see(conn, list_tables(conn), request), sequences=both_looks(sequences, sequences))
    close_copy(copy)
    with written(store, request.id) as folder:
        (folder / SCHEMA).write_text(seen.schema.to_json())
        manifest = manifest_of(dsn.database, request, seen, measure(folder), copy=copy.database)
    commit(store, manifest, progress)
    progress(f"took the snapshot {request.id}")
    return manifest


def copy_idle(dsn: Dsn, snapshot: str, *, timeout_s: float) -> Dsn | None:
    """Ensure a copy of an idle database; what an attempt that died left is made anew.

    Returns:
        The copy, open to be looked at (`close_copy`); None where others are connected, or the role may not copy.

    Raises:
        Refused: the name belongs to a database that is not such a copy.
    """
    copy = dsn.with_database(copy_name(dsn.database, snapshot))
    _drop_left(copy, snapshot)
    if not create_closed(copy, template=dsn.database, timeout_s=timeout_s):
        return None
    with maintenance(copy, purpose="template snapshot") as conn, explained("The copy could not be marked."):
        set_comment(conn, copy.database, _MARK + snapshot)
        _open(conn, copy.database)
    return copy


def create_closed(dsn: Dsn, *, template: str, timeout_s: float) -> bool:
    """Create a database as a copy of another of its server, closed to every session until it is marked.

    Returns:
        Whether it was: not while others are connected to the template, nor by a role that may not copy it.
    """
    with (
        maintenance(dsn, purpose="copy database", statement_timeout_s=timeout_s) as conn,
        explained(f"The database {dsn.database!r} could not be created.", needs="a role with CREATEDB"),
    ):
        # Asked first: CREATE DATABASE would wait five seconds for them to go.
        if conn.execute(_OTHERS, (template,)).fetchone() != (0,):
            return False
        try:
            conn.execute(_creation(conn, dsn.database, template))
        except (psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege):
            return False
        return True


def open_closed(dsn: Dsn) -> None:
    """Let sessions into a database that `create_closed` made, once it is marked."""
    with maintenance(dsn, purpose="copy database") as conn, explained("The copy could not be opened."):
        _open(conn, dsn.database)


def close_copy(copy: Dsn) -> None:
    """Keep every session out of a copy, so that it stays as it was measured and can be copied at any time."""
    with maintenance(copy, purpose="template snapshot") as conn, explained("The copy could not be closed."):
        allow_connections(conn, copy.database, False)


def require_copy(manifest: Manifest, live: Dsn) -> Dsn:
    """The database with a template snapshot's rows.

    Raises:
        SnapshotUnusable: the server has it no more, or another has its name.
    """
    copy = live.with_database(manifest.copy)
    with maintenance(copy, purpose="look at a template snapshot", read_only=True) as conn:
        found = conn.execute(_COMMENT, (copy.database,)).fetchone()
    if found is None or found[0] != _MARK + manifest.id:
        raise SnapshotUnusable(
            f"The snapshot {manifest.id!r} of {manifest.environment} cannot be used.",
            why=f"Its rows are in the database {manifest.copy!r} of its own server, which "
            + ("is not there." if found is None else "belongs to something else."),
            next_step=f"choose another: faber-db snapshots {manifest.environment}",
        )
    return copy


def drop_copy(manifest: Manifest, live: Dsn) -> None:
    """Remove the rows of a template snapshot, if they are there; before its manifest, which names them."""
    if manifest.kind is not SnapshotKind.TEMPLATE:
        return
    copy = live.with_database(manifest.copy)
    with maintenance(copy, purpose="prune", read_only=True) as conn:
        ours = conn.execute(_COMMENT, (copy.database,)).fetchone() == (_MARK + manifest.id,)
    if ours:
        drop_database(copy)


def _drop_left(copy: Dsn, snapshot: str) -> None:
    with maintenance(copy, purpose="template snapshot") as conn:
        if not exists(conn, copy.database):
            return
        ours = conn.execute(_COMMENT, (copy.database,)).fetchone() == (_MARK + snapshot,)
        ours = ours or closed_at_birth(conn, copy.database)
    if not ours:
        raise Refused(
            f"The server has a database {copy.database!r} already, and no snapshot made it; it is left alone.",
            next_step="rename that database, then run the same command again",
        )
    drop_database(copy)


def _open(conn: Connection, name: str) -> None:
    conn.execute(
        sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true CONNECTION LIMIT -1").format(
            sql.Identifier(name)
        )
    )


def _creation(conn: Connection, name: str, template: str) -> sql.Composed:
    text = "CREATE DATABASE {} WITH TEMPLATE {} ALLOW_CONNECTIONS false CONNECTION LIMIT 0"
    if conn.info.server_version >= 150000:
        row = conn.execute("SELECT pg_database_size(%s)", (template,)).fetchone()
        text += " STRATEGY wal_log" if row is None or row[0] < _WAL_BYTES else " STRATEGY file_copy"
    return sql.SQL(text).format(sql.Identifier(name), sql.Identifier(template))


_OTHERS: Final = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usesysid IS NOT NULL"
_COMMENT: Final = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
