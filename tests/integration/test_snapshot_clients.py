"""Which client programs speak to a server, and what they were built with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from faberdb.connection import connect
from faberdb.databases import drop_database, ensure_database
from faberdb.dsn import Dsn
from faberdb.errors import CommandFailed, Refused
from faberdb.rows import count_rows
from faberdb.snapshot import programs
from faberdb.snapshot.clients import choose_clients, clients_in, embedded_clients

# Answers as the pg_dump of a build with zstd does.
WITH_ZSTD = """#!/bin/sh
case "$*" in
  --version) echo "pg_dump (PostgreSQL) 17.4 (Some Linux 17.4-1)" ;;
  *) echo "pg_dump: error: connection to server failed" >&2; exit 1 ;;
esac
"""


def test_programs_say_themselves_what_they_are(tmp_path: Path) -> None:
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).write_text(WITH_ZSTD)
        (tmp_path / name).chmod(0o755)
    found = clients_in(tmp_path)
    assert found is not None
    assert (found.version, found.major, found.zstd) == ("17.4", 17, True)
    assert programs.compression(found) == "zstd"
    assert clients_in(tmp_path / "nothing") is None


def test_an_archive_that_nobody_here_can_read_is_refused_before_it_is_tried() -> None:
    with pytest.raises(Refused, match=r"no PostgreSQL client programs .* with zstd"):
        choose_clients(180000, at_least="18.1", zstd=True)
    with pytest.raises(Refused, match=r"an archive of pg_dump 99\.1"):
        choose_clients(180000, at_least="99.1")


def test_a_server_gets_the_programs_of_its_own_version_where_they_are_installed(older_server: Dsn) -> None:
    with connect(older_server, purpose="tests") as conn:
        version = conn.info.server_version
    assert choose_clients(version).major == version // 10000
    assert choose_clients(version, at_least="18.6") == embedded_clients(), (
        "older ones cannot read the archive"
    )


def test_the_embedded_programs_copy_an_older_server_and_do_not_hide_its_errors(
    older_server: Dsn, tmp_path: Path
) -> None:
    live, copy = older_server.with_database("live"), older_server.with_database("copy_broken")
    for dsn in (live, copy):
        drop_database(dsn)
    ensure_database(live)
    ours = embedded_clients()
    with connect(live, purpose="tests") as conn, conn.transaction():
        version = conn.info.server_version
        conn.execute("CREATE TABLE t AS SELECT generate_series(1, 9) AS a")
    for number, more in enumerate(("SELECT 1", BOOM)):
        with connect(live, purpose="tests") as conn:
            conn.execute(more.encode())
            with conn.transaction():
                conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                row = conn.execute("SELECT pg_export_snapshot()").fetchone()
                assert row is not None
                folder = tmp_path / f"dump{number}"
                programs.dump(live, folder, clients=ours, snapshot=row[0], timeout_s=60)
        drop_database(copy)
        ensure_database(copy)
        options = {"server_version": version, "with_roles": True, "timeout_s": 60, "clients": ours}
        if more == BOOM:
            with pytest.raises(CommandFailed, match="boom"):
                programs.restore(folder, copy, **options)  # type: ignore[arg-type]
        else:
            programs.restore(folder, copy, **options)  # type: ignore[arg-type]
            with connect(copy, purpose="tests") as conn:
                assert count_rows(conn) == {"public.t": 9}


def test_the_stamps_of_a_newer_server_are_not_taken_to_one_that_refuses_them(
    create_database: Callable[..., Dsn], tmp_path: Path
) -> None:
    live, copy = create_database("stamped"), create_database("copy")
    with connect(live, purpose="tests") as conn:
        version = conn.info.server_version
        conn.execute(
            'CREATE TABLE "Tab; le" ("a, b" int, c int, d int); ALTER TABLE "Tab; le" ALTER c SET (n_distinct = 5)'
        )
        conn.execute(
            "UPDATE pg_attribute SET attoptions = array_prepend('pg_attver=88927976', attoptions)"
            """ WHERE attrelid = '"Tab; le"'::regclass AND attnum > 0"""
        )
    programs.dump_schema(live, tmp_path / "dump", timeout_s=60)
    programs.restore(tmp_path / "dump", copy, server_version=version, with_roles=True, timeout_s=60)
    with connect(copy, purpose="tests") as conn:
        options = conn.execute("""SELECT attname, attoptions FROM pg_attribute
            WHERE attrelid = '"Tab; le"'::regclass AND attnum > 0 ORDER BY attnum""").fetchall()
    ours = [(name, [o for o in given or () if "pg_attver" not in o]) for name, given in options]
    assert ours == [("a, b", []), ("c", ["n_distinct=5"]), ("d", [])]


BOOM = """
CREATE FUNCTION boom(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  $$ BEGIN IF current_database() LIKE '%_broken' THEN RAISE 'boom'; END IF; RETURN $1; END $$;
CREATE INDEX ON t (boom(a));
"""
