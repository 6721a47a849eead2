from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from psycopg import sql

from faberdb.catalog import read_schema
from faberdb.connection import connect, run
from faberdb.database_properties import read_properties, set_comment
from faberdb.databases import database_exists, drop_database, ensure_database, maintenance
from faberdb.dsn import Dsn
from faberdb.embedded import start_server, stop_server
from faberdb.errors import CommandFailed, Refused, SnapshotUnusable
from faberdb.rows import LARGE_OBJECTS, count_rows
from faberdb.snapshot.mark import Mark, half_restored, read_mark, set_mark
from faberdb.snapshot.proof import Proof
from faberdb.snapshot.restore import restore_beside
from faberdb.snapshot.store import LocalStore
from faberdb.snapshot.take import take_snapshot
from tests.integration.test_databases import roles
from tests.integration.test_snapshot_take import request, shop, store

__all__ = ["roles", "shop", "store"]

EVERYTHING = """
CREATE EXTENSION citext;
CREATE SCHEMA "Ünï""code; DROP TABLE x";
CREATE TYPE mood AS ENUM ('sad', 'it''s fine');
CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
CREATE TABLE "Ünï""code; DROP TABLE x"."co""de; DROP TABLE y" (
  "ID; --" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email citext UNIQUE, price cents, tax bigint GENERATED ALWAYS AS (price / 5) STORED, feeling mood,
  status varchar(9) NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'paid')), blob bytea, at timestamptz);
INSERT INTO "Ünï""code; DROP TABLE x"."co""de; DROP TABLE y" (email, price, feeling, blob, at)
  SELECT 'User' || i || '@example.org', i * 7, 'it''s fine', decode(md5(i::text), 'hex'),
  '2026-01-01'::timestamptz + i * interval '1 minute' FROM generate_series(1, 500) AS i;
CREATE TABLE parted (a int NOT NULL, b text) PARTITION BY LIST (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT i % 4, 'x' FROM generate_series(1, 40) AS i;
CREATE SEQUENCE numbers; SELECT setval('numbers', 4711);
CREATE VIEW cheap AS SELECT * FROM "Ünï""code; DROP TABLE x"."co""de; DROP TABLE y" WHERE price < 50;
CREATE MATERIALIZED VIEW totals AS SELECT a, count(*) FROM parted GROUP BY a;
CREATE FUNCTION shout(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN upper(t) || '!'; END $$;
CREATE TABLE secret (owner text, body text);
INSERT INTO secret VALUES ('a', 'b');
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret USING (owner = current_user);
CREATE PUBLICATION everything FOR ALL TABLES;
SELECT lo_from_bytea(4242, 'a large object'), lo_from_bytea(4243, 'another');
"""
STRANGE = "t_Ünï\"code; DROP TABLE x = '1'"


@pytest.fixture
def beside(shop: Dsn) -> Iterator[Dsn]:
    """The address of a database to restore into; it goes at the end."""
    dsn = shop.with_database(shop.database + "_restored")
    yield dsn
    drop_database(dsn)


def again(store: LocalStore, beside: Dsn, shop: Dsn, **options: object) -> tuple[Proof, list[str]]:
    notes: list[str] = []
    proof = restore_beside(store, "rel-1-before", beside, live=shop, progress=notes.append, **options)  # type: ignore[arg-type]
    return proof, notes


def test_everything_a_database_holds_comes_back(
    server: Dsn, store: LocalStore, roles: Callable[[str], Dsn]
) -> None:
    owner, reader = roles("").user, roles("").user
    live, copy = server.with_database(STRANGE), server.with_database(STRANGE + "_2")
    for dsn in (live, copy):
        drop_database(dsn)
    ensure_database(live)
    try:
        with connect(live, purpose="tests") as conn:
            conn.execute(EVERYTHING)
            run(conn, "ALTER TABLE parted OWNER TO {o}", o=owner)
            run(conn, "GRANT SELECT ON secret TO {r}", r=reader)
        with maintenance(server, purpose="tests") as conn:
            run(conn, "ALTER DATABASE {n} OWNER TO {o}", n=STRANGE, o=owner)
            run(conn, "ALTER DATABASE {n} SET default_transaction_read_only TO on", n=STRANGE)
            run(conn, "GRANT CREATE ON DATABASE {n} TO {r}", n=STRANGE, r=reader)
            set_comment(conn, STRANGE, "the shop")

        take_snapshot(live, store, request())
        proof = restore_beside(store, "rel-1-before", copy, live=live)

        assert proof.fingerprint_equal
        assert proof.rows_equal
        with connect(live, purpose="tests") as one, connect(copy, purpose="tests") as two:
            assert read_schema(one).fingerprint == read_schema(two).fingerprint
            assert count_rows(one) == count_rows(two)
            assert count_rows(two)[LARGE_OBJECTS] == 2
            for query in CONTENTS:
                assert two.execute(query).fetchall() == one.execute(query).fetchall()
        with maintenance(server, purpose="tests") as conn:
            expected = replace(read_properties(conn, STRANGE), comment="faber-db restored rel-1-before")
            assert read_properties(conn, copy.database) == expected
    finally:
        for dsn in (live, copy):
            drop_database(dsn)


