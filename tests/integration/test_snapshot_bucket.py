"""Snapshots in a bucket, when the network, S3 or the process does not behave."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from faberdb.errors import (
    AuthenticationFailed,
    EnvironmentBusy,
    FaberError,
    Refused,
    ServerUnreachable,
    SnapshotUnusable,
    Transient,
)
from faberdb.snapshot.manifest import Manifest
from faberdb.snapshot.place import S3Login, S3Place
from faberdb.snapshot.store.s3 import S3Store
from faberdb.snapshot.store.scratch import Scratch
from tests.contract.test_snapshot_stores import manifest_of, write
from tests.s3_server import PART, Fault, FaultyS3, boto, keys, open_uploads, store_at

SMALL = {"dump/toc.dat": b"table of contents", "schema.json": b"{}", "dump/3000.dat.gz": bytes(3000)}


@pytest.fixture
def faulty(place: S3Place) -> Iterator[tuple[FaultyS3, S3Place]]:
    """The bucket seen through something that misbehaves when told to."""
    standin = FaultyS3(upstream=place.endpoint_url)
    with standin.listening() as url:
        yield standin, replace(place, endpoint_url=url, silence_s=1)


def begun(store: S3Store, content: dict[str, bytes] = SMALL, id_: str = "one") -> Manifest:
    folder = store.begin(id_)
    write(folder, content)
    return manifest_of(folder, id_)


def fetched(store: S3Store, id_: str = "one") -> dict[str, bytes]:
    with store.opened(id_) as (manifest, folder):
        return {name: (folder / name).read_bytes() for name in manifest.files}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(how="answer", status=500, times=2, method="PUT"),
        Fault(how="answer", status=503, times=2, method="PUT"),
        Fault(how="silent", times=1, method="PUT", after=1500),
        Fault(how="cut request", times=1, method="PUT", path="3000.dat", after=1000),
        Fault(how="lose answer", times=1, method="PUT", path="manifest.json"),
        Fault(how="lose answer", times=1, method="PUT", path="toc.dat"),
        Fault(how="answer", status=503, times=2, method="GET"),
        Fault(how="cut answer", times=2, method="GET", path="3000.dat", after=1000),
        Fault(how="silent", times=1, method="GET", path="manifest.json", after=1500),
    ],
    ids=lambda f: f"{f.how} {f.status if f.how == 'answer' else ''}{f.method} {f.path}",
)
def test_a_bad_moment_passes_unseen(faulty: tuple[FaultyS3, S3Place], fault: Fault, tmp_path: Path) -> None:
    standin, place = faulty
    store = store_at(place, tmp_path)
    manifest = begun(store)
    standin.faults = [fault]
    store.commit("one", manifest)
    assert fetched(store) == SMALL
    assert fault.times == 0


@pytest.mark.parametrize("path", ["toc.dat", "manifest.json"], ids=["at a file", "at the manifest"])
def test_where_it_stays_away_the_dump_is_kept_and_the_same_id_goes_on(
    faulty: tuple[FaultyS3, S3Place], tmp_path: Path, path: str
) -> None:
    """Nothing is half there: what has no manifest is no snapshot."""
    standin, place = faulty
    store = store_at(place, tmp_path)
    manifest = begun(store)
    standin.faults = [Fault(how="answer", status=503, times=100, method="PUT", path=path)]
    with pytest.raises(Transient, match="could not write"):
        store.commit("one", manifest)
    assert store.list("shop") == ()
    assert [(u.id, u.resumable) for u in store.unfinished()] == [("one", True)]
    standin.faults = []
    assert store.finish("one")
    assert store.manifest("one") == manifest
    assert fetched(store) == SMALL
    assert store.unfinished() == ()


def test_nobody_listening_is_something_to_try_again_and_bounded(place: S3Place, tmp_path: Path) -> None:
    away = replace(place, endpoint_url="http://127.0.0.1:1", attempts=2)
    with pytest.raises(ServerUnreachable, match="does not answer"):
        store_at(away, tmp_path).list("shop")


def test_a_key_that_is_turned_away_is_refused_without_being_said(
    faulty: tuple[FaultyS3, S3Place], tmp_path: Path
) -> None:
    standin, place = faulty
    login = S3Login(access_key_id="AKIACANARY", secret_access_key="hunter2")
    standin.faults = [Fault(how="answer", status=403, times=9)]
    with pytest.raises(FaberError) as refused:
        store_at(replace(place, login=login), tmp_path).list("shop")
    assert "CANARY" not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_no_credentials_at_all_are_said_to_be_missing(
    place: S3Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(AuthenticationFailed, match="no credentials"):
        store_at(replace(place, login=None), tmp_path).list("shop")
    with pytest.raises(Refused, match="cannot be used"):
        store_at(replace(place, login=None, profile="nobody"), tmp_path).list("shop")


def test_a_bucket_that_is_not_there_is_refused(place: S3Place, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="NoSuchBucket"):
        store_at(replace(place, bucket="t-nowhere"), tmp_path).list("shop")


def test_parts_that_are_there_are_not_sent_again(faulty: tuple[FaultyS3, S3Place], tmp_path: Path) -> None:
    standin, place = faulty
    place = replace(place, at_once=1)
    store, large = store_at(place, tmp_path), secrets.token_bytes(2 * PART + 100)
    manifest = begun(store, {"dump/large": large})
    standin.faults = [Fault(how="answer", status=500, times=100, method="PUT", path="partNumber=3")]
    with pytest.raises(Transient):
        store.commit("one", manifest)
    assert [key.split("/")[-1] for key in open_uploads(place)] == ["large"]
    standin.faults, standin.seen = [], []
    assert store_at(place, tmp_path).finish("one")
    sent = [path.split("partNumber=")[1][0] for method, path in standin.seen if "partNumber=" in path]
    assert sent == ["3"]
    assert fetched(store) == {"dump/large": large}
    assert open_uploads(place) == []


def test_a_download_goes_on_where_it_was_cut(faulty: tuple[FaultyS3, S3Place], tmp_path: Path) -> None:
    standin, place = faulty
    large = secrets.token_bytes(3 << 20)
    store = store_at(place, tmp_path)
    store.commit("one", begun(store, {"dump/large": large}))
    half = tmp_path / "scratch" / "one.fetched" / "dump"
    half.mkdir(parents=True)
    (half / "large").write_bytes(large[:2_000_000])  # a process that died left it
    standin.seen = []
    standin.faults = [Fault(how="cut answer", times=2, method="GET", path="dump/large", after=100_000)]
    assert fetched(store_at(place, tmp_path)) == {"dump/large": large}
    assert len([path for method, path in standin.seen if method == "GET" and "dump/large" in path]) == 3


def test_what_a_power_cut_left_of_a_download_is_fetched_again(s3_store: S3Store, tmp_path: Path) -> None:
    s3_store.commit("one", begun(s3_store))
    left = tmp_path / "scratch" / "one.fetched" / "dump"
    left.mkdir(parents=True)
    (left / "toc.dat").write_bytes(bytes(17))
    assert fetched(s3_store) == SMALL


def test_a_dump_that_a_power_cut_damaged_is_not_sent_on(s3_store: S3Store, place: S3Place) -> None:
    manifest = begun(s3_store)
    folder = s3_store.scratch.partial("one")
    (folder / "manifest.json").write_text(manifest.to_json())
    (folder / "dump/toc.dat").write_bytes(bytes(17))
    assert not s3_store.finish("one")
    assert keys(place) == []


def test_a_file_that_vanished_from_the_bucket_before_the_manifest_makes_no_snapshot(
    faulty: tuple[FaultyS3, S3Place], tmp_path: Path
) -> None:
    """As an over-eager lifecycle rule, or somebody who tidies up, would do it."""
    standin, place = faulty
    store = store_at(replace(place, at_once=1), tmp_path)
    manifest = begun(store)

    def tidy(method: str, path: str) -> None:
        if method == "PUT" and "schema.json" in path:
            for key in keys(place):
                boto(standin.upstream).delete_object(Bucket=place.bucket, Key=key)

    standin.on_request = tidy
    with pytest.raises(SnapshotUnusable, match="is missing"):
        store.commit("one", manifest)
    assert store.list("shop") == ()


def test_two_machines_that_send_the_same_snapshot_do_not_mix_their_files(
    place: S3Place, tmp_path: Path
) -> None:
    """The second finds the first one's manifest; what it sent itself goes, uploads that were begun too."""
    here, there = store_at(place, tmp_path / "here"), store_at(place, tmp_path / "there")
    mine = begun(here, {**SMALL, "schema.json": b"mine"})
    theirs = begun(there, {**SMALL, "schema.json": b"theirs"})
    there.commit("one", theirs)
    with pytest.raises(SnapshotUnusable, match="Another process took"):
        here.commit("one", mine)
    here.abandon("one")
    assert fetched(here)["schema.json"] == b"theirs"
    assert len({k.split("/")[3] for k in keys(place)}) == 2  # one folder of files, and the manifest


