from __future__ import annotations

import gzip
import hashlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from faberdb.catalog import read_schema
from faberdb.connection import connect, run
from faberdb.databases import drop_database
from faberdb.dsn import Dsn
from faberdb.errors import Refused, ServerUnreachable, SnapshotUnusable, Transient
from faberdb.snapshot import programs
from faberdb.snapshot.check import check_files
from faberdb.snapshot.clients import choose_clients
from faberdb.snapshot.manifest import FileFacts
from faberdb.snapshot.request import SnapshotRequest
from faberdb.snapshot.restore import restore_beside
from faberdb.snapshot.store import LocalStore
from faberdb.snapshot.take import take_snapshot
from tests.integration.test_databases import roles

__all__ = ["roles"]


def request(id_: str = "rel-1-before", **facts: str) -> SnapshotRequest:
    return SnapshotRequest(
        id=id_,
        project=facts.get("project", "shop"),
        environment="production",
        label="nightly",
        reason="a test",
        retention_days=30,
        revisions=("1_init",),
        tracking_tables=("_prisma_migrations",),
        release_id="rel-1",
    )


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "snapshots")


@pytest.fixture
def shop(fresh_database: Dsn) -> Dsn:
    with connect(fresh_database, purpose="tests") as conn:
        conn.execute("""
            CREATE TABLE orders (id bigserial PRIMARY KEY, note text);
            INSERT INTO orders (note) SELECT md5(i::text) FROM generate_series(1, 2000) AS i;
            CREATE TABLE _prisma_migrations (id text); INSERT INTO _prisma_migrations VALUES ('x');
        """)
    return fresh_database


def test_the_manifest_says_what_was_taken(shop: Dsn, store: LocalStore) -> None:
    before = datetime.now(UTC)
    manifest = take_snapshot(shop, store, request())
    with connect(shop, purpose="tests") as conn:
        fingerprint = read_schema(conn, leave_out=["_prisma_migrations"]).fingerprint
        version = conn.info.server_version
    assert manifest == store.manifest("rel-1-before") == check_files(store, "rel-1-before")
    assert before <= manifest.created_at <= datetime.now(UTC)
    assert (manifest.database, manifest.server_version) == (shop.database, version)
    assert manifest.row_counts == {"public._prisma_migrations": 1, "public.orders": 2000}
    assert manifest.schema_fingerprint == fingerprint
    assert manifest.revisions == ("1_init",)
    assert "postgres" in manifest.roles
    assert {"schema.json", "dump/toc.dat"} < set(manifest.files)


def test_taking_it_again_finds_it_and_writes_nothing(shop: Dsn, store: LocalStore) -> None:
    first = take_snapshot(shop, store, request())
    files = {p: p.stat().st_mtime_ns for p in store.root.rglob("*")}
    notes: list[str] = []
    assert take_snapshot(shop, store, request(), progress=notes.append) == first
    assert notes == ["found the snapshot rel-1-before"]
    assert {p: p.stat().st_mtime_ns for p in store.root.rglob("*")} == files


def test_a_snapshot_of_the_same_id_from_elsewhere_is_refused(
    shop: Dsn, store: LocalStore, create_database: Callable[..., Dsn]
) -> None:
    take_snapshot(shop, store, request())
    with pytest.raises(SnapshotUnusable, match="not of"):
        take_snapshot(create_database("other"), store, request())
    with pytest.raises(SnapshotUnusable, match="of shop"):
        take_snapshot(shop, store, request(project="another"))


def test_a_found_snapshot_that_lost_a_file_is_refused(shop: Dsn, store: LocalStore) -> None:
    take_snapshot(shop, store, request())
    (store.root / "rel-1-before" / "schema.json").unlink()
    with pytest.raises(SnapshotUnusable, match=r"schema\.json is missing"):
        take_snapshot(shop, store, request())


def test_the_half_snapshot_of_a_killed_run_is_taken_anew(shop: Dsn, store: LocalStore) -> None:
    (store.begin("rel-1-before") / "half").write_bytes(b"half")
    take_snapshot(shop, store, request())
    assert [p.name for p in store.root.iterdir()] == ["rel-1-before"]
    check_files(store, "rel-1-before")


