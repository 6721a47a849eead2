from __future__ import annotations

import dataclasses
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from faberdb.errors import SnapshotUnusable
from faberdb.snapshot.files import check_sizes, measure
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.store import LocalStore, new_snapshot_id, snapshot_id_of_release
from tests.unit.test_snapshot_manifest import MANIFEST

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "snapshots")


def put(store: LocalStore, id_: str, *, environment: str = "production", hours: int = 0) -> Manifest:
    folder = store.begin(id_)
    (folder / "dump").mkdir()
    (folder / "dump" / "toc.dat").write_bytes(b"table of contents")
    manifest = dataclasses.replace(
        MANIFEST,
        id=id_,
        environment=environment,
        created_at=NOON + timedelta(hours=hours),
        files=measure(folder),
    )
    store.commit(id_, manifest)
    return manifest


def test_a_committed_snapshot_is_found_whole(store: LocalStore) -> None:
    manifest = put(store, "one")
    with store.opened("one") as (found, folder):
        assert found == manifest
        assert (folder / "dump" / "toc.dat").read_bytes() == b"table of contents"
    assert b"".join(store.read("one", "dump/toc.dat")) == b"table of contents"
    assert store.holds("one")


def test_one_that_is_being_written_is_not_there_yet(store: LocalStore) -> None:
    store.begin("one")
    assert not store.holds("one")
    assert store.list("shop") == ()
    with pytest.raises(SnapshotUnusable, match="no snapshot 'one'"):
        store.manifest("one")


def test_beginning_again_forgets_what_was_written(store: LocalStore) -> None:
    (store.begin("one") / "half").write_text("half")
    assert list(store.begin("one").iterdir()) == []


def test_the_folder_of_a_snapshot_is_its_owners_alone(store: LocalStore) -> None:
    put(store, "one")
    assert stat.S_IMODE((store.root / "one").stat().st_mode) == 0o700


def test_snapshots_are_listed_newest_first_by_project_and_environment(store: LocalStore) -> None:
    put(store, "a", hours=1)
    put(store, "b", hours=3)
    put(store, "c", hours=2, environment="staging")
    assert [m.id for m in store.list("shop")] == ["b", "c", "a"]
    assert [m.id for m in store.list("shop", "production")] == ["b", "a"]
    assert store.list("another project") == ()


def test_a_damaged_manifest_does_not_hide_the_good_ones(store: LocalStore) -> None:
    put(store, "good")
    put(store, "bad")
    (store.root / "bad" / "manifest.json").write_text("{")
    assert [m.id for m in store.list("shop")] == ["good"]
    with pytest.raises(SnapshotUnusable, match="'bad'"):
        store.manifest("bad")


def test_a_renamed_folder_is_not_taken_for_another_snapshot(store: LocalStore) -> None:
    put(store, "one")
    (store.root / "one").rename(store.root / "two")
    with pytest.raises(SnapshotUnusable, match="that of 'one'"):
        store.manifest("two")


def test_deleting_twice_is_deleting_once(store: LocalStore) -> None:
    put(store, "one")
    put(store, "two")
    store.delete("one")
    store.delete("one")
    assert [m.id for m in store.list("shop")] == ["two"]
    assert [p.name for p in store.root.iterdir()] == ["two"]


def test_the_second_of_two_that_took_the_same_snapshot_is_told(store: LocalStore) -> None:
    first = put(store, "one")
    store.begin("one")
    with pytest.raises(SnapshotUnusable, match="Another process took the snapshot 'one'"):
        store.commit("one", first)
    assert store.manifest("one") == first


@pytest.mark.parametrize("id_", ["", "..", "../outside", "/etc", "a/b", ".hidden", "one.partial", "x" * 200])
def test_an_id_that_could_leave_the_store_is_refused(store: LocalStore, id_: str) -> None:
    for use in (store.begin, store.manifest, store.delete, store.holds):
        with pytest.raises(SnapshotUnusable, match="no snapshot's id"):
            use(id_)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "dump/toc.dat").unlink(), "dump/toc.dat is missing"),
        (lambda f: (f / "dump/toc.dat").write_bytes(b"table"), "dump/toc.dat has 5 bytes instead of 17"),
        (lambda f: (f / "dump/3000.dat").write_bytes(b""), "dump/3000.dat does not belong"),
    ],
)
def test_the_quick_look_names_the_file(store: LocalStore, damage: object, told: str) -> None:
    manifest = put(store, "one")
    assert callable(damage)
    damage(store.root / "one")
    with pytest.raises(SnapshotUnusable, match=told):
        check_sizes(manifest, store.sizes("one"))


def test_ids_sort_by_time_and_are_never_the_same() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    first, second = new_snapshot_id("production", there), new_snapshot_id("production", there)
    assert first.startswith("production-20261123T120000Z-")
    assert first != second
    assert second < new_snapshot_id("production", NOON + timedelta(seconds=1))


def test_a_release_has_one_snapshot_id_that_a_store_takes(store: LocalStore) -> None:
    assert snapshot_id_of_release("rel-prod-1") == snapshot_id_of_release("rel-prod-1")
    assert snapshot_id_of_release("rel-prod-1") != snapshot_id_of_release("rel-prod-2")
    store.begin(snapshot_id_of_release("rel-prod ä/../1"))