def test_an_upload_that_is_going_on_is_not_joined(s3_store: S3Store) -> None:
    manifest = begun(s3_store)
    with s3_store.scratch.alone("one"), pytest.raises(EnvironmentBusy):
        s3_store.commit("one", manifest)


def test_without_room_for_it_nothing_is_fetched(s3_store: S3Store, tmp_path: Path) -> None:
    class Small(Scratch, frozen=True):
        def free_bytes(self) -> int:
            return 1_000

    s3_store.commit("one", begun(s3_store))
    full = S3Store(s3_store.client, Small(tmp_path / "small"))
    with pytest.raises(Refused, match="nothing was fetched"), full.opened("one"):
        pass
    assert list((tmp_path / "small").iterdir()) == []


def test_the_time_for_a_transfer_is_bounded(s3_store: S3Store, place: S3Place, tmp_path: Path) -> None:
    hurried = store_at(replace(place, transfer_s=0.0), tmp_path)
    manifest = begun(hurried)
    with pytest.raises(Transient, match="time was over"):
        hurried.commit("one", manifest)
    assert s3_store.finish("one")
    with pytest.raises(Transient, match="time was over"), hurried.opened("one"):
        pass


def test_objects_are_encrypted_as_the_configuration_says(place: S3Place, tmp_path: Path) -> None:
    keyed = replace(place, sse="aws:kms", kms_key_id="alias/snapshots")
    store = store_at(keyed, tmp_path)
    store.commit("one", begun(store, {**SMALL, "dump/large": bytes(PART + 1)}))
    heads = [boto(place.endpoint_url).head_object(Bucket=place.bucket, Key=k) for k in keys(place)]
    assert {(h["ServerSideEncryption"], h["SSEKMSKeyId"]) for h in heads} == {("aws:kms", "alias/snapshots")}


