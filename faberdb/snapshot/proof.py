"""The proof of a snapshot: the restored database has the schema, the rows and the content that the manifest names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from faberdb.catalog import Schema, describe, differences, read_schema
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import Refused, SnapshotUnusable
from faberdb.rows import rows_after
from faberdb.snapshot.contents import SHARE, Contents, let_idle, list_tables, read_contents, read_sequences
from faberdb.snapshot.files import SCHEMA
from faberdb.snapshot.manifest import Manifest, SnapshotKind

_SHOWN: Final = 5
# What a restore without the roles cannot bring back.
_OF_ROLES: Final = frozenset({"owner of", "grants on", "default privileges"})


class Proof(Struct, frozen=True, kw_only=True):
    """What was compared. Made only where both are equal."""

    fingerprint_equal: bool
    rows_equal: bool
    checksums_equal: bool | None  # None where the manifest has none
    details: tuple[str, ...]  # what was compared, in words

    def to_json(self) -> dict[str, Any]:
        """For the ledger, where `faberdb.proofs` finds it."""
        return {
            "fingerprint_equal": self.fingerprint_equal,
            "rows_equal": self.rows_equal,
            "checksums_equal": self.checksums_equal,
            "details": list(self.details),
        }


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
        let_idle(conn, timeout_s)
        restored = read_schema(conn, leave_out=manifest.tracking_tables)
        schema = _compare_schema(manifest, folder, restored, with_roles=with_roles)
        share = {name: checksum.share for name, checksum in manifest.checksums.items()}
        contents = read_contents(conn, list_tables(conn), share)
        sequences = read_sequences(conn)
    details = (schema, *_compare_contents(manifest, contents), *_compare_sequences(manifest, sequences))
    checksums = True if manifest.checksums else None
    return Proof(fingerprint_equal=True, rows_equal=True, checksums_equal=checksums, details=details)


def _compare_schema(manifest: Manifest, folder: Path, restored: Schema, *, with_roles: bool) -> str:
    recorded = recorded_schema(manifest, folder)
    if manifest.kind is SnapshotKind.DUMP:
        recorded = recorded.as_restored()
    if not with_roles:
        recorded, restored = recorded.without(_OF_ROLES), restored.without(_OF_ROLES)
    if recorded.fingerprint != restored.fingerprint:
        told = [describe(d) for d in differences(recorded, restored)]
        raise _unequal(manifest, "the restored schema differs: " + _first(told))
    apart = "" if with_roles else ", owners and grants apart"
    return f"{len(recorded.objects)} schema objects equal{apart}"


def _compare_contents(manifest: Manifest, found: Contents) -> Iterator[str]:
    changes = rows_after(manifest.row_counts, found.rows)
    if changes:
        told = [f"{c.table} has {c.now} rows instead of {c.before}" for c in changes]
        raise _unequal(manifest, "restored rows differ: " + _first(told))
    yield f"{sum(found.rows.values())} rows in {len(found.rows)} tables equal"
    # A login that may not read large objects' pages makes no checksum of them.
    both = [name for name in manifest.checksums if name in found.checksums]
    other = [name for name in both if found.checksums[name] != manifest.checksums[name]]
    if other:
        raise _unequal(manifest, "the content of restored rows differs: " + _first(other))
    if both:
        sampled = sum(manifest.checksums[name].share > 1 for name in both)
        whole = f"{len(both) - sampled} tables in full"
        yield f"checksums equal: {whole}" + (f", {sampled} on one row of {SHARE}" if sampled else "")


def _compare_sequences(manifest: Manifest, found: Mapping[str, int | None]) -> Iterator[str]:
    told = [
        f"{name} is at {found.get(name)} instead of {looks[1]}"
        for name, looks in manifest.sequences.items()
        if not _between(found.get(name), *looks)
    ]
    if told:
        raise _unequal(manifest, "restored sequences differ: " + _first(told))
    if manifest.sequences:
        yield f"{len(manifest.sequences)} sequences equal"


def _between(now: int | None, before: int | None, after: int | None) -> bool:
    """A sequence that others drew from during the dump may be anywhere between its two looks."""
    if now in {before, after}:
        return True
    if now is None or after is None:
        return False
    return before is None or min(before, after) <= now <= max(before, after)


def _first(told: list[str]) -> str:
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more


def _unequal(manifest: Manifest, why: str) -> SnapshotUnusable:
    return SnapshotUnusable(
        f"The snapshot {manifest.id!r} did not restore to what was recorded.",
        why=why[0].upper() + why[1:] + ".",
        next_step=f"choose another: faber-db snapshots {manifest.environment}",
    )
