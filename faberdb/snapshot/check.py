"""Whether a snapshot in a store is whole, and its archive one that `pg_restore` reads.

Nothing is copied but the archive's table of contents. Proof that a snapshot restores is more than this: see
`faberdb.snapshot.proof`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from faberdb.errors import CommandFailed
from faberdb.progress import Progress, silent
from faberdb.snapshot import programs
from faberdb.snapshot.clients import choose_clients
from faberdb.snapshot.files import DUMP, check_content, check_sizes, unusable
from faberdb.snapshot.manifest import Manifest, SnapshotKind
from faberdb.snapshot.store import SnapshotStore
from faberdb.snapshot.store.transfer import Transfer, all_of

_AT_ONCE: Final = 4  # files: a bucket answers several at a time, and a processor has several cores
_CONTENTS: Final = "toc.dat"  # all that `pg_restore --list` reads of the directory format


def check_files(
    store: SnapshotStore, id_: str, *, progress: Progress = silent, timeout_s: float = 3600
) -> Manifest:
    """Read every byte of a snapshot, compare the checksums, and have `pg_restore` read the archive's listing.

    Raises:
        SnapshotUnusable: missing, truncated, corrupt or mixed up; names the file.
        Transient: the store is away, or it took longer than `timeout_s`.
    """
    manifest = store.manifest(id_)
    check_sizes(manifest, store.sizes(id_))
    transfer = Transfer(
        verb="compared", total=manifest.bytes, progress=progress, deadline=time.monotonic() + timeout_s
    )
    all_of((partial(_check, store, manifest, name, transfer) for name in manifest.files), at_once=_AT_ONCE)
    if manifest.kind is SnapshotKind.TEMPLATE:
        return manifest  # its rows are in a database: see `faberdb.snapshot.template`
    with tempfile.TemporaryDirectory(prefix="faber-db-listing-") as folder:
        with Path(folder, _CONTENTS).open("wb") as file:
            file.writelines(store.read(id_, f"{DUMP}/{_CONTENTS}"))
        check_archive(manifest, Path(folder))
    return manifest


def _check(store: SnapshotStore, manifest: Manifest, name: str, transfer: Transfer) -> None:
    def told() -> Iterator[bytes]:
        for piece in store.read(manifest.id, name):
            transfer.add(len(piece))
            yield piece

    check_content(manifest, name, told())


def check_archive(manifest: Manifest, archive: Path) -> None:
    """Have `pg_restore` read an archive's listing.

    Raises:
        SnapshotUnusable: it cannot.
    """
    zstd = manifest.compression == "zstd"
    clients = choose_clients(manifest.server_version, at_least=manifest.client_version, zstd=zstd)
    try:
        programs.listing(archive, clients)
    except CommandFailed as error:
        raise unusable(manifest, f"the archive cannot be read: {error.why}") from error
