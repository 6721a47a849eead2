"""Restoring a snapshot into a database of its own, beside the live one, and proving it equal to the manifest.

An ensure: the database's mark (`faberdb.snapshot.mark`) tells a finished restore from a half one. Refuses to
touch the live database, and any database without a mark that has something in it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from msgspec.structs import replace

from faberdb.connection import Connection, connect, run
from faberdb.database_properties import DatabaseProperties, apply_properties, read_properties
from faberdb.databases import drop_database, ensure_database, exists, maintenance
from faberdb.dsn import Dsn
from faberdb.errors import FaberError, Refused, SnapshotUnusable, Transient
from faberdb.progress import Progress, silent
from faberdb.server_errors import explained
from faberdb.snapshot import programs
from faberdb.snapshot.check import check_archive
from faberdb.snapshot.clients import choose_clients
from faberdb.snapshot.files import DUMP, SCHEMA
from faberdb.snapshot.manifest import Manifest, SnapshotKind
from faberdb.snapshot.mark import Mark, closed_at_birth, read_mark, set_mark
from faberdb.snapshot.proof import Proof, prove, recorded_schema
from faberdb.snapshot.store import SnapshotStore
from faberdb.snapshot.store.transfer import mib
from faberdb.snapshot.template import create_closed, open_closed, require_copy

_ANALYZE_TIMEOUT_S: Final = 600
_SAY_EVERY_S: Final = 5.0


def restore_beside(
    store: SnapshotStore,
    snapshot: str,
    dsn: Dsn,
    *,
    live: Dsn,
    progress: Progress = silent,
    timeout_s: float = 3600,
) -> Proof:
    """Ensure that a snapshot is restored into the database `dsn`, and proven.

    A finished restore of the same snapshot is proven again and kept. A half one, one of another snapshot and
    one that is no longer as restored are dropped and made anew: the mark says that they are ours.

    Args:
        store: where the snapshot is.
        snapshot: its id.
        dsn: the new database, on the live one's server or another.
        live: the database whose owner, locale, grants and settings the new one gets.
        progress: told before and after each part.
        timeout_s: for the restore itself.

    Raises:
        SnapshotUnusable: corrupt, truncated, missing, or it did not restore to what was recorded.
        Refused: the name belongs to a database that no restore made, or the role may not create one.
        CommandFailed: pg_restore failed; the half database is dropped.
    """
    if (dsn.database, _place(dsn)) == (live.database, _place(live)):
        raise Refused(f"A snapshot is not restored into the live database {live.database!r} itself.")
    manifest = store.manifest(snapshot)
    with maintenance(live, purpose="restore beside") as conn:
        properties = read_properties(conn, live.database)
    roles = _roles_there(manifest, properties, dsn, live)
    kept = _kept(manifest, store, dsn, roles, progress)
    if kept is not None:
        return kept
    progress(f"checking the files of {snapshot}")
    with store.opened(snapshot, progress=progress) as (_, folder):
        if manifest.kind is SnapshotKind.TEMPLATE:
            _require_same_server(manifest, dsn, live)
        else:
            check_archive(manifest, folder / DUMP)
        return _restore(manifest, folder, dsn, live, properties, roles, progress, timeout_s)


def _restore(
    manifest: Manifest,
    folder: Path,
    dsn: Dsn,
    live: Dsn,
    properties: DatabaseProperties,
    roles: bool,
    progress: Progress,
    timeout_s: float,
) -> Proof:
    if manifest.kind is SnapshotKind.TEMPLATE:
        _copy(manifest, dsn, live, progress, timeout_s)
    else:
        _create(manifest, dsn, properties, roles, progress)
        restore_into(manifest, folder, dsn, with_roles=roles, progress=progress, timeout_s=timeout_s)
    progress("comparing the restored schema and rows with the manifest")
    proof = prove(manifest, folder, dsn, with_roles=roles, timeout_s=timeout_s)
    _finish(manifest, dsn, properties, roles)
    progress(f"restored {manifest.id} into {dsn.database}")
    return proof


def _copy(manifest: Manifest, dsn: Dsn, live: Dsn, progress: Progress, timeout_s: float) -> None:
    copy = require_copy(manifest, live)
    progress(f"copying {copy.database} to {dsn.database}")
    if not create_closed(dsn, template=copy.database, timeout_s=timeout_s):
        raise Transient(
            f"The database {copy.database!r} could not be copied.",
            why="Another session copies it, or is connected to it.",
            next_step="run the same command again in a moment",
        )
    with maintenance(dsn, purpose="restore beside") as conn, explained("The restore could not be marked."):
        set_mark(conn, dsn.database, Mark(snapshot=manifest.id, done=False))
    open_closed(dsn)


def _require_same_server(manifest: Manifest, dsn: Dsn, live: Dsn) -> None:
    require_copy(manifest, live)
    if _place(dsn) != _place(live):
        raise Refused(
            f"The snapshot {manifest.id!r} is a copy on the server of {live.database!r}, and goes to no other.",
            next_step=f"take a dump: faber-db backup {manifest.environment}, with backup.templates without it",
        )


def restore_into(
    manifest: Manifest,
    folder: Path,
    dsn: Dsn,
    *,
    with_roles: bool = True,
    progress: Progress = silent,
    timeout_s: float = 3600,
) -> None:
    """Restore the archive into an empty database, and let the planner know its new tables.

    Raises:
        CommandFailed: pg_restore failed or ran out of time; the database is dropped, to free the disk.
    """
    began = time.monotonic()
    progress(f"restoring {sum(manifest.row_counts.values())} rows into {dsn.database}")
    try:
        version = _prepare(manifest, folder, dsn)
        clients = choose_clients(
            version, at_least=manifest.client_version, zstd=manifest.compression == "zstd"
        )
        with _grown(dsn, progress) as watch:
            programs.restore(
                folder / DUMP,
                dsn,
                server_version=version,
                with_roles=with_roles,
                timeout_s=timeout_s,
                clients=clients,
                watch=watch,
            )
    except FaberError as error:
        _drop_half(dsn, error)
        raise
    progress(f"restored the archive in {time.monotonic() - began:.1f} s; analyzing")
    _analyze(dsn, progress)


@contextmanager
def _grown(dsn: Dsn, progress: Progress) -> Iterator[Callable[[], None]]:
    """Something to call meanwhile, that says now and then how large the database is."""
    began = said = time.monotonic()
    with maintenance(dsn, purpose="watch a restore") as conn:

        def watch() -> None:
            nonlocal said
            if time.monotonic() - said < _SAY_EVERY_S:
                return
            said = time.monotonic()
            row = conn.execute("SELECT pg_database_size(%s)", (dsn.database,)).fetchone()
            size = int(row[0]) if row else 0
            progress(f"restoring: {mib(size)} in {dsn.database} after {said - began:.0f} s")

        yield watch


def _kept(
    manifest: Manifest, store: SnapshotStore, dsn: Dsn, roles: bool, progress: Progress
) -> Proof | None:
    """The proof of a finished restore that is there; what is there and unusable is dropped.

    Of the snapshot's files only the recorded schema is read: an undo that finds its copy does not fetch the rest.
    """
    with maintenance(dsn, purpose="restore beside") as conn:
        if not exists(conn, dsn.database):
            return None
        mark = read_mark(conn, dsn.database)
        unmarked = closed_at_birth(conn, dsn.database)
    if unmarked:
        progress(f"{dsn.database} was left half copied; restoring again")
    elif mark is None:
        _require_empty(dsn)
    elif mark == Mark(snapshot=manifest.id, done=True):
        progress(f"found {dsn.database} restored; comparing it with the manifest")
        try:
            with _recorded(manifest, store) as folder:
                return prove(manifest, folder, dsn, with_roles=roles)
        except SnapshotUnusable as error:
            progress(f"{dsn.database} was changed since; restoring again ({error.why})")
    else:
        progress(f"{dsn.database} was left half restored; restoring again")
    drop_database(dsn)
    return None


@contextmanager
def _recorded(manifest: Manifest, store: SnapshotStore) -> Iterator[Path]:
    """A folder with the recorded schema alone."""
    with tempfile.TemporaryDirectory(prefix="faber-db-schema-") as folder:
        with Path(folder, SCHEMA).open("wb") as file:
            file.writelines(store.read(manifest.id, SCHEMA))
        yield Path(folder)


def _require_empty(dsn: Dsn) -> None:
    """A process that died between creating the database and marking it left an empty one."""
    with connect(dsn, purpose="restore beside") as conn:
        row = conn.execute("SELECT count(*) FROM pg_class WHERE oid >= 16384").fetchone()
    if row is None or row[0]:
        raise Refused(
            f"The server has a database {dsn.database!r} already, and no restore made it; it is left alone.",
            next_step="restore under another name, or rename that database",
        )


def _create(
    manifest: Manifest, dsn: Dsn, properties: DatabaseProperties, roles: bool, progress: Progress
) -> None:
    progress(f"creating {dsn.database}")
    ensure_database(dsn, owner=properties.owner if roles else None, like=properties)
    with maintenance(dsn, purpose="restore beside") as conn, explained("The restore could not be marked."):
        set_mark(conn, dsn.database, Mark(snapshot=manifest.id, done=False))
    progress(f"created {dsn.database}")


def _prepare(manifest: Manifest, folder: Path, dsn: Dsn) -> int:
    """Remove what a new database has and the recorded schema has not; a dump does not say that it is gone.

    Returns:
        The server's version.
    """
    recorded = recorded_schema(manifest, folder).objects
    with connect(dsn, purpose="restore") as conn, explained(f"{dsn.database!r} could not be prepared."):
        version = conn.info.server_version
        if version // 10000 != manifest.server_version // 10000:
            raise Refused(
                f"The snapshot {manifest.id!r} is of a server {manifest.server_version // 10000}, and"
                f" {dsn.database!r} is on a server {version // 10000}.",
                why="A restored schema is compared as one major version prints it.",
                next_step="restore on a server of the same major version",
            )
        if "schema public" not in recorded:
            run(conn, "DROP SCHEMA IF EXISTS public")
        if "extension plpgsql" not in recorded:
            run(conn, "DROP EXTENSION IF EXISTS plpgsql")
        return version


def _analyze(dsn: Dsn, progress: Progress) -> None:
    with (
        connect(dsn, purpose="analyze", statement_timeout_s=_ANALYZE_TIMEOUT_S) as conn,
        explained(f"{dsn.database!r} could not be analyzed."),
    ):
        try:
            conn.execute("ANALYZE")
        except psycopg.errors.QueryCanceled:
            # A slow first hour is no reason to give a good copy up: autovacuum goes on where this stopped.
            progress(f"analyzing was stopped after {_ANALYZE_TIMEOUT_S} s; autovacuum continues it")


def _finish(manifest: Manifest, dsn: Dsn, properties: DatabaseProperties, roles: bool) -> None:
    """Settings come last: `default_transaction_read_only` would have kept the restore out.

    The commit takes to the disk what the restore did not wait for: WAL is ordered, and one for all databases.
    """
    mine = replace(properties, connection_limit=-1)
    with (
        maintenance(dsn, purpose="restore beside") as conn,
        explained(f"The properties of the live database could not be given to {dsn.database!r}."),
        conn.transaction(),
    ):
        conn.execute("SET LOCAL synchronous_commit = on")
        if not roles:
            now = read_properties(conn, dsn.database)
            general = tuple(s for s in properties.settings if not s.role)
            mine = replace(mine, owner=now.owner, acl=now.acl, settings=general)
        apply_properties(conn, dsn.database, mine)
        set_mark(conn, dsn.database, Mark(snapshot=manifest.id, done=True))


def _drop_half(dsn: Dsn, error: FaberError) -> None:
    try:
        drop_database(dsn)
    except FaberError as left:
        # Its mark stays, so that the next restore drops it; the first error is the one to tell.
        error.add_note(f"{dsn.database} is left half restored: {left.what}")


def _roles_there(manifest: Manifest, properties: DatabaseProperties, dsn: Dsn, live: Dsn) -> bool:
    """Whether the server knows every role that owns or was granted something in the snapshot.

    Raises:
        SnapshotUnusable: the live database's own server does not.
    """
    with maintenance(dsn, purpose="look for roles") as conn:
        missing = _missing_roles(conn, {*manifest.roles, properties.owner})
    if missing and _place(dsn) == _place(live):
        raise SnapshotUnusable(
            f"The server has no role {missing[0]!r} any more, and something in {manifest.id!r} is its own.",
            why="Roles belong to the server and are in no dump.",
            next_step="create the role again (it needs no login), then run the same command again",
        )
    return not missing


def _missing_roles(conn: Connection, roles: Collection[str]) -> list[str]:
    known = {name for (name,) in conn.execute("SELECT rolname::text FROM pg_roles")}
    return sorted(set(roles) - known)


def _place(dsn: Dsn) -> tuple[str, int]:
    return dsn.host, dsn.port
