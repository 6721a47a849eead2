"""What is read of a database when a snapshot is taken of it, and the manifest that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from faberdb.catalog import Schema, read_schema
from faberdb.connection import Connection
from faberdb.snapshot.contents import Contents, Table, looking, read_contents, shares
from faberdb.snapshot.manifest import FileFacts, Manifest, SnapshotKind
from faberdb.snapshot.request import SnapshotRequest

Sequences = Mapping[str, tuple[int | None, int | None]]


class Seen(Struct, frozen=True, kw_only=True):
    """As of one moment, but for the sequences, which belong to none."""

    at: datetime
    server_version: int
    contents: Contents
    schema: Schema
    roles: tuple[str, ...]
    sequences: Sequences


def see(conn: Connection, tables: Sequence[Table], request: SnapshotRequest, *, moment: str = "") -> Seen:
    """Read all of it but the sequences.

    Args:
        conn: outside of a transaction.
        tables: whose rows are counted.
        request: what is left out of the schema, and of which rows checksums are wanted.
        moment: the name of an exported snapshot to look at; "" for a database that nobody writes to.

    Raises:
        Refused: the role may not read a table, or row-level security would hide rows from it.
        Transient: a table is locked, or a statement's time ran out.
    """
    at = datetime.now(UTC)
    contents = read_contents(conn, tables, shares(conn, tables, request.checksums), moment=moment)
    with looking(conn, moment):
        schema = read_schema(conn, leave_out=request.tracking_tables)
        owners = {owner for name, owner in schema.objects.items() if name.startswith("owner of ")}
        roles = owners | {name for (name,) in conn.execute(_ROLES)}
    return Seen(
        at=at,
        server_version=conn.info.server_version,
        contents=contents,
        schema=schema,
        roles=tuple(sorted(roles)),
        sequences={},
    )


def both_looks(before: Mapping[str, int | None], after: Mapping[str, int | None]) -> Sequences:
    """Where each sequence was before the rows were copied, and after."""
    return {name: (before.get(name), now) for name, now in after.items()}


def manifest_of(
    database: str,
    request: SnapshotRequest,
    seen: Seen,
    files: Mapping[str, FileFacts],
    *,
    client_version: str = "",
    compression: str = "",
    copy: str = "",
) -> Manifest:
    """The manifest of a dump by `client_version`, or of the template snapshot in the database `copy`."""
    return Manifest(
        id=request.id,
        project=request.project,
        environment=request.environment,
        database=database,
        created_at=seen.at,
        server_version=seen.server_version,
        client_version=client_version,
        label=request.label,
        reason=request.reason,
        retention_days=request.retention_days,
        revisions=request.revisions,
        tracking_tables=request.tracking_tables,
        schema_fingerprint=seen.schema.fingerprint,
        roles=seen.roles,
        row_counts=seen.contents.rows,
        files=files,
        release_id=request.release_id,
        kind=SnapshotKind.TEMPLATE if copy else SnapshotKind.DUMP,
        copy=copy,
        compression=compression,
        checksums=seen.contents.checksums,
        sequences=seen.sequences,
    )


# Roles that own something, were granted something or are named by a policy; but never the first superuser,
# who is pinned and stands in no dependency.
_ROLES: Final = """
SELECT DISTINCT r.rolname::text FROM pg_roles r JOIN pg_shdepend s ON s.refobjid = r.oid
WHERE s.refclassid = 'pg_authid'::regclass
  AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