CONTENTS = (
    'SELECT * FROM "Ünï""code; DROP TABLE x"."co""de; DROP TABLE y" ORDER BY 1',
    "SELECT * FROM parted ORDER BY 1, 2",
    "SELECT last_value, is_called FROM numbers",
    'SELECT last_value, is_called FROM "Ünï""code; DROP TABLE x"."co""de; DROP TABLE y_ID; --_seq"',
    "SELECT * FROM totals ORDER BY 1",
    "SELECT lo_get(4242), lo_get(4243)",
    "SELECT shout('so')",
    "SELECT count(*) FROM cheap WHERE email = 'USER1@EXAMPLE.ORG'",
)


def test_a_finished_restore_is_proven_again_and_kept(shop: Dsn, store: LocalStore, beside: Dsn) -> None:
    take_snapshot(shop, store, request())
    first, _ = again(store, beside, shop)
    oid = oid_of(beside)
    second, notes = again(store, beside, shop)
    assert first == second
    assert oid_of(beside) == oid
    assert not [n for n in notes if n.startswith("restoring")]


def test_a_restore_that_was_changed_since_is_made_anew(shop: Dsn, store: LocalStore, beside: Dsn) -> None:
    take_snapshot(shop, store, request())
    again(store, beside, shop)
    with connect(beside, purpose="tests") as conn:
        conn.execute("ALTER TABLE orders ADD COLUMN rehearsed int")
    _, notes = again(store, beside, shop)
    assert any("was changed since" in n and "orders.rehearsed" in n for n in notes)
    with connect(beside, purpose="tests") as conn:
        assert count_rows(conn)["public.orders"] == 2000


def test_a_half_restore_is_recognised_and_made_anew(shop: Dsn, store: LocalStore, beside: Dsn) -> None:
    take_snapshot(shop, store, request())
    ensure_database(beside)
    with maintenance(shop, purpose="tests") as conn:
        set_mark(conn, beside.database, Mark(snapshot="rel-1-before", done=False))
    with connect(beside, purpose="tests") as conn:
        conn.execute("CREATE TABLE orders (half int)")
    assert half_restored(beside)
    again(store, beside, shop)
    assert not half_restored(beside)


def test_an_empty_database_that_was_not_marked_in_time_is_taken(
    shop: Dsn, store: LocalStore, beside: Dsn
) -> None:
    take_snapshot(shop, store, request())
    ensure_database(beside)
    again(store, beside, shop)
    with maintenance(shop, purpose="tests") as conn:
        assert read_mark(conn, beside.database) == Mark(snapshot="rel-1-before", done=True)


def test_a_database_that_no_restore_made_is_left_alone(shop: Dsn, store: LocalStore, beside: Dsn) -> None:
    take_snapshot(shop, store, request())
    ensure_database(beside)
    with connect(beside, purpose="tests") as conn:
        conn.execute("CREATE TABLE precious (a int)")
    with pytest.raises(Refused, match="left alone"):
        again(store, beside, shop)
    with connect(beside, purpose="tests") as conn:
        assert "public.precious" in count_rows(conn)


def test_the_live_database_is_never_restored_into(shop: Dsn, store: LocalStore) -> None:
    take_snapshot(shop, store, request())
    with pytest.raises(Refused, match="live database"):
        again(store, shop, shop)


def test_a_corrupt_snapshot_creates_nothing(shop: Dsn, store: LocalStore, beside: Dsn) -> None:
    take_snapshot(shop, store, request())
    (store.root / "rel-1-before" / "dump" / "toc.dat").write_bytes(b"")
    with pytest.raises(SnapshotUnusable, match=r"toc\.dat"):
        again(store, beside, shop)
    assert not database_exists(beside)


