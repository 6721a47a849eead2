"""Taking a snapshot: one exported transaction snapshot gives the dump, the rows, checksums and fingerprint.

While `pg_dump` works, a second session counts rows and reads the schema in the same transaction snapshot.

An ensure: a complete snapshot of the wanted id is returned, a half one is begun again. Refuses to know where
snapshots are kept (`faberdb.snapshot.store`) and how `pg_dump` is spoken to (`faberdb.snapshot.programs`).
"""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, LiteralString

from msgspec.structs import replace

from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import CommandFailed, Failed, Refused, SnapshotUnusable, Transient
from faberdb.progress import Progress, silent
from faberdb.server_errors import explained
from faberdb.snapshot import programs
from faberdb.snapshot.clients import Clients, choose_clients
from faberdb.snapshot.contents import (
    hold_tables,
    let_idle,
    list_tables,
    read_sequences,
)
from faberdb.snapshot.files import DUMP, SCHEMA, check_sizes, measure
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.request import SnapshotRequest
from faberdb.snapshot.seen import Seen, both_looks, manifest_of, see
from faberdb.snapshot.store import SnapshotStore
from faberdb.snapshot.store.transfer import mib

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_FULL_TEXTS: Final = ("No space left on device", "Disk quota exceeded")
_SAY_EVERY_S: Final = 5.0
_MARGIN: Final = 1 << 20  # the manifest, the schema and the archive's table of contents


def take_snapshot(
    dsn: Dsn,
    store: SnapshotStore,
    request: SnapshotRequest,
    *,
    progress: Progress = silent,
    timeout_s: float = 3600,
) -> Manifest:
    """Ensure that the store holds a complete snapshot of the wanted id.

    Args:
        dsn: the database.
        store: where to.
        request: id, whose, why and for how long.
        progress: told before and after each part.
        timeout_s: for the whole.

    Raises:
        Refused: nothing was written: no space, a newer server than our pg_dump, rows that may not be read.
        SnapshotUnusable: the disk filled up and what was written is removed, or the id is another database's.
        Transient, ServerUnreachable: another session, the server or the store; try again.
        CommandFailed: pg_dump failed; what was written is removed.
    """
    deadline = time.monotonic() + timeout_s
    if store.holds(request.id) or store.finish(request.id, progress=progress):
        progress(f"found the snapshot {request.id}")
        return found(store, request, dsn)
    with (
        connect(dsn, purpose="snapshot", statement_timeout_s=timeout_s) as conn,
        connect(dsn, purpose="snapshot contents", statement_timeout_s=timeout_s) as other,
        explained(f"The snapshot of {dsn.database!r} was not taken."),
    ):
        clients = choose_clients(conn.info.server_version)
        _require_space(conn, store, dsn)
        for session in (conn, other):
            # The exporting one idles while pg_dump works, and the snapshot is gone if it is ended for that.
            let_idle(session, _left(deadline) + 60)
        with conn.transaction(), written(store, request.id) as folder:
            seen = _dumped(conn, other, dsn, request, folder, clients, deadline, progress)
            (folder / SCHEMA).write_text(seen.schema.to_json())
            progress("writing the manifest")
            manifest = manifest_of(
                dsn.database,
                request,
                seen,
                measure(folder),
                client_version=clients.version,
                compression=programs.compression(clients),
            )
    # After the transaction: a store far away takes its time, and an open transaction keeps vacuum waiting.
    commit(store, manifest, progress)
    progress(f"took the snapshot {request.id}")
    return manifest


