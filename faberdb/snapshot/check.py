"""Whether a snapshot's files are the ones that its manifest names, all of them and no other.

Proof that a snapshot restores is more than this: see `faberdb.snapshot.proof`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from faberdb.errors import CommandFailed, SnapshotUnusable
from faberdb.snapshot import programs
from faberdb.snapshot.manifest import FileFacts, Manifest
from faberdb.snapshot.store import MANIFEST, SnapshotStore

DUMP: Final = "dump"  # the archive's folder within a snapshot
SCHEMA: Final = "schema.json"  # the schema whose fingerprint the manifest has


def check_files(store: SnapshotStore, id_: str) -> Manifest:
    """Read every byte of a snapshot, compare the checksums, and have `pg_restore` read the archive's listing.

    Raises:
        SnapshotUnusable: missing, truncated, corrupt or mixed up; names the file.
    """
    manifest, folder = store.open(id_)
    check_sizes(manifest, folder)
    for name, facts in manifest.files.items():
        if _sha256(folder / name) != facts.sha256:
            raise _unusable(manifest, f"the file {name} is corrupt: its checksum is not the manifest's")
    try:
        programs.listing(folder / DUMP)
    except CommandFailed as error:
        raise _unusable(manifest, f"the archive cannot be read: {error.why}") from error
    return manifest


def check_sizes(manifest: Manifest, folder: Path) -> None:
    """The quick look: each file is there with its size, and there is no other.

    Raises:
        SnapshotUnusable: names the first file that is missing, truncated or foreign.
    """
    there = {n: (folder / n).stat().st_size for n in _names(folder)}
    for name, facts in manifest.files.items():
        if name not in there:
            raise _unusable(manifest, f"the file {name} is missing")
        if there[name] != facts.bytes:
            raise _unusable(manifest, f"the file {name} has {there[name]} bytes instead of {facts.bytes}")
    foreign = sorted(set(there) - set(manifest.files))
    if foreign:
        raise _unusable(manifest, f"the file {foreign[0]} does not belong to it")


def measure(folder: Path) -> Mapping[str, FileFacts]:
    """The size and checksum of every file that was written, for the manifest."""
    return {
        name: FileFacts(bytes=(folder / name).stat().st_size, sha256=_sha256(folder / name))
        for name in _names(folder)
    }


def _names(folder: Path) -> list[str]:
    files = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())
    return sorted(n for n in files if n != MANIFEST)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unusable(manifest: Manifest, why: str) -> SnapshotUnusable:
    return SnapshotUnusable(
        f"The snapshot {manifest.id!r} of {manifest.environment} cannot be used.",
        why=why[0].upper() + why[1:] + ".",
        next_step=f"choose another: faber-db snapshots {manifest.environment}",
    )