def test_rows_that_do_not_come_back_are_named(shop: Dsn, store: LocalStore, beside: Dsn) -> None:
    manifest = take_snapshot(shop, store, request())
    forged = replace(manifest, row_counts={**manifest.row_counts, "public.orders": 2001})
    (store.root / manifest.id / "manifest.json").write_text(forged.to_json())
    with pytest.raises(SnapshotUnusable, match=r"public\.orders has 2000 rows instead of 2001"):
        again(store, beside, shop)
    assert half_restored(beside)


def test_a_fingerprint_that_is_not_the_recorded_schemas_is_refused(
    shop: Dsn, store: LocalStore, beside: Dsn
) -> None:
    manifest = take_snapshot(shop, store, request())
    forged = replace(manifest, schema_fingerprint="0" * 64)
    (store.root / manifest.id / "manifest.json").write_text(forged.to_json())
    with pytest.raises(SnapshotUnusable, match="not the schema whose fingerprint"):
        again(store, beside, shop)


def test_what_was_dropped_from_every_new_database_stays_dropped(
    shop: Dsn, store: LocalStore, beside: Dsn
) -> None:
    """A dump does not say that `public` and `plpgsql` were dropped; a new database has both."""
    with connect(shop, purpose="tests") as conn:
        conn.execute("DROP SCHEMA public CASCADE; DROP EXTENSION plpgsql; CREATE SCHEMA app")
        conn.execute("CREATE TABLE app.orders (a int)")
    take_snapshot(shop, store, request())
    proof, _ = again(store, beside, shop)
    assert proof.fingerprint_equal


def test_an_invalid_index_that_a_dump_leaves_out_does_not_spoil_the_proof(
    shop: Dsn, store: LocalStore, beside: Dsn
) -> None:
    with connect(shop, purpose="tests") as conn:
        conn.execute("CREATE INDEX half ON orders (note)")
        conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half'::regclass")
    take_snapshot(shop, store, request())
    again(store, beside, shop)


def test_a_failed_restore_leaves_no_half_database(shop: Dsn, store: LocalStore, beside: Dsn) -> None:
    """The restore fails because the server cannot compute what the source's data computed."""
    with connect(shop, purpose="tests") as conn:
        conn.execute("""
            CREATE TABLE checked (a int);
            INSERT INTO checked VALUES (-1);
            ALTER TABLE checked ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
            CREATE FUNCTION boom(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
              $$ BEGIN IF $1 < 0 AND current_database() LIKE '%_restored' THEN RAISE 'boom'; END IF;
              RETURN $1; END $$;
            CREATE INDEX ON checked (boom(a));
        """)
    take_snapshot(shop, store, request())
    with pytest.raises(CommandFailed, match="boom"):
        again(store, beside, shop)
    assert not database_exists(beside)


def test_a_restore_that_takes_too_long_is_stopped_and_leaves_nothing(
    shop: Dsn, store: LocalStore, beside: Dsn
) -> None:
    take_snapshot(shop, store, request())
    with pytest.raises(CommandFailed, match="was stopped"):
        again(store, beside, shop, timeout_s=0.01)
    assert not database_exists(beside)


def test_a_role_that_is_gone_from_the_live_server_is_named(
    shop: Dsn, store: LocalStore, beside: Dsn, server: Dsn
) -> None:
    role = f"r_{uuid.uuid4().hex[:8]}"
    with connect(shop, purpose="tests") as conn:
        run(conn, "CREATE ROLE {r}", r=role)
        run(conn, "GRANT SELECT ON orders TO {r}", r=role)
        take_snapshot(shop, store, request())
        run(conn, "DROP OWNED BY {r}", r=role)
        run(conn, "DROP ROLE {r}", r=role)
    with pytest.raises(SnapshotUnusable, match=f"no role '{role}'"):
        again(store, beside, shop)


