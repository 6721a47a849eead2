"""`_prisma_migrations` as Prisma itself would have left it."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faberdb.budget import Budget
from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import HistoryRefused, RevisionFailed
from faberdb.history import pending, read_history
from faberdb.progress import silent
from faberdb.tools.prisma import PrismaMigrations

SCRIPT = b"CREATE TABLE here (n int);\n"


@pytest.fixture
def database(fresh_database: Dsn) -> Iterator[Connection]:
    with connect(fresh_database, purpose="prisma") as conn:
        yield conn


@pytest.fixture
def tool(tmp_path: Path) -> PrismaMigrations:
    write(tmp_path, SCRIPT)
    return PrismaMigrations(directory=tmp_path, schema_file=None)


def write(directory: Path, script: bytes, name: str = "20260101_a") -> None:
    (directory / name).mkdir(exist_ok=True)
    (directory / name / "migration.sql").write_bytes(script)


def apply_all(conn: Connection, tool: PrismaMigrations) -> None:
    tool.ensure_tracking(conn)
    for revision in pending(tool.revisions(), tool.tracked(conn)):
        tool.apply(conn, revision, Budget(), silent)


def rows(conn: Connection) -> list[dict[str, Any]]:
    cursor = conn.execute("SELECT * FROM _prisma_migrations ORDER BY started_at")
    names = [c.name for c in cursor.description or ()]
    return [dict(zip(names, values, strict=True)) for values in cursor]


def test_the_table_is_the_one_that_prisma_creates(database: Connection, tool: PrismaMigrations) -> None:
    for _ in range(2):  # an ensure
        tool.ensure_tracking(database)
    columns = database.execute(
        "SELECT column_name, data_type, character_maximum_length, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_name = '_prisma_migrations' ORDER BY ordinal_position"
    ).fetchall()
    assert columns == [
        ("id", "character varying", 36, "NO", None),
        ("checksum", "character varying", 64, "NO", None),
        ("finished_at", "timestamp with time zone", None, "YES", None),
        ("migration_name", "character varying", 255, "NO", None),
        ("logs", "text", None, "YES", None),
        ("rolled_back_at", "timestamp with time zone", None, "YES", None),
        ("started_at", "timestamp with time zone", None, "NO", "now()"),
        ("applied_steps_count", "integer", None, "NO", "0"),
    ]
    key = database.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = '_prisma_migrations'::regclass AND contype = 'p'"
    ).fetchall()
    assert key == [("_prisma_migrations_pkey",)]


def test_an_applied_row_is_prismas(database: Connection, tool: PrismaMigrations) -> None:
    apply_all(database, tool)
    (row,) = rows(database)
    assert uuid.UUID(row["id"]).version == 4
    assert row["checksum"] == hashlib.sha256(SCRIPT).hexdigest()
    assert row["finished_at"] > row["started_at"]
    assert (row["migration_name"], row["logs"], row["rolled_back_at"], row["applied_steps_count"]) == (
        "20260101_a", None, None, 1,
    )  # fmt: skip


def test_a_failed_row_is_prismas_and_is_settled_as_prisma_does(
    database: Connection, tool: PrismaMigrations
) -> None:
    write(tool.directory, b"SELECT 1/0;")
    with pytest.raises(RevisionFailed):
        apply_all(database, tool)
    (row,) = rows(database)
    assert (row["finished_at"], row["rolled_back_at"], row["applied_steps_count"]) == (None, None, 0)
    assert "Migration name: 20260101_a" in row["logs"]
    assert "Database error code: 22012" in row["logs"]
    assert "ERROR: division by zero" in row["logs"]
    tool.mark_rolled_back(database, "20260101_a")
    (settled,) = rows(database)
    assert settled["rolled_back_at"] > row["started_at"]
    assert settled["logs"] == row["logs"]


def test_a_baseline_row_is_that_of_migrate_resolve(database: Connection, tool: PrismaMigrations) -> None:
    tool.baseline(database, tool.revisions())
    (row,) = rows(database)
    assert row["started_at"] == row["finished_at"]
    assert (row["logs"], row["rolled_back_at"], row["applied_steps_count"]) == ("", None, 0)


def test_a_baseline_settles_a_failed_attempt(database: Connection, tool: PrismaMigrations) -> None:
    write(tool.directory, b"SELECT 1/0;")
    with pytest.raises(RevisionFailed):
        apply_all(database, tool)
    tool.baseline(database, tool.revisions())
    assert [r["rolled_back_at"] is None for r in rows(database)] == [False, True]
    assert read_history(tool.revisions(), tool.tracked(database)).problem == ""


@pytest.mark.parametrize(
    ("recorded", "on_disk"),
    [(b"SELECT 1;\n", b"SELECT 1;\r\n"), (b"SELECT 1;\r\nSELECT 2;\r\n", b"SELECT 1;\nSELECT 2;\n")],
)
def test_line_endings_that_git_changed_are_no_edit(
    database: Connection, tool: PrismaMigrations, recorded: bytes, on_disk: bytes
) -> None:
    write(tool.directory, recorded)
    apply_all(database, tool)
    write(tool.directory, on_disk)
    assert pending(tool.revisions(), tool.tracked(database)) == ()


def test_a_checksum_of_an_early_prisma_without_its_zeros_is_no_edit(
    database: Connection, tool: PrismaMigrations
) -> None:
    number, script = 0, b""
    while "0" not in hashlib.sha256(script).hexdigest()[::2]:  # a byte below 16
        number += 1
        script = f"SELECT {number};".encode()
    write(tool.directory, script)
    apply_all(database, tool)
    short = "".join(f"{byte:x}" for byte in hashlib.sha256(script).digest())
    assert len(short) < 64
    database.execute("UPDATE _prisma_migrations SET checksum = %s", (short,))
    assert pending(tool.revisions(), tool.tracked(database)) == ()


def test_a_row_that_prisma_began_and_did_not_end_is_not_guessed_about(
    database: Connection, tool: PrismaMigrations
) -> None:
    tool.ensure_tracking(database)
    database.execute(
        "INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES (%s, 'x', '20260101_a')",
        (str(uuid.UUID("0b2da89d-6c44-42ad-bae2-35d008bb4b7a")),),
    )
    with pytest.raises(HistoryRefused, match="20260101_a") as caught:
        tool.apply(database, tool.revisions()[0], Budget(), silent)
    assert "Prisma itself" in caught.value.why


def test_another_schema_holds_the_table_and_what_scripts_create(
    fresh_database: Dsn, tmp_path: Path, database: Connection
) -> None:
    write(tmp_path, SCRIPT)
    write(tmp_path, b"CREATE INDEX CONCURRENTLY here_n ON here (n);", "20260102_b")
    write(tmp_path, b"BEGIN; CREATE TABLE there (n int); COMMIT;", "20260103_c")
    tool = PrismaMigrations(directory=tmp_path, schema_file=None, schema="Shop")
    apply_all(database, tool)
    found = database.execute(
        "SELECT c.relname FROM pg_class c WHERE relnamespace = '\"Shop\"'::regnamespace"
        " AND relkind IN ('r', 'i') ORDER BY 1"
    ).fetchall()
    assert [n for (n,) in found] == [
        "_prisma_migrations", "_prisma_migrations_pkey", "here", "here_n", "there",
    ]  # fmt: skip
    assert pending(tool.revisions(), tool.tracked(database)) == ()


def test_a_role_that_may_not_create_can_still_use_a_table_that_is_there(
    fresh_database: Dsn, database: Connection, tool: PrismaMigrations
) -> None:
    tool.ensure_tracking(database)
    role = f"t_{re.sub('[^a-z0-9]', '', fresh_database.database)}"
    database.execute(f"CREATE ROLE {role}; REVOKE CREATE ON SCHEMA public FROM public".encode())
    try:
        database.execute(f"SET ROLE {role}".encode())
        tool.ensure_tracking(database)
    finally:
        database.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}".encode())
