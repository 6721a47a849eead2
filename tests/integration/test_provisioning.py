from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faberdb.connection import connect
from faberdb.databases import drop_database
from faberdb.dsn import Dsn
from faberdb.errors import HistoryRefused
from faberdb.progress import silent
from faberdb.provisioning import create_environment_database
from faberdb.target import Target, open_target

REVISIONS = {
    "0001_a": "CREATE TABLE a (id int PRIMARY KEY);",
    "0002_b": "CREATE TABLE b (id int REFERENCES a);",
    "0003_c": "ALTER TABLE b ADD COLUMN note text;",
}


@pytest.fixture
def target(server: Dsn, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """The dev environment of a project of this test's own."""
    monkeypatch.setenv("FABER_DB_HOME", str(home))
    name = f"t_{abs(hash(tmp_path)) % 10**8}"
    (tmp_path / "faber-db.toml").write_text(f'[project]\nname = "{name}"\n')
    for revision, script in REVISIONS.items():
        folder = tmp_path / "prisma" / "migrations" / revision
        folder.mkdir(parents=True)
        (folder / "migration.sql").write_text(script)
    with open_target(tmp_path, "dev") as opened:
        yield opened
        drop_database(opened.dsn)


def run(target: Target, *scripts: str) -> None:
    with connect(target.dsn, purpose="test") as conn:
        for script in scripts:
            conn.execute(script.encode())


def applied(target: Target) -> list[str]:
    with connect(target.dsn, purpose="test") as conn:
        return [t.name for t in target.tool.tracked(conn)]


def test_a_database_is_created_with_its_tracking_table_and_the_projects_schema(target: Target) -> None:
    made = create_environment_database(target, silent)
    assert (made["created"], made["recognised"]) == (True, [])
    assert applied(target) == []
    assert (target.project.root / "prisma" / "schema.prisma").read_text().count("postgresql") == 1
    assert "npm install" in made["initialised"]["client"]


def test_creating_twice_is_creating_once(target: Target) -> None:
    create_environment_database(target, silent)
    again = create_environment_database(target, silent)
    assert (again["created"], again["recognised"], again["initialised"]) == (False, [], {})


def test_a_database_made_without_the_tool_is_recognised_by_its_schema(target: Target) -> None:
    create_environment_database(target, silent)
    run(target, "DROP TABLE _prisma_migrations", REVISIONS["0001_a"], REVISIONS["0002_b"])
    assert create_environment_database(target, silent)["recognised"] == ["0001_a", "0002_b"]
    assert applied(target) == ["0001_a", "0002_b"]


def test_a_schema_that_no_revision_makes_is_refused_and_nothing_is_recorded(target: Target) -> None:
    create_environment_database(target, silent)
    run(target, "DROP TABLE _prisma_migrations", REVISIONS["0001_a"], "CREATE TABLE by_hand (id int)")
    with pytest.raises(HistoryRefused, match="no point of the revisions"):
        create_environment_database(target, silent)
    assert applied(target) == []
