"""Which objects a snapshot is in a bucket: the layout of docs/reference/snapshots.md.

PREFIX/ID/manifest.json                 written last
PREFIX/ID/files-<digest>/dump/...       named after the manifest, so that no two attempts write the same object
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial

from msgspec import Struct

from faberdb.snapshot.files import MANIFEST
from faberdb.snapshot.store.ids import checked_id, is_id
from faberdb.snapshot.store.s3_client import Listed, S3Client
from faberdb.snapshot.store.transfer import all_of


class S3Layout(Struct, frozen=True):
    """Looks at, and removes, what belongs to a snapshot."""

    client: S3Client

    def manifest(self, id_: str) -> str:
        """Its key."""
        return self._below(id_) + MANIFEST

    def files(self, id_: str, attempt: str) -> str:
        """What the keys of an attempt's files begin with."""
        return f"{self._below(id_)}{attempt}/"

    def ids(self) -> list[str]:
        """Of everything that is there, complete or not."""
        return [name for name in self.client.folders(self._root) if is_id(name)]

    def sizes(self, id_: str, attempt: str) -> Mapping[str, int]:
        """The bytes of an attempt's files, by their names in the snapshot."""
        below = self.files(id_, attempt)
        return {found.key.removeprefix(below): found.bytes for found in self.client.objects(below)}

    def last_written(self, id_: str) -> datetime | None:
        """When the newest of its objects and uploads was begun; None where there is none."""
        return max((found.at for found in self._all(self._below(id_))), default=None)

    def clear(self, id_: str, *, only: str = "", but: str = "") -> None:
        """Remove its objects, and end its uploads.

        Args:
            id_: the snapshot.
            only: an attempt; nothing else goes.
            but: an attempt that stays, and the manifest with it.
        """
        kept = (self.files(id_, but), self.manifest(id_)) if but else ()
        below = self.files(id_, only) if only else self._below(id_)
        gone = [found for found in self._all(below) if not found.key.startswith(kept)]
        for found in gone:
            if found.upload:
                self.client.abort(found.key, found.upload)
        keys = [found.key for found in gone if not found.upload]
        all_of((partial(self.client.delete, key) for key in keys), at_once=self.client.place.at_once)

    def _all(self, below: str) -> Iterator[Listed]:
        yield from self.client.uploads(below)
        yield from self.client.objects(below)

    def _below(self, id_: str) -> str:
        return f"{self._root}{checked_id(id_)}/"

    @property
    def _root(self) -> str:
        return f"{self.client.place.prefix}/" if self.client.place.prefix else ""


def attempt_of(manifest: bytes) -> str:
    """The folder of the files that a manifest names."""
    return "files-" + hashlib.sha256(manifest).hexdigest()[:16]
