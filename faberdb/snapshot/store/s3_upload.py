"""Sending a folder's files to S3, each removed here when it is whole there; what is there is not sent again.

Where the files go is named after their manifest, so that an object of the right size, or a part of an upload,
that is found there is of the same content: S3 compared its MD5 when it came. An object is there whole or not
at all.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from faberdb.errors import Failed
from faberdb.snapshot.files import sizes_in
from faberdb.snapshot.manifest import FileFacts
from faberdb.snapshot.place import MIN_PART_BYTES
from faberdb.snapshot.store.s3_client import S3Client
from faberdb.snapshot.store.s3_errors import UploadGone
from faberdb.snapshot.store.transfer import Transfer, all_of

_MOST_PARTS: Final = 10_000
_PIECE: Final = 1 << 20  # bytes in memory for each request


def send_files(
    client: S3Client,
    folder: Path,
    files: Mapping[str, FileFacts],
    *,
    to: str,
    there: Mapping[str, int],
    transfer: Transfer,
) -> None:
    """Ensure that every file is there.

    Args:
        client: where to.
        folder: the files that are not there yet.
        files: all of them, by name.
        to: what their keys begin with.
        there: the bytes of those that are there whole already, by name.
        transfer: told of every piece.

    Raises:
        Transient: S3 is away, or the time is over; the files are kept.
        Failed: a file is in neither place.
    """
    sending = _Sending(client=client, folder=folder, to=to, transfer=transfer)
    for name in sizes_in(folder):
        if there.get(name) == files[name].bytes:
            (folder / name).unlink()
    here = sizes_in(folder)
    for name, facts in files.items():
        if name not in here and there.get(name) != facts.bytes:
            raise Failed(
                f"The file {name} of the snapshot is neither here nor in {client.place}.",
                why="Another process removed it.",
                next_step="run the same command again: it takes the snapshot anew",
            )
        if name not in here:
            transfer.add(facts.bytes)
    small = [name for name, size in here.items() if size <= client.place.part_bytes]
    all_of((partial(sending.whole, name) for name in small), at_once=client.place.at_once)
    for name in sorted(set(here) - set(small)):
        sending.in_parts(name, here[name])


class _Sending(Struct, frozen=True, kw_only=True):
    client: S3Client
    folder: Path
    to: str
    transfer: Transfer

    def whole(self, name: str) -> None:
        path = self.folder / name
        size = path.stat().st_size
        with path.open("rb") as file, _Slice(file, 0, size, self.transfer) as body:
            self.client.put(self.to + name, body, size=size, md5=body.md5())
        path.unlink()
        self.transfer.add(size)

    def in_parts(self, name: str, size: int) -> None:
        """One large file, several parts at once. Parts that are there from an earlier attempt stay."""
        key, path = self.to + name, self.folder / name
        step = max(self.client.place.part_bytes, MIN_PART_BYTES, -(-size // _MOST_PARTS))
        upload = next((u.upload for u in self.client.uploads(key) if u.key == key), "")
        there = self._parts_there(key, upload) if upload else {}
        upload = upload or self.client.begin_upload(key)
        tags: dict[int, str] = {}

        def part(number: int, first: int, length: int) -> None:
            found = there.get(number)
            if found and found[0] == length:
                tags[number] = found[1]
            else:
                with path.open("rb") as file, _Slice(file, first, length, self.transfer) as body:
                    tags[number] = self.client.put_part(
                        key, upload, number, body, size=length, md5=body.md5()
                    )
            self.transfer.add(length)

        pieces = enumerate(range(0, size, step), start=1)
        all_of(
            (partial(part, n, first, min(step, size - first)) for n, first in pieces),
            at_once=self.client.place.at_once,
        )
        self.client.complete(key, upload, tags)
        path.unlink()

    def _parts_there(self, key: str, upload: str) -> Mapping[int, tuple[int, str]]:
        try:
            return self.client.parts(key, upload)
        except UploadGone:
            return {}


class _Slice(io.RawIOBase):
    """A part of a file, read as it is sent and never held; can be sent again from its start."""

    def __init__(self, file: BinaryIO, first: int, length: int, transfer: Transfer) -> None:
        self._file, self._first, self._length, self._transfer = file, first, length, transfer
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, min(self._length, start + offset))
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._transfer.check_time()
        wanted = min(len(buffer), self._length - self._at)
        self._file.seek(self._first + self._at)
        read = self._file.readinto(memoryview(buffer)[:wanted])  # type: ignore[attr-defined]
        self._at += read
        return int(read)

    def md5(self) -> bytes:
        """Of the whole; S3 compares it with what arrived."""
        digest = hashlib.md5(usedforsecurity=False)
        self.seek(0)
        while piece := self.read(_PIECE):
            digest.update(piece)
        self.seek(0)
        return digest.digest()
