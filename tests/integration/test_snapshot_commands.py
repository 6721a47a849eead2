"""`faber-db backup`, `snapshots`, `verify`, `restore --as` and `prune`, on a bucket over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from faberdb.connection import connect
from faberdb.errors import Refused, ServerUnreachable, SnapshotUnusable, Transient
from faberdb.snapshot.place import S3Place
from faberdb.target import Target, open_target
from tests.flows.shoplet import Shoplet, make_shoplet
from tests.s3_server import Fault, FaultyS3, boto, keys


@pytest.fixture
def shoplet(
    shoplet: Shoplet, place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Shoplet, FaultyS3]]:
    """The small project, with its snapshots in the bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    standin = FaultyS3(upstream=place.endpoint_url)
    with standin.listening() as url, (shoplet.root / "faber-db.toml").open("a") as config:
        config.write(
            f'[backup.s3]\nurl = "s3://{place.bucket}/snapshots"\nregion = "us-east-1"\n'
            f'endpoint_url = "{url}"\npath_style = true\nattempts = 1\n'
        )
        config.flush()
        yield shoplet, standin


@pytest.fixture
def target(shoplet: tuple[Shoplet, FaultyS3]) -> Iterator[Target]:
    with open_target(shoplet[0].root, "production") as opened:
        yield opened


def typed(target: Target, *arguments: str) -> Result:
    line = [*arguments, "--project", str(target.project.root)]
    return CliRunner().invoke(cli, line, standalone_mode=False)


def told(target: Target, *arguments: str) -> dict[str, Any]:
    done = typed(target, *arguments, "--json")
    assert done.exception is None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_snapshot_goes_to_the_bucket_and_comes_back_proven(target: Target, place: S3Place) -> None:
    taken = told(
        target, "backup", "production", "--label", "friday", "--reason", "before the sale", "--retention", "3"
    )
    id_ = str(taken["snapshot"])
    assert f"snapshots/{id_}/manifest.json" in keys(place)
    proof = told(target, "verify", id_, "--level", "restore")
    assert (proof["fingerprint_equal"], proof["rows_equal"]) == (True, True)
    assert told(target, "verify", id_)["level"] == "manifest"
    (found,) = told(target, "snapshots", "production")["snapshots"]
    assert (found["id"], found["label"], found["reason"], found["retention_days"]) == (
        id_,
        "friday",
        "before the sale",
        3,
    )
    assert found["proven_at"] > found["at"]
    assert "proven by a restore" in typed(target, "status", "production").output
    copy = f"t_{target.project.name}_copy"
    restored = typed(target, "restore", "production", "--from", id_, "--as", copy)
    assert restored.exception is None
    with connect(target.dsn, purpose="test") as conn:
        left = conn.execute("SELECT datname FROM pg_database WHERE datname ~ '_verify_'").fetchall()
    assert left == []
    assert list(target.project.scratch_directory.iterdir()) == []


def test_a_corrupt_snapshot_is_refused_by_name_and_listed_as_unusable(target: Target, place: S3Place) -> None:
    id_ = str(told(target, "backup", "production")["snapshot"])
    key = next(k for k in keys(place) if k.endswith("toc.dat"))
    boto(place.endpoint_url).put_object(Bucket=place.bucket, Key=key, Body=b"PGDMP, but not this one")
    for arguments in (
        ("verify", id_),
        ("verify", id_, "--level", "restore"),
        ("restore", "production", "--from", id_, "--as", "t_nothing"),
    ):
        error = typed(target, *arguments).exception
        assert isinstance(error, SnapshotUnusable)
        assert id_ in error.what
        assert "dump/toc.dat" in error.why
    listed = typed(target, "snapshots").output
    assert "UNUSABLE" in listed


def test_anothers_and_a_missing_snapshot_are_refused_by_name(target: Target, tmp_path: Path) -> None:
    id_ = str(told(target, "backup", "production")["snapshot"])
    other = make_shoplet(tmp_path / "other")
    try:
        config = (target.project.root / "faber-db.toml").read_text()
        with (other.root / "faber-db.toml").open("a") as file:
            file.write(config[config.index("[backup.s3]") :])
        foreign = CliRunner().invoke(
            cli, ["verify", id_, "--project", str(other.root)], standalone_mode=False
        )
    finally:
        other.forget()
    assert isinstance(foreign.exception, Refused)
    assert f"of the project {target.project.name}" in foreign.exception.what
    missing = typed(target, "verify", "nothing").exception
    assert isinstance(missing, SnapshotUnusable)
    assert "'nothing'" in missing.what


def test_an_upload_that_was_cut_off_is_listed_and_gone_on_with(
    target: Target, shoplet: tuple[Shoplet, FaultyS3]
) -> None:
    shoplet[1].faults = [Fault(how="answer", status=503, times=1000, method="PUT", path="toc.dat")]
    cut = typed(target, "backup", "production").exception
    assert isinstance(cut, Transient)
    id_ = cut.next_step.removeprefix("faber-db backup production --resume ")
    shoplet[1].faults = []
    assert f"backup ENV --resume {id_}" in typed(target, "snapshots").output
    assert told(target, "backup", "production", "--resume", id_)["snapshot"] == id_
    refused = typed(target, "backup", "production", "--resume", id_).exception
    assert isinstance(refused, Refused)
    found = told(target, "snapshots")
    assert ([s["id"] for s in found["snapshots"]], found["unfinished"]) == ([id_], [])


def test_a_bucket_that_is_away_hides_nothing_else_of_the_status(
    target: Target, shoplet: tuple[Shoplet, FaultyS3]
) -> None:
    shoplet[1].faults = [Fault(how="answer", status=500, times=1000)]
    assert isinstance(typed(target, "snapshots").exception, ServerUnreachable | Transient)
    told_of = typed(target, "status", "production")
    assert "snapshot     unknown: s3://" in told_of.output
    assert "revisions    2 applied" in told_of.output


def test_prune_says_what_would_go_and_removes_nothing_when_asked_to(target: Target) -> None:
    ids = [str(told(target, "backup", "production", "--retention", "1")["snapshot"]) for _ in range(2)]
    found = told(target, "prune", "production", "--dry-run")
    assert found["dry_run"] is True
    assert "production: nothing to remove" in typed(target, "prune").output
    assert {s["id"] for s in told(target, "snapshots")["snapshots"]} == set(ids)


def test_a_format_that_is_not_ours_is_refused_in_words(target: Target) -> None:
    done = CliRunner().invoke(cli, ["backup", "production", "--format", "sql"])
    assert done.exit_code == 2
    assert "'sql' is not 'directory'" in done.output
