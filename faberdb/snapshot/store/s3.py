"""Snapshots under a prefix of a bucket. The layout is described in docs/reference/snapshots.md.

A snapshot is dumped into a local scratch folder and sent from there; its manifest is written last, so that what
has none is no snapshot. The folder of its files is named after the manifest: two attempts never write the same
object, and an attempt that died is gone on with.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from faberdb.errors import FaberError, Refused, SnapshotUnusable
from faberdb.progress import Progress, silent
from faberdb.snapshot.files import MANIFEST, check_folder, check_sizes, sizes_in, unusable
from faberdb.snapshot.manifest import Manifest, read_manifest
from faberdb.snapshot.store.ids import checked_id
from faberdb.snapshot.store.protocol import Unfinished
from faberdb.snapshot.store.s3_client import S3Client
from faberdb.snapshot.store.s3_download import content, fetch_files
from faberdb.snapshot.store.s3_errors import ObjectMissing, ObjectThere
from faberdb.snapshot.store.s3_layout import S3Layout, attempt_of
from faberdb.snapshot.store.s3_upload import send_files
from faberdb.snapshot.store.scratch import Scratch, remove_folder
from faberdb.snapshot.store.transfer import Transfer, mib

_MARGIN: Final = 64 << 20  # of the disk that a download leaves to others


class _Stored(Struct, frozen=True, kw_only=True):
    manifest: Manifest
    attempt: str  # the folder of its files


@dataclass(frozen=True, slots=True)
class S3Store:
    """See `SnapshotStore`."""

    client: S3Client
    scratch: Scratch
    # What is complete does not change.
    _known: dict[str, _Stored] = field(default_factory=dict, compare=False, repr=False)

    def begin(self, id_: str) -> Path:
        """See `SnapshotStore`. What an earlier attempt sent is left to `commit` and `abandon`."""
        return self.scratch.begin(checked_id(id_))

    def commit(self, id_: str, manifest: Manifest, *, progress: Progress = silent) -> None:
        """See `SnapshotStore`."""
        text = manifest.to_json().encode()
        with self.scratch.alone(checked_id(id_)) as folder:
            _write_durably(
                folder / MANIFEST, text
            )  # from now on the dump is whole, and can be sent by others
            self._send(id_, manifest, text, folder, progress)

    def finish(self, id_: str, *, progress: Progress = silent) -> bool:
        """See `SnapshotStore`."""
        folder = self.scratch.partial(checked_id(id_))
        try:
            text = (folder / MANIFEST).read_bytes()
            manifest = read_manifest(text, snapshot=id_)
        except (FileNotFoundError, SnapshotUnusable):
            return False
        with self.scratch.alone(id_):
            there = self._layout.sizes(id_, attempt_of(text))
            if not _is_whole(manifest, folder, there):
                return False
            progress(f"going on with the upload of {id_}")
            self._send(id_, manifest, text, folder, progress)
        return True

    def abandon(self, id_: str) -> None:
        """See `SnapshotStore`. What cannot be removed there now, prune finds."""
        mine = self._attempt_here(id_)
        self.scratch.remove(id_)
        with contextlib.suppress(FaberError):
            if not self.holds(id_):
                self._layout.clear(id_, only=mine)  # what another machine is sending stays
            elif mine and mine != self._stored(id_).attempt:
                self._layout.clear(id_, only=mine)

    def holds(self, id_: str) -> bool:
        """See `SnapshotStore`."""
        return self.client.has(self._layout.manifest(id_))

    def manifest(self, id_: str) -> Manifest:
        """See `SnapshotStore`."""
        return self._stored(id_).manifest

    def sizes(self, id_: str) -> Mapping[str, int]:
        """See `SnapshotStore`."""
        return self._layout.sizes(id_, self._stored(id_).attempt)

    def read(self, id_: str, name: str) -> Iterator[bytes]:
        """See `SnapshotStore`."""
        stored = self._stored(id_)
        try:
            yield from content(self.client, self._layout.files(id_, stored.attempt) + name)
        except ObjectMissing:
            raise unusable(stored.manifest, f"the file {name} is missing") from None

    @contextlib.contextmanager
    def opened(self, id_: str, *, progress: Progress = silent) -> Iterator[tuple[Manifest, Path]]:
        """See `SnapshotStore`. The folder is scratch, shared by those who read it and removed by the last."""
        stored = self._stored(id_)

        def fetch(folder: Path) -> None:
            self._fetch(stored, folder, progress)

        with self.scratch.fetched(id_, fetch, wait_s=self.client.place.transfer_s) as folder:
            yield stored.manifest, folder

    def list(self, project: str, environment: str | None = None) -> tuple[Manifest, ...]:
        """See `SnapshotStore`."""
        with ThreadPoolExecutor(max_workers=self.client.place.at_once) as pool:
            found = list(pool.map(self._readable, self._layout.ids()))
        ours = [m for m in found if m and m.project == project and environment in {None, m.environment}]
        return tuple(sorted(ours, key=lambda m: (m.created_at, m.id), reverse=True))

    def delete(self, id_: str) -> None:
        """See `SnapshotStore`."""
        self.client.delete(self._layout.manifest(id_))  # first: without it, what is left is no snapshot
        self._known.pop(id_, None)
        self.scratch.remove(id_)
        self._layout.clear(id_)

    def unfinished(self) -> tuple[Unfinished, ...]:
        """See `SnapshotStore`."""
        here = dict(self.scratch.left())
        found = [Unfinished(id=id_, at=at, resumable=self.resumable(id_)) for id_, at in here.items()]
        others = [i for i in self._layout.ids() if i not in here and i not in self._known]
        with ThreadPoolExecutor(max_workers=self.client.place.at_once) as pool:
            found += [left for left in pool.map(self._left_there, others) if left is not None]
        return tuple(sorted(found, key=lambda u: (u.at, u.id)))

    def resumable(self, id_: str) -> bool:
        """See `SnapshotStore`."""
        return bool(self._attempt_here(id_))

    def free_bytes(self) -> int | None:
        """See `SnapshotStore`. A bucket has no bound, the scratch folder has."""
        return self.scratch.free_bytes()

    def _send(self, id_: str, manifest: Manifest, text: bytes, folder: Path, progress: Progress) -> None:
        attempt, place = attempt_of(text), self.client.place
        progress(f"sending {mib(manifest.bytes)} in {len(manifest.files)} files to {place}")
        send_files(
            self.client,
            folder,
            manifest.files,
            to=self._layout.files(id_, attempt),
            there=self._layout.sizes(id_, attempt),
            transfer=Transfer(
                verb="uploaded",
                total=manifest.bytes,
                progress=progress,
                deadline=time.monotonic() + place.transfer_s,
            ),
        )
        check_sizes(manifest, self._layout.sizes(id_, attempt))
        self._publish(id_, text)
        remove_folder(folder)
        self._layout.clear(id_, but=attempt)
        progress(f"sent the snapshot {id_}")

    def _publish(self, id_: str, text: bytes) -> None:
        key, digest = self._layout.manifest(id_), hashlib.md5(text, usedforsecurity=False).digest()
        try:
            self.client.put(key, io.BytesIO(text), size=len(text), md5=digest, only_new=True)
        except ObjectThere as error:
            # An answer that was lost and asked for again ends here too: then it is ours.
            if b"".join(content(self.client, key)) != text:
                raise SnapshotUnusable(
                    f"Another process took the snapshot {id_!r} meanwhile; theirs stands.",
                    next_step="run the same command again: it finds it",
                ) from error

    def _fetch(self, stored: _Stored, folder: Path, progress: Progress) -> None:
        manifest, place = stored.manifest, self.client.place
        check_sizes(manifest, self._layout.sizes(manifest.id, stored.attempt))
        self._require_space(manifest, folder)
        progress(f"fetching {mib(manifest.bytes)} in {len(manifest.files)} files from {place}")
        fetch_files(
            self.client,
            manifest,
            folder,
            below=self._layout.files(manifest.id, stored.attempt),
            transfer=Transfer(
                verb="downloaded",
                total=manifest.bytes,
                progress=progress,
                deadline=time.monotonic() + place.transfer_s,
            ),
        )

    def _require_space(self, manifest: Manifest, folder: Path) -> None:
        needed = manifest.bytes - sum(sizes_in(folder).values()) + _MARGIN
        free = self.scratch.free_bytes()
        if free < needed:
            raise Refused(
                f"The scratch folder {self.scratch.root} has {mib(free)} free, and the snapshot"
                f" {manifest.id!r} needs {mib(needed)} there; nothing was fetched.",
                next_step="free some space, or set [backup] scratch_directory to a larger disk",
            )

    def _stored(self, id_: str) -> _Stored:
        if id_ not in self._known:
            try:
                text = b"".join(content(self.client, self._layout.manifest(id_)))
            except ObjectMissing:
                raise SnapshotUnusable(
                    f"There is no snapshot {id_!r}.",
                    why=f"{self.client.place} has none, or it lost its {MANIFEST}.",
                    next_step="faber-db snapshots",
                ) from None
            self._known[id_] = _Stored(manifest=read_manifest(text, snapshot=id_), attempt=attempt_of(text))
        return self._known[id_]

    def _readable(self, id_: str) -> Manifest | None:
        """One damaged manifest must not hide the good ones; asked for by its id it says what it has."""
        try:
            return self.manifest(id_)
        except SnapshotUnusable:
            return None

    def _left_there(self, id_: str) -> Unfinished | None:
        """What another machine is sending, or was."""
        at = None if self.holds(id_) else self._layout.last_written(id_)
        return Unfinished(id=id_, at=at, resumable=False) if at is not None else None

    def _attempt_here(self, id_: str) -> str:
        """Of what is dumped here and not sent; "" where nothing is."""
        try:
            return attempt_of((self.scratch.partial(checked_id(id_)) / MANIFEST).read_bytes())
        except FileNotFoundError:
            return ""

    @property
    def _layout(self) -> S3Layout:
        return S3Layout(self.client)


def _is_whole(manifest: Manifest, folder: Path, there: Mapping[str, int]) -> bool:
    """Whether every file is here or there; here, byte for byte: a power cut can leave zeros."""
    here = sizes_in(folder)
    try:
        check_sizes(manifest, {**there, **here})
        check_folder(_part(manifest, here), folder)
    except SnapshotUnusable:
        return False
    return True


def _part(manifest: Manifest, names: Mapping[str, int]) -> Manifest:
    return replace(manifest, files={n: f for n, f in manifest.files.items() if n in names})


def _write_durably(path: Path, text: bytes) -> None:
    partial = path.with_name("manifest.writing")
    with partial.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
