"""Where snapshots are kept: complete ones by id, and those that are being written apart from them."""

from faberdb.snapshot.store.ids import new_snapshot_id, snapshot_id_of_release
from faberdb.snapshot.store.local import LocalStore
from faberdb.snapshot.store.protocol import SnapshotStore, Unfinished

__all__ = [
    "LocalStore",
    "SnapshotStore",
    "Unfinished",
    "new_snapshot_id",
    "snapshot_id_of_release",
]