def _dumped(
    conn: Connection,
    other: Connection,
    dsn: Dsn,
    request: SnapshotRequest,
    folder: Path,
    clients: Clients,
    deadline: float,
    progress: Progress,
) -> Seen:
    """Dump into the folder, and what the second session saw of the same moment meanwhile."""
    frozen = _freeze(conn)
    progress("holding the tables still")
    tables = list_tables(conn)
    hold_tables(conn, tables)
    before = read_sequences(other)
    progress(f"dumping and counting {len(tables) - 1} tables")  # large objects are none
    with _meanwhile(other, lambda: see(other, tables, request, moment=frozen)) as seeing:
        watch = _Watch(folder=folder, seeing=seeing, progress=progress)
        _dump(conn, dsn, folder, clients, frozen, deadline, watch)
        seen = _seen_in_time(seeing, deadline)
    return replace(seen, sequences=both_looks(before, read_sequences(other)))


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What is done while pg_dump works: say how far it is, and end it when the count failed."""

    folder: Path
    seeing: Future[Seen]
    progress: Progress
    began: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)

    def __call__(self) -> None:
        if self.seeing.done():
            self.seeing.result()
        now = time.monotonic()
        if now - self.said >= _SAY_EVERY_S:
            self.said = now
            written = sum(p.stat().st_size for p in self.folder.rglob("*.dat*"))
            self.progress(f"dumping: {mib(written)} written after {now - self.began:.0f} s")


def found(store: SnapshotStore, request: SnapshotRequest, dsn: Dsn) -> Manifest:
    """The snapshot of the wanted id that is there already.

    Raises:
        SnapshotUnusable: it is another database's, or lost a file.
    """
    manifest = store.manifest(request.id)
    ours = (request.project, request.environment, dsn.database)
    if (manifest.project, manifest.environment, manifest.database) != ours:
        raise SnapshotUnusable(
            f"The snapshot {request.id!r} is of {manifest.database!r}, not of {dsn.database!r}.",
            why=f"It was taken for {manifest.environment} of {manifest.project}.",
            next_step="faber-db snapshots",
        )
    check_sizes(manifest, store.sizes(request.id))
    return manifest


def _require_space(conn: Connection, store: SnapshotStore, dsn: Dsn) -> None:
    """Refuse before the disk fills up. Compressed text is nearly always smaller than the tables it came from."""
    free = store.free_bytes()
    if free is None or _bytes(conn, _DATABASE_BYTES) + _MARGIN <= free:
        return
    needed = _bytes(conn, _TABLE_BYTES) + _MARGIN
    if free < needed:
        raise Refused(
            f"The snapshot store has {mib(free)} free, and a snapshot of {dsn.database!r} may need"
            f" {mib(needed)}; nothing was written.",
            why="The estimate is the size of the tables without their indexes.",
            next_step="free some space, or keep the snapshots on a larger disk",
        )


def _bytes(conn: Connection, query: LiteralString) -> int:
    row = conn.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _freeze(conn: Connection) -> str:
    """Fix what is seen, for us and for pg_dump; the name of the exported snapshot."""
    conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    row = conn.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    return str(row[0])


def _seen_in_time(seeing: Future[Seen], deadline: float) -> Seen:
    try:
        return seeing.result(timeout=_left(deadline))
    except TimeoutError:
        raise Transient(
            "Counting the rows took longer than a snapshot may; what was written is removed.",
            why='Tables are read from end to end, at backup.checksums = "full" with all they hold.',
            next_step='raise backup.timeout_seconds, or set backup.checksums to "none"',
        ) from None


@contextmanager
def _meanwhile(other: Connection, look: Callable[[], Seen]) -> Iterator[Future[Seen]]:
    """Look through another session in a thread; it has ended when the block has."""
    with ThreadPoolExecutor(1, thread_name_prefix="snapshot contents") as pool:
        seeing = pool.submit(look)
        try:
            yield seeing
        except BaseException:
            other.cancel_safe()  # nobody waits for it any more
            raise


def _dump(
    conn: Connection,
    dsn: Dsn,
    folder: Path,
    clients: Clients,
    frozen: str,
    deadline: float,
    watch: Callable[[], None],
) -> None:
    # A name of this attempt's own: the pg_dump of a killed one may live on, and must not write in here.
    attempt = folder / f"{DUMP}-{secrets.token_hex(4)}"
    try:
        programs.dump(dsn, attempt, clients=clients, snapshot=frozen, timeout_s=_left(deadline), watch=watch)
    except CommandFailed as error:
        if any(text in error.why for text in _FULL_TEXTS):
            raise _full(str(folder)) from error
        conn.execute("SELECT 1")  # when the server went away, this says so better
        raise
    attempt.rename(folder / DUMP)


@contextmanager
def written(store: SnapshotStore, id_: str) -> Iterator[Path]:
    """A folder to write into, that does not outlive a failure."""
    folder = store.begin(id_)
    try:
        with _disk_explained(id_):
            yield folder
    except BaseException:
        store.abandon(id_)
        raise


def commit(store: SnapshotStore, manifest: Manifest, progress: Progress) -> None:
    """Let the store complete it.

    What is dumped whole is kept where trying again, or the next process, can go on with it.
    """
    try:
        with _disk_explained(manifest.id):
            store.commit(manifest.id, manifest, progress=progress)
    except Transient:
        raise
    except Exception:
        store.abandon(manifest.id)
        raise


@contextmanager
def _disk_explained(id_: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full(id_) from error
        raise Failed(f"The snapshot {id_!r} could not be written.", why=str(error)) from error


def _full(what: str) -> SnapshotUnusable:
    return SnapshotUnusable(
        "The snapshot was not finished: the disk is full. What was written of it is removed.",
        why=f"No space was left for {what}.",
        next_step="free some space, then run the same command again",
    )


def _left(deadline: float) -> float:
    return max(1.0, deadline - time.monotonic())


# With its indexes, which a dump does not hold: more than enough, and one look where the other is one for each table.
_DATABASE_BYTES: Final = "SELECT pg_database_size(current_database())"
_TABLE_BYTES: Final = """
SELECT COALESCE(sum(pg_table_size(oid)), 0)::bigint FROM pg_class
WHERE relkind IN ('r', 'm') AND (oid >= 16384 OR relname = 'pg_largeobject')
"""
