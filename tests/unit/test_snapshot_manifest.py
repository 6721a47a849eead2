from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from faberdb.errors import SnapshotUnusable
from faberdb.snapshot.manifest import FileFacts, Manifest, read_manifest

MANIFEST = Manifest(
    id="production-20261123T141500Z-ab12cd",
    project="shop",
    environment="production",
    database='shop "production"',
    created_at=datetime(2026, 11, 23, 14, 15, 0, 123456, tzinfo=UTC),
    server_version=180006,
    client_version="18.6",
    label="",
    reason="before release",
    retention_days=30,
    revisions=("1_init", "2_orders"),
    tracking_tables=("_prisma_migrations",),
    schema_fingerprint="a" * 64,
    roles=("app", "postgres"),
    row_counts={'public."Ünïcode; DROP TABLE x"': 3, "public.orders": 100_000},
    files={
        "dump/toc.dat": FileFacts(bytes=2000, sha256="b" * 64),
        "schema.json": FileFacts(bytes=30, sha256="c" * 64),
    },
    release_id=None,
)


def test_a_manifest_comes_back_from_its_json() -> None:
    assert read_manifest(MANIFEST.to_json(), snapshot=MANIFEST.id) == MANIFEST


def test_equal_manifests_have_equal_text() -> None:
    turned = replace(
        MANIFEST,
        row_counts=dict(reversed(list(MANIFEST.row_counts.items()))),
        files=dict(reversed(list(MANIFEST.files.items()))),
    )
    assert turned.to_json() == MANIFEST.to_json()


def test_its_size_is_that_of_its_files() -> None:
    assert MANIFEST.bytes == 2030


def test_an_unknown_format_is_refused_before_anything_else_is_read() -> None:
    text = json.dumps({"format_version": 99, "something": "new"})
    with pytest.raises(SnapshotUnusable, match="format 99"):
        read_manifest(text, snapshot="any")


def test_a_manifest_of_the_first_format_is_still_read() -> None:
    since = {"kind", "copy", "compression", "checksums", "sequences"}
    old = {k: v for k, v in json.loads(MANIFEST.to_json()).items() if k not in since}
    found = read_manifest(json.dumps(old | {"format_version": 1}), snapshot=MANIFEST.id)
    assert replace(found, format_version=MANIFEST.format_version) == MANIFEST


def test_the_manifest_of_another_snapshot_is_refused() -> None:
    with pytest.raises(SnapshotUnusable, match=f"that of '{MANIFEST.id}'"):
        read_manifest(MANIFEST.to_json(), snapshot="staging-20261123T141500Z-000000")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("files", {"dump/toc.dat": {"bytes": -1, "sha256": "b" * 64}}),
        ("files", {"dump/toc.dat": {"bytes": 1, "sha256": "short"}}),
        ("row_counts", {"public.orders": "many"}),
        ("created_at", "2026-11-23T14:15:00"),
        ("schema_fingerprint", ""),
        ("surprise", 1),
    ],
)
def test_a_damaged_manifest_names_the_damaged_key(key: str, value: object) -> None:
    text = json.dumps(json.loads(MANIFEST.to_json()) | {key: value})
    with pytest.raises(SnapshotUnusable, match=rf"damaged: .*`(\$\.)?{key}\b"):
        read_manifest(text, snapshot=MANIFEST.id)


@pytest.mark.parametrize("text", [b"\xff", "", "[]", '{"id": 1}', MANIFEST.to_json()[:-20], "\x00\x01"])
def test_what_is_no_manifest_is_refused(text: str | bytes) -> None:
    with pytest.raises(SnapshotUnusable, match="damaged"):
        read_manifest(text, snapshot=MANIFEST.id)