def test_the_counts_are_those_of_the_dump_while_others_write(shop: Dsn, store: LocalStore) -> None:
    """The thread inserts all the time; the manifest's counts, the dump and one moment are the same."""
    stop, started = threading.Event(), threading.Event()

    def write() -> None:
        with connect(shop, purpose="an application") as conn:
            while not stop.is_set():
                conn.execute("INSERT INTO orders (note) SELECT 'more' FROM generate_series(1, 20)")
                started.set()

    writer = threading.Thread(target=write)
    writer.start()
    started.wait(10)
    try:
        manifest = take_snapshot(shop, store, request())
    finally:
        stop.set()
        writer.join()
    with connect(shop, purpose="tests") as conn:
        row = conn.execute("SELECT count(*) FROM orders").fetchone()
    assert row is not None
    assert 2000 < manifest.row_counts["public.orders"] < row[0]
    assert rows_dumped(store, manifest.id, "orders") == manifest.row_counts["public.orders"]
    copy = shop.with_database(shop.database + "_restored")
    try:
        proof = restore_beside(store, manifest.id, copy, live=shop)
        assert (proof.rows_equal, proof.checksums_equal) == (True, True)
        before, after = manifest.sequences["public.orders_id_seq"]
        assert before is not None
        assert after is not None
        assert before < after, "drawn from all the time, and still proven"
    finally:
        drop_database(copy)


def rows_dumped(store: LocalStore, id_: str, table: str) -> int:
    folder = store.root / id_ / "dump"
    line = next(x for x in programs.listing(folder).splitlines() if f" TABLE DATA public {table} " in x)
    data = gzip.decompress((folder / f"{line.split(';')[0]}.dat.gz").read_bytes())
    return data.count(b"\n") - 2 - 1  # the end mark and two empty lines


def test_a_session_that_may_not_idle_in_a_transaction_is_not_ended_while_it_exports(
    shop: Dsn, store: LocalStore
) -> None:
    with connect(shop, purpose="tests") as conn:
        for name in ("idle_in_transaction_session_timeout", "transaction_timeout"):
            run(conn, "ALTER DATABASE {d} SET {n} = '50ms'", d=shop.database, n=name)
    take_snapshot(shop, store, request())
    check_files(store, "rel-1-before")


class SmallStore(LocalStore, frozen=True):
    """A store that says it has almost no room."""

    def free_bytes(self) -> int:
        return 1_000


class BoastfulStore(LocalStore, frozen=True):
    """A store that says it has room for everything."""

    def free_bytes(self) -> int:
        return 1 << 50


def test_too_little_room_is_refused_before_anything_is_written(shop: Dsn, tmp_path: Path) -> None:
    store = SmallStore(tmp_path / "snapshots")
    with pytest.raises(Refused, match=r"0\.0 MiB free.*may need 1\.\d MiB; nothing was written"):
        take_snapshot(shop, store, request())
    assert not list(tmp_path.rglob("*.partial"))


def test_a_disk_that_fills_up_in_the_middle_leaves_no_half_snapshot(shop: Dsn, small_disk: Path) -> None:
    store = BoastfulStore(small_disk / "snapshots")
    with connect(shop, purpose="tests") as conn:
        conn.execute("""
            CREATE TABLE noise AS SELECT string_agg(sha512((i * 1000 + j)::text::bytea), '') AS b
            FROM generate_series(1, 400) AS i, generate_series(1, 100) AS j GROUP BY i
        """)
    with pytest.raises(SnapshotUnusable, match="the disk is full"):
        take_snapshot(shop, store, request())
    assert list(store.root.iterdir()) == []
    with connect(shop, purpose="tests") as conn:
        conn.execute("DROP TABLE noise")
    take_snapshot(shop, store, request())
    check_files(store, "rel-1-before")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk takes root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_newer_server_than_any_pg_dump_here_is_refused() -> None:
    with pytest.raises(Refused, match=r"no PostgreSQL client programs for a server of version 99"):
        choose_clients(990001)


