"""The files of a snapshot: what they are called, and whether they are the ones that a manifest names.

All of them, no other, and each byte for byte. Refuses to know where they are kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from faberdb.errors import SnapshotUnusable
from faberdb.snapshot.manifest import FileFacts, Manifest

MANIFEST: Final = "manifest.json"
DUMP: Final = "dump"  # the archive's folder within a snapshot
SCHEMA: Final = "schema.json"  # the schema whose fingerprint the manifest has


def measure(folder: Path) -> Mapping[str, FileFacts]:
    """The size and checksum of every file that was written, for the manifest."""
    sizes = sizes_in(folder)
    return {n: FileFacts(bytes=s, sha256=_sha256(os.path.join(folder, n))) for n, s in sizes.items()}


def sizes_in(folder: Path) -> Mapping[str, int]:
    """The bytes of each file in a folder, but the manifest, by its name with "/"."""
    found = dict(_sizes(folder, ""))
    return {name: found[name] for name in sorted(found) if name != MANIFEST}


def check_sizes(manifest: Manifest, there: Mapping[str, int]) -> None:
    """The quick look: each file is there with its size, and there is no other.

    Raises:
        SnapshotUnusable: names the first file that is missing, truncated or foreign.
    """
    for name, facts in manifest.files.items():
        if name not in there:
            raise unusable(manifest, f"the file {name} is missing")
        if there[name] != facts.bytes:
            raise unusable(manifest, f"the file {name} has {there[name]} bytes instead of {facts.bytes}")
    foreign = sorted(set(there) - set(manifest.files))
    if foreign:
        raise unusable(manifest, f"the file {foreign[0]} does not belong to it")


def check_folder(manifest: Manifest, folder: Path) -> None:
    """Read every byte of the files in a folder and compare.

    Raises:
        SnapshotUnusable: missing, truncated, corrupt or foreign; names the file.
    """
    check_sizes(manifest, sizes_in(folder))
    for name in manifest.files:
        if _sha256(os.path.join(folder, name)) != manifest.files[name].sha256:
            raise corrupt(manifest, name)


def check_content(manifest: Manifest, name: str, content: Iterable[bytes]) -> None:
    """Read one file to its end and compare its checksum.

    Raises:
        SnapshotUnusable: it is another.
    """
    digest = hashlib.sha256()
    for piece in content:
        digest.update(piece)
    if digest.hexdigest() != manifest.files[name].sha256:
        raise corrupt(manifest, name)


def corrupt(manifest: Manifest, name: str) -> SnapshotUnusable:
    """The error for a file with other bytes."""
    return unusable(manifest, f"the file {name} is corrupt: its checksum is not the manifest's")


def unusable(manifest: Manifest, why: str) -> SnapshotUnusable:
    """The error for a snapshot that is not what its manifest says."""
    return SnapshotUnusable(
        f"The snapshot {manifest.id!r} of {manifest.environment} cannot be used.",
        why=why[0].upper() + why[1:] + ".",
        next_step=f"choose another: faber-db snapshots {manifest.environment}",
    )


def _sizes(folder: str | Path, below: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(entry.path, f"{below}{entry.name}/")
            else:  # a link is no file of ours: it has the size of its text
                yield below + entry.name, entry.stat(follow_symlinks=False).st_size


def _sha256(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
