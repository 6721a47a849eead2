"""What every store of snapshots must do, a folder as well as a bucket over HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from msgspec.structs import replace

from faberdb.errors import SnapshotUnusable
from faberdb.snapshot.files import check_sizes, measure
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.place import S3Place
from faberdb.snapshot.store import LocalStore, SnapshotStore, snapshot_id_of_release
from faberdb.snapshot.store.s3 import S3Store
from tests.s3_server import boto, keys, store_at
from tests.unit.test_snapshot_manifest import MANIFEST

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CONTENT = {
    "dump/toc.dat": b"table of contents",
    "dump/3000.dat.gz": b"rows",
    "schema.json": b"{}",
    "dump/none": b"",
}


class Kept(Protocol):
    """A store, and its files past it."""

    @property
    def store(self) -> SnapshotStore: ...

    def write(self, id_: str, name: str, content: bytes) -> None: ...

    def delete(self, id_: str, name: str) -> None: ...

    def names(self) -> set[str]:
        """Of the snapshots that something of is there."""


class InFolder:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "snapshots"
        self.store = LocalStore(self.root)

    def write(self, id_: str, name: str, content: bytes) -> None:
        (self.root / id_ / name).write_bytes(content)

    def delete(self, id_: str, name: str) -> None:
        (self.root / id_ / name).unlink()

    def names(self) -> set[str]:
        return {p.name for p in self.root.iterdir()}


class InBucket:
    def __init__(self, store: S3Store, place: S3Place) -> None:
        self.store, self.place = store, place

    def write(self, id_: str, name: str, content: bytes) -> None:
        boto(self.place.endpoint_url).put_object(
            Bucket=self.place.bucket, Key=self._key(id_, name), Body=content
        )

    def delete(self, id_: str, name: str) -> None:
        boto(self.place.endpoint_url).delete_object(Bucket=self.place.bucket, Key=self._key(id_, name))

    def names(self) -> set[str]:
        there = {k.removeprefix(self.place.prefix + "/").split("/")[0] for k in keys(self.place)}
        scratch = self.store.scratch.root
        return there | ({p.name for p in scratch.iterdir()} if scratch.exists() else set())

    def _key(self, id_: str, name: str) -> str:
        below = f"{self.place.prefix}/{id_}/"
        if name == "manifest.json":
            return below + name
        folder = next(k for k in keys(self.place) if k.startswith(below + "files-"))
        return "/".join([*folder.split("/")[:4], name])


@pytest.fixture(params=["folder", "bucket"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "folder":
        return InFolder(tmp_path)
    place = request.getfixturevalue("place")
    return InBucket(store_at(place, tmp_path), place)


@pytest.fixture
def store(kept: Kept) -> SnapshotStore:
    return kept.store


def write(folder: Path, content: dict[str, bytes] = CONTENT) -> None:
    for name, data in content.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def manifest_of(folder: Path, id_: str, *, environment: str = "production", hours: int = 0) -> Manifest:
    return replace(
        MANIFEST,
        id=id_,
        environment=environment,
        created_at=NOON + timedelta(hours=hours),
        files=measure(folder),
    )


def put(store: SnapshotStore, id_: str, *, environment: str = "production", hours: int = 0) -> Manifest:
    folder = store.begin(id_)
    write(folder)
    manifest = manifest_of(folder, id_, environment=environment, hours=hours)
    store.commit(id_, manifest)
    return manifest


def test_what_is_committed_is_found_whole(store: SnapshotStore) -> None:
    manifest = put(store, "one")
    assert store.holds("one")
    assert store.manifest("one") == manifest
    assert store.sizes("one") == {name: len(data) for name, data in CONTENT.items()}
    with store.opened("one") as (found, folder):
        assert found == manifest
        assert {n: (folder / n).read_bytes() for n in manifest.files} == CONTENT
    assert b"".join(store.read("one", "dump/toc.dat")) == CONTENT["dump/toc.dat"]


def test_one_that_is_being_written_is_not_there_yet(store: SnapshotStore) -> None:
    write(store.begin("one"))
    assert not store.holds("one")
    assert store.list("shop") == ()
    with pytest.raises(SnapshotUnusable, match="no snapshot 'one'"):
        store.manifest("one")


def test_beginning_again_forgets_what_was_written(store: SnapshotStore) -> None:
    (store.begin("one") / "half").write_text("half")
    assert list(store.begin("one").iterdir()) == []


def test_what_is_abandoned_leaves_nothing_and_what_is_complete_stays(kept: Kept) -> None:
    put(kept.store, "one")
    write(kept.store.begin("two"))
    kept.store.abandon("two")
    kept.store.abandon("one")
    assert kept.names() == {"one"}
    assert [m.id for m in kept.store.list("shop")] == ["one"]


def test_what_was_begun_and_left_is_told_with_its_age(store: SnapshotStore) -> None:
    put(store, "one")
    write(store.begin("two"))
    (left,) = store.unfinished()
    assert (left.id, left.resumable) == ("two", False)
    assert abs(datetime.now(UTC) - left.at) < timedelta(minutes=1)
    store.abandon("two")
    assert store.unfinished() == ()


def test_there_is_nothing_to_finish_where_nothing_was_whole(store: SnapshotStore) -> None:
    write(store.begin("one"))
    assert not store.finish("one")
    assert not store.finish("two")


def test_the_folder_of_what_is_written_is_its_owners_alone(store: SnapshotStore) -> None:
    assert store.begin("one").stat().st_mode & 0o777 == 0o700


def test_snapshots_are_listed_newest_first_by_project_and_environment(store: SnapshotStore) -> None:
    put(store, "a", hours=1)
    put(store, "b", hours=3)
    put(store, "c", hours=2, environment="staging")
    assert [m.id for m in store.list("shop")] == ["b", "c", "a"]
    assert [m.id for m in store.list("shop", "production")] == ["b", "a"]
    assert store.list("another project") == ()


def test_a_damaged_manifest_does_not_hide_the_good_ones(kept: Kept, tmp_path: Path) -> None:
    put(kept.store, "good")
    put(kept.store, "bad")
    kept.write("bad", "manifest.json", b"{")
    seen = again(kept, tmp_path)
    assert [m.id for m in seen.list("shop")] == ["good"]
    with pytest.raises(SnapshotUnusable, match="'bad'"):
        seen.manifest("bad")


def test_a_manifest_under_another_name_is_not_taken_for_another_snapshot(kept: Kept, tmp_path: Path) -> None:
    manifest = put(kept.store, "one")
    put(kept.store, "two")
    kept.write("two", "manifest.json", manifest.to_json().encode())
    with pytest.raises(SnapshotUnusable, match="that of 'one'"):
        again(kept, tmp_path).manifest("two")


def again(kept: Kept, folder: Path) -> SnapshotStore:
    """As another process sees it."""
    return store_at(kept.place, folder) if isinstance(kept, InBucket) else kept.store


def test_deleting_twice_is_deleting_once(kept: Kept) -> None:
    put(kept.store, "one")
    put(kept.store, "two")
    kept.store.delete("one")
    kept.store.delete("one")
    assert [m.id for m in kept.store.list("shop")] == ["two"]
    assert kept.names() == {"two"}


def test_the_second_of_two_that_took_the_same_snapshot_is_told(store: SnapshotStore) -> None:
    first = put(store, "one")
    folder = store.begin("one")
    write(folder)
    with pytest.raises(SnapshotUnusable, match="Another process took the snapshot 'one'"):
        store.commit("one", manifest_of(folder, "one", hours=1))
    store.abandon("one")
    assert store.manifest("one") == first
    with store.opened("one"):
        pass


@pytest.mark.parametrize("id_", ["", "..", "../outside", "/etc", "a/b", ".hidden", "one.partial", "x" * 200])
def test_an_id_that_could_leave_the_store_is_refused(store: SnapshotStore, id_: str) -> None:
    for use in (store.begin, store.manifest, store.delete, store.holds, store.abandon):
        with pytest.raises(SnapshotUnusable, match="no snapshot's id"):
            use(id_)


def _cut(kept: Kept) -> None:
    kept.write("one", "dump/toc.dat", b"table")


def _flip(kept: Kept) -> None:
    kept.write("one", "dump/toc.dat", b"table of_contents")


def _lose(kept: Kept) -> None:
    kept.delete("one", "dump/toc.dat")


def _add(kept: Kept) -> None:
    kept.write("one", "dump/4000.dat", b"foreign")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_lose, "dump/toc.dat is missing"),
        (_cut, "dump/toc.dat has 5 bytes instead of 17"),
        (_flip, "dump/toc.dat is corrupt"),
        (_add, "dump/4000.dat does not belong"),
    ],
)
def test_a_damaged_snapshot_is_refused_by_the_name_of_its_file(
    kept: Kept, damage: Callable[[Kept], None], told: str
) -> None:
    manifest = put(kept.store, "one")
    damage(kept)
    with pytest.raises(SnapshotUnusable, match=told), kept.store.opened("one"):
        pass
    if damage is not _flip:
        with pytest.raises(SnapshotUnusable, match=told):
            check_sizes(manifest, kept.store.sizes("one"))
    assert kept.names() == {"one"}  # nothing of it was left lying here


def test_a_file_that_is_missing_is_named_when_it_is_read(kept: Kept) -> None:
    put(kept.store, "one")
    _lose(kept)
    with pytest.raises(SnapshotUnusable, match=r"dump/toc\.dat is missing"):
        b"".join(kept.store.read("one", "dump/toc.dat"))


def test_several_readers_share_what_was_opened(store: SnapshotStore) -> None:
    put(store, "one")
    with store.opened("one") as (_, first):
        with store.opened("one") as (_, second):
            assert first == second
        assert (first / "schema.json").exists()


def test_a_release_has_one_snapshot_id_that_a_store_takes(store: SnapshotStore) -> None:
    store.begin(snapshot_id_of_release("rel-prod ä/../1"))


def test_a_file_of_several_parts_comes_back_byte_for_byte(store: SnapshotStore) -> None:
    """More than two parts of the smallest size that S3 takes, the last one short."""
    large = secrets.token_bytes(11 << 20)
    notes: list[str] = []
    folder = store.begin("one")
    write(folder, {"dump/large": large, **CONTENT})
    store.commit("one", manifest_of(folder, "one"), progress=notes.append)
    with store.opened("one") as (_, opened):
        assert (opened / "dump/large").read_bytes() == large