UPLOADER = textwrap.dedent(
    """
    import pathlib, sys
    from faberdb.snapshot.manifest import read_manifest
    from tests.s3_server import place_at, store_at

    url, bucket, folder, manifest = sys.argv[1:]
    store = store_at(place_at(url, bucket, at_once=1), pathlib.Path(folder))
    text = pathlib.Path(manifest).read_text()
    store.commit("one", read_manifest(text, snapshot="one"))
    """
)


@pytest.mark.parametrize("at", ["toc.dat", "partNumber=2", "uploads", "uploadId=", "manifest.json"])
def test_killed_at_any_request_of_an_upload_the_next_try_finishes(
    faulty: tuple[FaultyS3, S3Place], tmp_path: Path, at: str
) -> None:
    standin, place = faulty
    store, content = store_at(place, tmp_path), SMALL | {"dump/large": secrets.token_bytes(PART + 1000)}
    manifest = begun(store, content)
    (tmp_path / "manifest").write_text(manifest.to_json())
    arguments = [place.endpoint_url, place.bucket, str(tmp_path), str(tmp_path / "manifest")]

    def kill(method: str, path: str) -> None:
        if at in path and method in {"PUT", "POST"} and (at != "uploadId=" or "partNumber" not in path):
            child.send_signal(signal.SIGKILL)
            child.wait()
            # What it had sent already may be the whole request.
            standin.faults = [Fault(how="cut request", times=1, path=at, after=0)]

    standin.on_request = kill
    child = subprocess.Popen([sys.executable, "-c", UPLOADER, *arguments], cwd=Path(__file__).parents[2])
    assert child.wait(60) == -signal.SIGKILL
    standin.on_request = lambda method, path: None
    assert store.list("shop") == ()
    assert store_at(place, tmp_path).finish("one")
    assert fetched(store) == content
    assert open_uploads(place) == []
    assert list(store.scratch.root.iterdir()) == []
