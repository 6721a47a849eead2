"""Whether a snapshot's files are what its manifest says."""

from __future__ import annotations

import hashlib
from pathlib import Path

from faberdb.embedded import client_program
from faberdb.errors import CommandFailed, SnapshotUnusable
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.store import SnapshotStore
from faberdb.subprocesses import run_program


def check_files(store: SnapshotStore, id_: str) -> Manifest:
    """Compare every file with its checksum and have `pg_restore` read the archive's contents.

    Raises:
        SnapshotUnusable: names what is missing, truncated or changed.
    """
    manifest, folder = store.manifest(id_), store.folder(id_)
    for name, record in manifest.files.items():
        _check_file(id_, folder / name, record.bytes, record.sha256)
    foreign = {p.name for p in folder.iterdir()} - set(manifest.files)
    if foreign:
        raise SnapshotUnusable(
            f"Snapshot {id_} holds files that are not its own: {', '.join(sorted(foreign))}.",
            next_step="faber-db snapshots, and use another one",
        )
    try:
        run_program(
            [client_program("pg_restore"), "--list", folder],
            timeout_s=120,
            what=f"pg_restore --list of {id_}",
        )
    except CommandFailed as error:
        raise SnapshotUnusable(f"The archive of snapshot {id_} cannot be read.", why=error.why) from error
    return manifest


def _check_file(id_: str, path: Path, size: int, sha256: str) -> None:
    next_step = "faber-db snapshots, and use another one"
    if not path.is_file():
        raise SnapshotUnusable(f"Snapshot {id_} lacks its file {path.name}.", next_step=next_step)
    found = path.stat().st_size
    if found != size:
        raise SnapshotUnusable(
            f"The file {path.name} of snapshot {id_} has {found} bytes, and had {size} when it was taken.",
            next_step=next_step,
        )
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise SnapshotUnusable(
                f"The file {path.name} of snapshot {id_} is corrupt: its checksum differs.",
                next_step=next_step,
            )
