"""Taking a snapshot: `pg_dump`, the row counts and the schema's fingerprint, all of one moment."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

from faberdb.catalog import read_schema
from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.embedded import client_program
from faberdb.errors import CommandFailed, Refused, SnapshotUnusable
from faberdb.progress import Progress
from faberdb.rows import count_rows
from faberdb.snapshot.manifest import FORMAT_VERSION, FileRecord, Manifest
from faberdb.snapshot.request import SnapshotRequest
from faberdb.snapshot.store import SnapshotStore
from faberdb.subprocesses import run_program

JOBS = 2
_SPARE_BYTES = 16 << 20  # a dump is smaller than its database; this is for the manifest and the file system


def take_snapshot(
    dsn: Dsn, store: SnapshotStore, request: SnapshotRequest, *, progress: Progress, timeout_s: float
) -> Manifest:
    """Ensure that a snapshot of the request's id exists; a complete one is returned as it is.

    Raises:
        Refused: the disk has no room, or the server is newer than `pg_dump`; nothing was written.
        SnapshotUnusable: the dump failed, as on a disk that filled up; what it left is removed.
    """
    if store.has(request.id):
        return store.manifest(request.id)
    folder = store.begin(request.id)
    try:
        progress("dumping")
        manifest = _dump(dsn, folder, request, timeout_s)
        progress("dumped")
        store.commit(request.id, manifest)
    except CommandFailed as error:
        store.abandon(request.id)
        raise SnapshotUnusable(
            f"The snapshot of {dsn.database} could not be taken; nothing of it is kept.",
            why=error.why or error.what,
            next_step=_advice(error),
        ) from error
    except OSError as error:
        store.abandon(request.id)
        raise SnapshotUnusable(
            f"The snapshot of {dsn.database} could not be written; nothing of it is kept.",
            why=str(error),
            next_step="make room in the snapshot store, or set backup.directory to another disk",
        ) from error
    except BaseException:
        store.abandon(request.id)
        raise
    progress("kept")
    return manifest


def _advice(error: CommandFailed) -> str:
    if "No space left on device" in f"{error.what} {error.why}":
        return "make room in the snapshot store, or set backup.directory to another disk; then try again"
    return "see the reason above, then try again"


def _dump(dsn: Dsn, folder: Path, request: SnapshotRequest, timeout_s: float) -> Manifest:
    with connect(dsn, purpose="snapshot", statement_timeout_s=timeout_s) as conn:
        # The exporting transaction has to stay open, idle, for as long as pg_dump runs.
        conn.execute("SET idle_in_transaction_session_timeout = 0")
        _require_room(conn, folder.parent)
        conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        exported = conn.execute("SELECT pg_export_snapshot()").fetchone()
        assert exported is not None
        counts = count_rows(conn)
        schema = read_schema(conn, leave_out=request.tracking_tables)
        client = _run_pg_dump(dsn, folder, str(exported[0]), timeout_s)
        conn.execute("COMMIT")
        return Manifest(
            format_version=FORMAT_VERSION,
            id=request.id,
            project=request.project,
            environment=request.environment,
            database=dsn.database,
            created_at=datetime.now(UTC),
            server_version=conn.info.server_version,
            client_version=client,
            label=request.label,
            reason=request.reason,
            retention_days=request.retention_days,
            revisions=request.revisions,
            schema_fingerprint=schema.as_restored().fingerprint,
            row_counts=counts,
            files={p.name: _record(p) for p in sorted(folder.iterdir())},
            release_id=request.release_id,
        )


def _require_room(conn: Connection, folder: Path) -> None:
    row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    # Indexes are not dumped and rows are compressed: half of the database's size is a cautious guess.
    needed, free = row[0] // 2 + _SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise Refused(
            f"The snapshot store has {free >> 20} MiB free, and this snapshot may need {needed >> 20} MiB.",
            why=f"The database takes {row[0] >> 20} MiB.",
            next_step="make room, or set backup.directory to another disk; then try again",
        )


def _run_pg_dump(dsn: Dsn, folder: Path, snapshot: str, timeout_s: float) -> str:
    program = client_program("pg_dump")
    run_program(
        [
            program,
            "--format=directory",
            f"--jobs={JOBS}",
            f"--snapshot={snapshot}",
            f"--file={folder}",
            "--no-password",
            f"--lock-wait-timeout={60_000}",
            "--compress=zstd:1",
        ],
        timeout_s=timeout_s,
        environment=dsn.process_environment(),
        what=f"pg_dump of {dsn.database}",
    )
    version = run_program([program, "--version"], timeout_s=10, what="pg_dump --version")
    return version.output.strip()


def _record(path: Path) -> FileRecord:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(bytes=path.stat().st_size, sha256=digest)
