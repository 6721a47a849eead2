"""The proof of a snapshot: the restored database has the schema and the rows that the manifest names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faberdb.catalog import Schema, describe, differences, read_schema
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import Refused, SnapshotUnusable
from faberdb.rows import count_rows, rows_after
from faberdb.snapshot.files import SCHEMA
from faberdb.snapshot.manifest import Manifest

_SHOWN: Final = 5
# What a restore without the roles cannot bring back.
_OF_ROLES: Final = frozenset({"owner of", "grants on", "default privileges"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was compared. Made only where both are equal."""

    fingerprint_equal: bool
    rows_equal: bool
    details: tuple[str, ...]  # what was compared, in words


def recorded_schema(manifest: Manifest, folder: Path) -> Schema:
    """The schema that was read when the snapshot was taken.

    Raises:
        SnapshotUnusable: it is not the one whose fingerprint the manifest has.
    """
    try:
        schema = Schema.from_json((folder / SCHEMA).read_text())
    except (Refused, OSError, UnicodeDecodeError) as error:
        raise _unequal(manifest, f"its {SCHEMA} cannot be read: {error}") from error
    if schema.fingerprint != manifest.schema_fingerprint:
        raise _unequal(manifest, f"its {SCHEMA} is not the schema whose fingerprint the manifest has")
    return schema


def prove(
    manifest: Manifest, folder: Path, dsn: Dsn, *, with_roles: bool = True, timeout_s: float = 3600
) -> Proof:
    """Compare a restored database with its snapshot's manifest.

    Args:
        manifest: the snapshot's.
        folder: its files, for the recorded schema.
        dsn: the restored database.
        with_roles: compare owners and grants too.
        timeout_s: for each count and each look at the catalogue.

    Raises:
        SnapshotUnusable: they differ; names the first differences.
    """
    with connect(dsn, purpose="prove", statement_timeout_s=timeout_s) as conn:
        restored = read_schema(conn, leave_out=manifest.tracking_tables)
        rows = count_rows(conn)
    recorded = recorded_schema(manifest, folder).as_restored()
    if not with_roles:
        recorded, restored = recorded.without(_OF_ROLES), restored.without(_OF_ROLES)
    if recorded.fingerprint != restored.fingerprint:
        told = [describe(d) for d in differences(recorded, restored)]
        raise _unequal(manifest, "the restored schema differs: " + _first(told))
    changes = rows_after(manifest.row_counts, rows)
    if changes:
        told = [f"{c.table} has {c.now} rows instead of {c.before}" for c in changes]
        raise _unequal(manifest, "restored rows differ: " + _first(told))
    details = (
        f"{len(recorded.objects)} schema objects equal" + ("" if with_roles else ", owners and grants apart"),
        f"{sum(rows.values())} rows in {len(rows)} tables equal",
    )
    return Proof(fingerprint_equal=True, rows_equal=True, details=details)


def _first(told: list[str]) -> str:
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more


def _unequal(manifest: Manifest, why: str) -> SnapshotUnusable:
    return SnapshotUnusable(
        f"The snapshot {manifest.id!r} did not restore to what was recorded.",
        why=why[0].upper() + why[1:] + ".",
        next_step=f"choose another: faber-db snapshots {manifest.environment}",
    )