def test_a_server_that_full_disk_stops_keeps_the_live_database_and_no_half_one(
    shop: Dsn, store: LocalStore, server: Dsn, server_disk: str
) -> None:
    live = shop.with_database("t_on_small_disk")
    copy = shop.with_database("t_on_small_disk_restored")
    with maintenance(server, purpose="tests") as conn:
        run(
            conn,
            "CREATE DATABASE {n} TEMPLATE template0 STRATEGY file_copy TABLESPACE {t}",
            n=live.database,
            t=server_disk,
        )
    try:
        with connect(live, purpose="tests") as conn:
            conn.execute("CREATE TABLE big AS SELECT repeat('x', 900) AS a FROM generate_series(1, 12000)")
        take_snapshot(live, store, request())
        with pytest.raises(CommandFailed, match="No space left on device"):
            restore_beside(store, "rel-1-before", copy, live=live)
        assert not database_exists(copy)
        with connect(live, purpose="tests") as conn:
            assert count_rows(conn)["public.big"] == 12000
    finally:
        drop_database(copy)
        drop_database(live)


@pytest.fixture
def server_disk(server: Dsn, home: Path) -> Iterator[str]:
    """A tablespace of 30 MB."""
    disk = home / f"disk_{uuid.uuid4().hex[:8]}"
    disk.mkdir()
    owner = (home / "postgres").stat()
    options = f"size=30m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        disk.rmdir()
        pytest.skip("mounting a small disk takes root")
    with connect(server, purpose="tests") as conn:
        conn.execute(
            sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(
                sql.Identifier(disk.name), sql.Literal(str(disk))
            )
        )
        yield disk.name
        run(conn, "DROP TABLESPACE {t}", t=disk.name)
    subprocess.run(["umount", str(disk)], check=True)
    disk.rmdir()


@pytest.fixture(scope="module")
def another_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dsn]:
    other = tmp_path_factory.mktemp("other")
    yield start_server(other)
    stop_server(other)


def test_a_rehearsal_server_without_the_roles_gets_all_but_owners_and_grants(
    shop: Dsn, store: LocalStore, roles: Callable[[str], Dsn], another_server: Dsn
) -> None:
    with connect(shop, purpose="tests") as conn:
        run(conn, "ALTER TABLE orders OWNER TO {r}", r=roles("").user)
        run(conn, "GRANT SELECT ON orders TO {r}", r=roles("").user)
    take_snapshot(shop, store, request())
    copy = another_server.with_database("t_copy")
    proof = restore_beside(store, "rel-1-before", copy, live=shop)
    assert "owners and grants apart" in proof.details[0]
    drop_database(copy)


def test_a_rehearsal_server_with_the_roles_gets_everything(
    shop: Dsn, store: LocalStore, another_server: Dsn
) -> None:
    take_snapshot(shop, store, request())
    copy = another_server.with_database("t_copy")
    proof = restore_beside(store, "rel-1-before", copy, live=shop)
    assert "apart" not in proof.details[0]
    drop_database(copy)


def test_an_older_server_is_dumped_and_restored_though_it_lacks_newer_settings(
    store: LocalStore, older_server: Dsn
) -> None:
    live, copy = older_server.with_database("live"), older_server.with_database("copy")
    for dsn in (live, copy):
        drop_database(dsn)
    ensure_database(live)
    with connect(live, purpose="tests") as conn:
        conn.execute(EVERYTHING)
    take_snapshot(live, store, request())
    proof = restore_beside(store, "rel-1-before", copy, live=live)
    assert proof.fingerprint_equal


def test_another_error_on_an_older_server_is_not_taken_for_the_known_one(
    store: LocalStore, older_server: Dsn
) -> None:
    live, copy = older_server.with_database("broken"), older_server.with_database("broken_restored")
    for dsn in (live, copy):
        drop_database(dsn)
    ensure_database(live)
    with connect(live, purpose="tests") as conn:
        conn.execute("""
            CREATE FUNCTION boom(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
              $$ BEGIN IF current_database() LIKE '%_restored' THEN RAISE 'boom'; END IF; RETURN $1; END $$;
            CREATE TABLE t AS SELECT 1 AS a; CREATE INDEX ON t (boom(a));
        """)
    take_snapshot(live, store, request())
    with pytest.raises(CommandFailed, match="boom"):
        restore_beside(store, "rel-1-before", copy, live=live)


def test_a_snapshot_is_not_compared_across_major_versions(
    shop: Dsn, store: LocalStore, older_server: Dsn
) -> None:
    take_snapshot(shop, store, request())
    with pytest.raises(Refused, match="same major version"):
        restore_beside(store, "rel-1-before", older_server.with_database("copy_of_18"), live=shop)
    assert not database_exists(older_server.with_database("copy_of_18"))