def test_a_role_that_may_not_read_everything_is_refused(
    shop: Dsn, store: LocalStore, roles: Callable[[str], Dsn]
) -> None:
    with pytest.raises(Refused, match="permission denied for table"):
        take_snapshot(roles("").with_database(shop.database), store, request())
    assert list(store.root.iterdir()) == []


def test_a_locked_table_is_something_to_try_again(
    shop: Dsn, store: LocalStore, create_database: Callable[..., Dsn]
) -> None:
    with connect(shop, purpose="tests") as other, other.transaction():
        other.execute("LOCK TABLE orders")
        with pytest.raises(Transient):
            take_snapshot(shop, store, request(), timeout_s=0.3)
    assert list(store.root.iterdir()) == []


def test_a_server_that_ends_our_sessions_in_the_middle_is_said_to_be_away(
    shop: Dsn, store: LocalStore, server: Dsn
) -> None:
    def end_all(note: str) -> None:
        if note.startswith("dumping"):
            with connect(server, purpose="tests") as conn:
                conn.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                    (shop.database,),
                )

    with pytest.raises(ServerUnreachable):
        take_snapshot(shop, store, request(), progress=end_all)
    assert list(store.root.iterdir()) == []
    take_snapshot(shop, store, request())


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("damage", "told"),
    [(_flip, "is corrupt"), (_cut, r"bytes instead of"), (Path.unlink, "is missing")],
)
@pytest.mark.parametrize("file", ["toc.dat", "data"])
def test_a_damaged_file_is_refused_by_name(
    shop: Dsn, store: LocalStore, damage: Callable[[Path], None], told: str, file: str
) -> None:
    take_snapshot(shop, store, request())
    folder = store.root / "rel-1-before" / "dump"
    path = (
        folder / file if file == "toc.dat" else max(folder.glob("*.dat.gz"), key=lambda p: p.stat().st_size)
    )
    damage(path)
    with pytest.raises(SnapshotUnusable, match=f"dump/{path.name} {told}|dump/{path.name} has .*{told}"):
        check_files(store, "rel-1-before")


def test_an_archive_that_pg_restore_cannot_read_is_refused_though_its_checksums_hold(
    shop: Dsn, store: LocalStore
) -> None:
    manifest = take_snapshot(shop, store, request())
    folder = store.root / manifest.id
    (folder / "dump" / "toc.dat").write_bytes(b"no archive")
    facts = FileFacts(bytes=10, sha256=hashlib.sha256(b"no archive").hexdigest())
    forged = replace(manifest, files={**manifest.files, "dump/toc.dat": facts})
    (folder / "manifest.json").write_text(forged.to_json())
    with pytest.raises(SnapshotUnusable, match="The archive cannot be read"):
        check_files(store, manifest.id)


def test_a_missing_snapshot_is_refused_by_name(store: LocalStore) -> None:
    with pytest.raises(SnapshotUnusable, match="no snapshot 'nothing'"):
        check_files(store, "nothing")


def test_no_secret_is_in_a_processes_arguments_or_in_the_snapshot(shop: Dsn, store: LocalStore) -> None:
    secret = replace(shop, password="hunter2")
    with connect(shop, purpose="tests") as conn:
        conn.execute("SET client_min_messages = error")
        conn.execute(
            "CREATE SUBSCRIPTION s CONNECTION 'host=elsewhere password=hunter3' PUBLICATION p"
            " WITH (connect = false)"
        )
    try:
        manifest = take_snapshot(secret, store, request())
    finally:
        with connect(shop, purpose="tests") as conn:
            conn.execute("ALTER SUBSCRIPTION s SET (slot_name = NONE)")
            conn.execute("DROP SUBSCRIPTION s")
    for file in (store.root / manifest.id).rglob("*"):
        assert file.is_dir() or b"hunter" not in file.read_bytes()


def test_a_server_that_does_not_answer_is_said_to_be_away(shop: Dsn, store: LocalStore) -> None:
    with pytest.raises(ServerUnreachable):
        take_snapshot(replace(shop, port=1), store, request())
