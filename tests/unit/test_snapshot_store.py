from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from faberdb.snapshot.files import sizes_in
from faberdb.snapshot.place import S3Login, S3Place, parse_s3_url
from faberdb.snapshot.store import new_snapshot_id, snapshot_id_of_release

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_ids_sort_by_time_and_are_never_the_same() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    first, second = new_snapshot_id("production", there), new_snapshot_id("production", there)
    assert first.startswith("production-20261123T120000Z-")
    assert first != second
    assert second < new_snapshot_id("production", NOON + timedelta(seconds=1))


def test_a_release_has_one_snapshot_id() -> None:
    assert snapshot_id_of_release("rel-prod-1") == snapshot_id_of_release("rel-prod-1")
    assert snapshot_id_of_release("rel-prod-1") != snapshot_id_of_release("rel-prod-2")


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://backups", "backups", ""),
        ("s3://backups/", "backups", ""),
        ("s3://acme.backups/shop/eu-1/", "acme.backups", "shop/eu-1"),
    ],
)
def test_a_bucket_and_its_prefix_are_read_from_an_address(url: str, bucket: str, prefix: str) -> None:
    assert parse_s3_url(url) == (bucket, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "backups",
        "s3://",
        "s3://Back_ups",
        "https://backups/x",
        "s3://b/x?y=1",
        "s3://b/../x",
        "s3://bkt/a//b",
    ],
)
def test_what_is_no_address_of_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be s3://|the prefix may have"):
        parse_s3_url(url)


def test_a_key_shows_nowhere_and_does_not_leave_the_process() -> None:
    login = S3Login(access_key_id="AKIACANARY", secret_access_key="CANARY", session_token="CANARY")
    assert "CANARY" not in repr(S3Place(bucket="backups", login=login))
    with pytest.raises(TypeError, match="does not leave"):
        pickle.dumps(login)


def test_a_link_is_no_file_of_a_snapshot_and_is_not_followed(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "snapshot", tmp_path / "elsewhere"
    (folder / "dump").mkdir(parents=True)
    elsewhere.write_bytes(bytes(1000))
    (folder / "dump" / "1.dat").write_bytes(bytes(1000))
    assert sizes_in(folder) == {"dump/1.dat": 1000}
    (folder / "dump" / "1.dat").unlink()
    (folder / "dump" / "1.dat").symlink_to(elsewhere)
    (folder / "dump" / "again").symlink_to(folder)
    assert sizes_in(folder) == {"dump/1.dat": len(str(elsewhere)), "dump/again": len(str(folder))}