# A process of its own, killed at its n-th note, or told to write its notes.
PROGRAM = """
import os, signal, sys
from pathlib import Path
from faberdb.dsn import Dsn
from faberdb.snapshot.request import SnapshotRequest
from faberdb.snapshot.restore import restore_beside
from faberdb.snapshot.store import LocalStore
from faberdb.snapshot.take import take_snapshot

what, root, host, port, user, database, kill_at = sys.argv[1:]
dsn = Dsn(host=host, port=int(port), user=user, database=database)
notes = []

def progress(note):
    notes.append(note)
    print(note, flush=True)
    if len(notes) == int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)

store = LocalStore(Path(root))
if what == "take":
    take_snapshot(dsn, store, SnapshotRequest(id="rel-1-before", project="shop", environment="production",
        retention_days=30), progress=progress)
else:
    copy = dsn.with_database(dsn.database + "_restored")
    restore_beside(store, "rel-1-before", copy, live=dsn, progress=progress)
"""


def start(what: str, store: LocalStore, dsn: Dsn, kill_at: int) -> subprocess.Popen[str]:
    arguments = [what, store.root, dsn.host, dsn.port, dsn.user, dsn.database, kill_at]
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def ended(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate(timeout=60)
    return out.splitlines()


TAKE_NOTES, RESTORE_NOTES = 4, 7


@pytest.mark.parametrize("at", range(1, TAKE_NOTES + 1))
def test_a_snapshot_killed_at_any_note_is_whole_after_the_next_run(
    shop: Dsn, store: LocalStore, at: int
) -> None:
    process = start("take", store, shop, at)
    assert len(ended(process)) == at
    assert process.returncode == -9
    manifest = take_snapshot(shop, store, replace(request(), tracking_tables=()))
    assert manifest.row_counts["public.orders"] == 2000
    assert [p.name for p in store.root.iterdir()] == ["rel-1-before"]


@pytest.mark.parametrize("at", range(1, RESTORE_NOTES + 1))
def test_a_restore_killed_at_any_note_is_whole_after_the_next_run(
    shop: Dsn, store: LocalStore, beside: Dsn, at: int
) -> None:
    take_snapshot(shop, store, request())
    process = start("restore", store, shop, at)
    assert len(ended(process)) == at
    assert process.returncode == -9
    proof, _ = again(store, beside, shop)
    assert proof.rows_equal
    with connect(beside, purpose="tests") as conn:
        assert count_rows(conn)["public.orders"] == 2000


def test_the_kills_cover_every_note(shop: Dsn, store: LocalStore, beside: Dsn) -> None:
    assert len(ended(start("take", store, shop, 0))) == TAKE_NOTES
    assert len(ended(start("restore", store, shop, 0))) == RESTORE_NOTES


@pytest.mark.parametrize("after_s", [0.01, 0.05, 0.12])
def test_a_snapshot_killed_while_pg_dump_writes_is_whole_after_the_next_run(
    shop: Dsn, store: LocalStore, after_s: float
) -> None:
    """The pg_dump of the killed process lives on for a while, and must not write into the next snapshot."""
    _fill(shop)
    _kill_after(start("take", store, shop, 0), "dumping", after_s)
    take_snapshot(shop, store, replace(request(), tracking_tables=()))
    time.sleep(0.5)
    again_id = restore_beside(
        store, "rel-1-before", copy := shop.with_database(shop.database + "_restored"), live=shop
    )
    assert again_id.rows_equal
    drop_database(copy)


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.2])
def test_a_restore_killed_while_pg_restore_writes_is_whole_after_the_next_run(
    shop: Dsn, store: LocalStore, beside: Dsn, after_s: float
) -> None:
    _fill(shop)
    take_snapshot(shop, store, request())
    _kill_after(start("restore", store, shop, 0), "restoring", after_s)
    proof, _ = again(store, beside, shop)
    assert proof.rows_equal


def _fill(dsn: Dsn) -> None:
    with connect(dsn, purpose="tests") as conn:
        conn.execute("INSERT INTO orders (note) SELECT md5(i::text) FROM generate_series(1, 60000) AS i")


def _kill_after(process: subprocess.Popen[str], note: str, after_s: float) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(note):
            break
    time.sleep(after_s)
    process.kill()
    ended(process)


def oid_of(dsn: Dsn) -> int:
    with connect(dsn, purpose="tests") as conn:
        row = conn.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])
