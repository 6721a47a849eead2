"""Whether a snapshot in a store is whole, and its archive one that `pg_restore` reads.

Nothing is copied but the archive's table of contents. Proof that a snapshot restores is more than this: see
`faberdb.snapshot.proof`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from faberdb.errors import CommandFailed
from faberdb.snapshot import programs
from faberdb.snapshot.clients import choose_clients
from faberdb.snapshot.files import DUMP, check_content, check_sizes, unusable
from faberdb.snapshot.manifest import Manifest, SnapshotKind
from faberdb.snapshot.store import SnapshotStore

_CONTENTS: Final = "toc.dat"  # all that `pg_restore --list` reads of the directory format


def check_files(store: SnapshotStore, id_: str) -> Manifest:
    """Read every byte of a snapshot, compare the checksums, and have `pg_restore` read the archive's listing.

    Raises:
        SnapshotUnusable: missing, truncated, corrupt or mixed up; names the file.
    """
    manifest = store.manifest(id_)
    check_sizes(manifest, store.sizes(id_))
    for name in manifest.files:
        check_content(manifest, name, store.read(id_, name))
    if manifest.kind is SnapshotKind.TEMPLATE:
        return manifest  # its rows are in a database: see `faberdb.snapshot.template`
    with tempfile.TemporaryDirectory(prefix="faber-db-listing-") as folder:
        with Path(folder, _CONTENTS).open("wb") as file:
            file.writelines(store.read(id_, f"{DUMP}/{_CONTENTS}"))
        check_archive(manifest, Path(folder))
    return manifest


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
