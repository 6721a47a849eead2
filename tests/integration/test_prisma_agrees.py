"""The real Prisma CLI judges what we wrote, where it is installed.

FABER_DB_PRISMA names a folder with `node_modules` of `prisma@6` and `@prisma/adapter-pg`: their engine in
WebAssembly needs no download. Without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faberdb.budget import Budget
from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import RevisionFailed
from faberdb.history import pending
from faberdb.progress import silent
from faberdb.tools.prisma import PrismaMigrations

INSTALLED = os.environ.get("FABER_DB_PRISMA", "")

pytestmark = pytest.mark.skipif(
    not INSTALLED, reason="FABER_DB_PRISMA does not name a folder with Prisma's node_modules"
)

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop" / "prisma"

CONFIG = """
import { defineConfig } from "prisma/config";
import { PrismaPg } from "@prisma/adapter-pg";
export default defineConfig({
  experimental: { adapter: true },
  engine: "js",
  schema: %(schema)s,
  migrations: { path: %(migrations)s },
  adapter: async () => new PrismaPg(%(connection)s),
} as any);
"""
SCHEMA = (
    'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\nmodel a {\n  id Int @id\n}\n'
)


class PrismaCli:
    """The CLI in a project of its own on one database."""

    def __init__(self, folder: Path, dsn: Dsn, *, migrations: Path, schema: Path) -> None:
        self.folder = folder
        (folder / "node_modules").symlink_to(Path(INSTALLED) / "node_modules", target_is_directory=True)
        # The CLI looks for a native engine that nothing uses here; an empty file keeps it from a download.
        self.engine = folder / "engine.node"
        self.engine.touch(mode=0o755)
        connection = {"host": dsn.host, "port": dsn.port, "user": dsn.user, "database": dsn.database}
        values = {"schema": str(schema), "migrations": str(migrations), "connection": connection}
        (folder / "prisma.config.ts").write_text(CONFIG % {k: json.dumps(v) for k, v in values.items()})

    def __call__(self, *arguments: str) -> tuple[int, str]:
        finished = subprocess.run(
            ["node", "node_modules/prisma/build/index.js", *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "CHECKPOINT_DISABLE": "1",
                "NO_COLOR": "1",
                "PRISMA_QUERY_ENGINE_LIBRARY": str(self.engine),
                "DATABASE_URL": "postgresql://unused@localhost/unused",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return finished.returncode, finished.stdout + finished.stderr


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "prisma" / "migrations"
    folder.mkdir(parents=True)
    (folder / "migration_lock.toml").write_text('provider = "postgresql"\n')
    (tmp_path / "prisma" / "schema.prisma").write_text(SCHEMA)
    return folder


@pytest.fixture
def database(fresh_database: Dsn) -> Iterator[Connection]:
    with connect(fresh_database, purpose="agrees") as conn:
        yield conn


def write(migrations: Path, name: str, script: bytes) -> None:
    (migrations / name).mkdir(exist_ok=True)
    (migrations / name / "migration.sql").write_bytes(script)


def cli(migrations: Path, dsn: Dsn) -> PrismaCli:
    project = migrations.parent.parent
    return PrismaCli(project, dsn, migrations=migrations, schema=project / "prisma" / "schema.prisma")


def apply_all(conn: Connection, migrations: Path) -> None:
    tool = PrismaMigrations(directory=migrations, schema_file=None)
    tool.ensure_tracking(conn)
    for revision in pending(tool.revisions(), tool.tracked(conn)):
        tool.apply(conn, revision, Budget(), silent)


def rows(conn: Connection) -> list[tuple[Any, ...]]:
    """What does not differ from run to run."""
    return conn.execute(
        "SELECT migration_name, checksum, finished_at IS NULL, rolled_back_at IS NULL, logs IS NULL,"
        " applied_steps_count, length(id), substr(id, 15, 1) FROM _prisma_migrations"
        " ORDER BY started_at, id"
    ).fetchall()


def test_prisma_calls_the_example_shop_up_to_date(
    fresh_database: Dsn, tmp_path: Path, database: Connection
) -> None:
    apply_all(database, SHOP / "migrations")
    judge = PrismaCli(tmp_path, fresh_database, migrations=SHOP / "migrations", schema=SHOP / "schema.prisma")
    code, said = judge("migrate", "status")
    assert (code, "Database schema is up to date!" in said) == (0, True), said


def test_our_rows_are_prismas_rows(
    create_database: Any, migrations: Path, fresh_database: Dsn, database: Connection
) -> None:
    write(migrations, "1_z", b"CREATE TABLE a (id int PRIMARY KEY);\n")
    write(migrations, "10_a", "-- \u00e9\r\nCREATE TABLE b (id int);\r\nSELECT 1;\r\n".encode())
    write(migrations, "1_Y", b"BEGIN;\nCREATE TABLE c (id int);\nCOMMIT;\n")
    write(migrations, "20_c", b"CREATE INDEX CONCURRENTLY c_id ON c (id);\n")
    write(migrations, "30_empty", b"-- This is an empty migration.\n")
    write(migrations, "40_mark", b"\xef\xbb\xbf-- by an editor on Windows\r\nSELECT 1;\r\n")
    apply_all(database, migrations)
    theirs = create_database("prisma")
    code, said = cli(migrations, theirs)("migrate", "deploy")
    assert code == 0, said
    with connect(theirs, purpose="agrees") as conn:
        assert rows(database) == rows(conn)


def test_prisma_sees_our_failure_and_our_way_back(
    migrations: Path, fresh_database: Dsn, database: Connection
) -> None:
    write(migrations, "1_a", b"CREATE TABLE a (id int PRIMARY KEY);\n")
    write(migrations, "2_b", b"SELECT 1/0;\n")
    with pytest.raises(RevisionFailed):
        apply_all(database, migrations)
    judge = cli(migrations, fresh_database)
    code, said = judge("migrate", "status")
    assert code == 1
    assert "2_b" in said
    assert "have failed" in said
    tool = PrismaMigrations(directory=migrations, schema_file=None)
    tool.mark_rolled_back(database, "2_b")
    write(migrations, "2_b", b"SELECT 1;\n")
    code, said = judge("migrate", "deploy")
    assert code == 0, said
    assert pending(tool.revisions(), tool.tracked(database)) == ()


def test_prisma_waits_for_our_lock(migrations: Path, fresh_database: Dsn, database: Connection) -> None:
    write(migrations, "1_a", b"CREATE TABLE a (id int PRIMARY KEY);\n")
    tool = PrismaMigrations(directory=migrations, schema_file=None)
    judge = cli(migrations, fresh_database)
    with tool.hold_lock(database, timeout_s=1):
        code, said = judge("migrate", "deploy")
    assert code == 1
    assert "advisory lock" in said
    assert judge("migrate", "deploy")[0] == 0
