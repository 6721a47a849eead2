"""The example shop's schema keeps its fingerprint through a dump, and every migration of it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from faberdb.catalog import describe, differences, read_schema
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.embedded import client_program
from faberdb.subprocesses import run_program

MIGRATIONS = Path(__file__).resolve().parents[2] / "examples" / "shop" / "prisma" / "migrations"


def test_every_migration_changes_the_fingerprint_and_a_restore_does_not(
    create_database: Callable[..., Dsn], tmp_path: Path
) -> None:
    origin, copy = create_database("origin"), create_database("copy")
    silent = []
    with connect(origin, purpose="test") as conn:
        before = read_schema(conn)
        for file in sorted(MIGRATIONS.glob("*/migration.sql")):
            conn.execute(file.read_bytes())
            after = read_schema(conn)
            if not differences(before, after):
                silent.append(file.parent.name)
            before = after
    archive = tmp_path / "archive"
    run_program(
        [client_program("pg_dump"), "-Fd", "-s", "-f", archive],
        environment=origin.process_environment(),
        timeout_s=60,
        what="pg_dump",
    )
    run_program(
        [client_program("pg_restore"), "--exit-on-error", "-d", copy.database, archive],
        environment=copy.process_environment(),
        timeout_s=60,
        what="pg_restore",
    )
    with connect(copy, purpose="test") as conn:
        restored = read_schema(conn)

    assert silent == []
    assert [describe(d) for d in differences(before, restored)] == []
    assert len(before.objects) > 100
