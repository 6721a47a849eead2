"""The PostgreSQL server is killed at every note of a snapshot, a restore with its proof, and a swap.

Nothing half done is taken for whole, and the same call ends well when the server is back.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from faberdb.connection import connect
from faberdb.databases import database_exists, drop_database, ensure_database
from faberdb.dsn import Dsn
from faberdb.embedded import find_server, start_server, stop_server
from faberdb.errors import CommandFailed, FaberError, Refused, ServerUnreachable
from faberdb.rows import count_rows
from faberdb.snapshot.check import check_files
from faberdb.snapshot.mark import half_restored
from faberdb.snapshot.restore import restore_beside
from faberdb.snapshot.store import LocalStore
from faberdb.snapshot.take import take_snapshot
from faberdb.swap import swap_in
from tests.integration.test_snapshot_take import request, store

__all__ = ["store"]

Kill = Callable[[str], None]


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server that may be killed; it forgets nothing at a power cut."""
    folder = tmp_path_factory.mktemp("dies")
    yield folder
    start_server(folder)  # it may lie dead
    stop_server(folder)


@pytest.fixture
def live(own_home: Path) -> Iterator[Dsn]:
    """A small shop on it."""
    dsn = start_server(own_home).with_database("live")
    ensure_database(dsn)
    with connect(dsn, purpose="tests") as conn:
        conn.execute("""
            CREATE TABLE orders (id bigserial PRIMARY KEY, note text);
            INSERT INTO orders (note) SELECT md5(i::text) FROM generate_series(1, 3000) AS i;
        """)
    yield dsn
    start_server(own_home)
    for name in ("live", "live_restored", "live_aside"):
        drop_database(dsn.with_database(name))


def killing(home: Path, at: int) -> Kill:
    """Kills the server's first process, as the kernel does that is out of memory, at the n-th note."""
    left = [at]

    def note(_: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            pid = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 10
            while find_server(home) is not None and time.monotonic() < deadline:
                time.sleep(0.02)

    return note


@pytest.mark.parametrize("at", [1, 2])
def test_a_snapshot_whose_server_dies_is_whole_after_the_next_run(
    live: Dsn, store: LocalStore, own_home: Path, at: int
) -> None:
    with pytest.raises((ServerUnreachable, CommandFailed)):
        take_snapshot(live, store, request(), progress=killing(own_home, at))
    assert not store.holds("rel-1-before")
    start_server(own_home)
    manifest = take_snapshot(live, store, request())
    assert check_files(store, manifest.id).row_counts["public.orders"] == 3000
    assert [p.name for p in store.root.iterdir()] == ["rel-1-before"]


def test_a_snapshot_whose_server_dies_at_its_end_is_whole_now_or_after_the_next_run(
    live: Dsn, store: LocalStore, own_home: Path
) -> None:
    with suppress(ServerUnreachable, CommandFailed):  # a backend may outlive its server for a moment
        take_snapshot(live, store, request(), progress=killing(own_home, 3))
    start_server(own_home)
    manifest = take_snapshot(live, store, request())
    assert check_files(store, manifest.id).row_counts["public.orders"] == 3000
    assert [p.name for p in store.root.iterdir()] == ["rel-1-before"]


@pytest.mark.parametrize("at", [2, 4, 5, 6])
def test_a_restore_whose_server_dies_is_whole_after_the_next_run(
    live: Dsn, store: LocalStore, own_home: Path, at: int
) -> None:
    copy = live.with_database("live_restored")
    take_snapshot(live, store, request())
    died = True
    try:
        restore_beside(store, "rel-1-before", copy, live=live, progress=killing(own_home, at))
        died = False
    except FaberError:
        pass
    start_server(own_home)
    assert not died or not database_exists(copy) or half_restored(copy), "half done is not taken for whole"
    proof = restore_beside(store, "rel-1-before", copy, live=live)
    assert (proof.fingerprint_equal, proof.rows_equal, proof.checksums_equal) == (True, True, True)
    with connect(live, purpose="tests") as conn:
        assert count_rows(conn)["public.orders"] == 3000


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_swap_whose_server_dies_ends_well_when_it_is_run_again(
    live: Dsn, store: LocalStore, own_home: Path, at: int
) -> None:
    take_snapshot(live, store, request())
    restore_beside(store, "rel-1-before", live.with_database("live_restored"), live=live)
    with connect(live, purpose="tests") as conn:
        conn.execute("INSERT INTO orders (note) VALUES ('the row that tells which one it is')")
    try:
        swap_in(live, restored="live_restored", aside="live_aside", progress=killing(own_home, at))
    except FaberError:
        start_server(own_home)
        assert database_exists(live), "one database has the live name at every moment"
    start_server(own_home)
    swap_in(live, restored="live_restored", aside="live_aside")
    for name, rows in (("live", 3000), ("live_aside", 3001)):
        with connect(live.with_database(name), purpose="tests") as conn:
            assert count_rows(conn)["public.orders"] == rows


def test_a_server_without_room_for_so_many_locks_is_told_the_setting(
    live: Dsn, store: LocalStore, own_home: Path
) -> None:
    with connect(live, purpose="tests") as conn:
        for _ in range(25):
            conn.execute("""
                DO $$ DECLARE first int := (SELECT count(*) FROM pg_tables WHERE schemaname = 'public');
                BEGIN FOR i IN 1..100 LOOP EXECUTE format('CREATE TABLE t%s (a int)', first + i); END LOOP; END $$
            """)
    restart_with(live, own_home, max_locks_per_transaction=10, max_connections=20)
    with pytest.raises(
        Refused, match=r"no room for locks on 2,501 tables[^$]*set max_locks_per_transaction to 128"
    ):
        take_snapshot(live, store, request())
    assert not list(store.root.iterdir())
    restart_with(live, own_home, max_locks_per_transaction=128, max_connections=20)
    assert len(take_snapshot(live, store, request()).row_counts) == 2501


def restart_with(dsn: Dsn, home: Path, **settings: int) -> None:
    with connect(dsn, purpose="tests") as conn:
        for name, value in settings.items():
            conn.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
    stop_server(home)
    start_server(home)
