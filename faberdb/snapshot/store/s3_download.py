"""Fetching a snapshot's files from S3 into a folder: several at once, each going on where an earlier try was cut."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from faberdb.errors import Transient
from faberdb.snapshot.files import corrupt, unusable
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.store.s3_client import S3Client, Stream
from faberdb.snapshot.store.s3_errors import ObjectMissing
from faberdb.snapshot.store.transfer import Transfer, all_of

_PIECE: Final = 1 << 20
_MOST_PAUSE_S: Final = 10.0


def fetch_files(
    client: S3Client, manifest: Manifest, folder: Path, *, below: str, transfer: Transfer
) -> None:
    """Ensure that every file of the manifest is in the folder, byte for byte.

    Args:
        client: where from.
        manifest: names the files.
        folder: may hold what an earlier attempt fetched.
        below: what their keys begin with.
        transfer: told of every piece.

    Raises:
        SnapshotUnusable: a file is missing or has other bytes than the manifest says.
        Transient: S3 is away, or the time is over; what was fetched is kept.
    """
    names = list(manifest.files)
    for place in {(folder / name).parent for name in names}:
        place.mkdir(parents=True, exist_ok=True)
    all_of(
        (partial(_fetch, client, manifest, name, folder / name, below + name, transfer) for name in names),
        at_once=client.place.at_once,
    )


def content(client: S3Client, key: str, *, first: int = 0) -> Iterator[bytes]:
    """An object's bytes from one on, across cuts of the connection.

    Raises:
        ObjectMissing: there is none.
        Transient: it was cut as often as is tried, without a byte in between.
    """
    cuts = 0
    while True:
        try:
            stream = client.get(key, first=first)
            try:
                while piece := _read(client, key, stream):
                    first += len(piece)
                    cuts = 0
                    yield piece
            finally:
                stream.close()
        except Transient:
            cuts += 1
            if cuts >= client.place.attempts:
                raise
            time.sleep(min(2.0**cuts / 10, _MOST_PAUSE_S))
        else:
            return


def _read(client: S3Client, key: str, stream: Stream) -> bytes:
    with client.reading(key):
        return stream.read(_PIECE)


def _fetch(client: S3Client, manifest: Manifest, name: str, path: Path, key: str, transfer: Transfer) -> None:
    facts = manifest.files[name]
    begun = path.stat().st_size if path.exists() else 0
    if begun > facts.bytes:
        path.unlink()
        begun = 0
    try:
        if _fetched(client, key, path, facts.bytes, transfer) == facts.sha256:
            return
        path.unlink()
        # What an earlier attempt left may be what is wrong: a power cut can leave zeros.
        if begun and _fetched(client, key, path, facts.bytes, transfer) == facts.sha256:
            return
    except ObjectMissing:
        raise unusable(manifest, f"the file {name} is missing") from None
    raise corrupt(manifest, name)


def _fetched(client: S3Client, key: str, path: Path, size: int, transfer: Transfer) -> str:
    """Fetch what the file lacks; the SHA-256 of the whole."""
    digest = hashlib.sha256()
    with path.open("a+b") as file:
        file.seek(0)
        while piece := file.read(_PIECE):
            digest.update(piece)
            transfer.add(len(piece))
        there = file.tell()
        if there < size or not size:
            for piece in content(client, key, first=there):
                file.write(piece)
                digest.update(piece)
                transfer.add(len(piece))
    return digest.hexdigest()
