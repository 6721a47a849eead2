"""Restoring a snapshot into a database beside the live one, and proving it equal to its manifest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from faberdb.catalog import read_schema
from faberdb.connection import connect
from faberdb.database_properties import DatabaseProperties, read_properties
from faberdb.databases import database_exists, drop_database, ensure_database, maintenance_dsn
from faberdb.dsn import Dsn
from faberdb.embedded import client_program
from faberdb.errors import SnapshotUnusable
from faberdb.progress import Progress
from faberdb.rows import count_rows, rows_after
from faberdb.snapshot.check import check_files
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.store import SnapshotStore
from faberdb.snapshot.take import JOBS
from faberdb.subprocesses import run_program

_DEFAULT_TIMEOUT_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the comparison of a restored database with its manifest showed."""

    fingerprint_equal: bool
    rows_equal: bool
    tables: int
    rows: int


def restore_beside(
    store: SnapshotStore,
    snapshot: str,
    into: Dsn,
    *,
    live: Dsn,
    progress: Progress,
    tracking: Collection[str],
    timeout_s: float = _DEFAULT_TIMEOUT_S,
) -> Proof:
    """Ensure that a database holds exactly the snapshot. One that a killed run left half done is made anew.

    Args:
        store: where the snapshot is.
        snapshot: its id.
        into: the database to restore into; never the live one.
        live: the database whose owner, encoding and locale it gets where both are on one server.
        progress: told before and after each sub-step.
        tracking: the tool's own tables, left out of the fingerprint.
        timeout_s: bound on `pg_restore`.

    Raises:
        SnapshotUnusable: the files are damaged, or what came out differs from the manifest.
    """
    assert into.database != live.database or into.host != live.host, (
        "the live database is never restored into"
    )
    manifest = check_files(store, snapshot)
    if not _finished(into, snapshot):
        if database_exists(into):
            drop_database(into)
        ensure_database(into, like=_properties(live) if into.host == live.host else None)
        progress(f"restoring {snapshot}")
        _run_pg_restore(store, snapshot, into, timeout_s)
        progress("restored")
        _mark(into, snapshot)
    proof = prove(manifest, into, tracking)
    progress("proven equal to its manifest")
    return proof


def prove(manifest: Manifest, restored: Dsn, tracking: Collection[str]) -> Proof:
    """Compare a restored database with the manifest.

    Raises:
        SnapshotUnusable: names the tables or says that the schema differs.
    """
    with connect(restored, purpose="prove a snapshot", statement_timeout_s=_DEFAULT_TIMEOUT_S) as conn:
        counts = count_rows(conn)
        fingerprint = read_schema(conn, leave_out=tracking).as_restored().fingerprint
    different = rows_after(manifest.row_counts, counts)
    if different:
        named = ", ".join(f"{c.table} {c.before} then {c.now} restored" for c in different[:5])
        raise SnapshotUnusable(f"Snapshot {manifest.id} does not restore to what it was.", why=named)
    if fingerprint != manifest.schema_fingerprint:
        raise SnapshotUnusable(
            f"Snapshot {manifest.id} does not restore to the schema it was taken of.",
            why=f"fingerprint {manifest.schema_fingerprint[:12]} then, {fingerprint[:12]} restored",
        )
    return Proof(fingerprint_equal=True, rows_equal=True, tables=len(counts), rows=sum(counts.values()))


def _run_pg_restore(store: SnapshotStore, snapshot: str, into: Dsn, timeout_s: float) -> None:
    command: list[str | Path] = [client_program("pg_restore"), "--format=directory", f"--jobs={JOBS}"]
    command += ["--no-password", f"--dbname={_quoted_name(into)}", store.folder(snapshot)]
    what = f"pg_restore of {snapshot}"
    done = run_program(
        command, timeout_s=timeout_s, environment=into.process_environment(), what=what, check=False
    )
    errors = [line for line in done.errors.splitlines() if "error:" in line]
    # pg_restore 18 sets transaction_timeout, which servers before 17 do not know: the one harmless error.
    harmful = [line for line in errors if "transaction_timeout" not in line]
    if harmful or (done.code != 0 and not errors):
        raise SnapshotUnusable(
            f"Snapshot {snapshot} could not be restored into {into.database}.",
            why="; ".join(harmful[:3]) or done.errors.strip()[-500:] or f"exit code {done.code}",
            next_step="the live database was not touched; see the reason above",
        )


def _quoted_name(dsn: Dsn) -> str:
    """The name as a connection string, so that a name with `=` or a space is not read as one."""
    escaped = dsn.database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def _properties(live: Dsn) -> DatabaseProperties:
    with connect(maintenance_dsn(live), purpose="read a database's properties") as conn:
        return read_properties(conn, live.database)


def _finished(into: Dsn, snapshot: str) -> bool:
    with connect(maintenance_dsn(into), purpose="look for a restored database") as conn:
        row = conn.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            (into.database,),
        ).fetchone()
    return row is not None and row[0] == _mark_text(snapshot)


def _mark(into: Dsn, snapshot: str) -> None:
    statement = sql.SQL("COMMENT ON DATABASE {} IS {}").format(
        sql.Identifier(into.database), sql.Literal(_mark_text(snapshot))
    )
    with connect(maintenance_dsn(into), purpose="mark a restored database") as conn:
        conn.execute(statement)


def _mark_text(snapshot: str) -> str:
    return f"faber-db restored {snapshot}"
