"""A wrong password: one clear error, nothing changed, and no secret in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import AuthenticationFailed
from faberdb.framing import environment_state
from faberdb.project import load_project

ROLE, SECRET = "t_with_password", "s3cr3t-canary"


@pytest.fixture
def guarded(server: Dsn, home: Path, fresh_database: Dsn) -> Iterator[Dsn]:
    """A login that the server checks, on a server that trusts everybody else."""
    rules = home / "postgres" / "pg_hba.conf"
    before = rules.read_text()
    with connect(server, purpose="test") as conn:
        conn.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{SECRET}'".encode())
        rules.write_text(f"local all {ROLE} scram-sha-256\n{before}")
        conn.execute("SELECT pg_reload_conf()")
        yield Dsn(
            host=server.host, port=server.port, user=ROLE, password=SECRET, database=fresh_database.database
        )
        rules.write_text(before)
        conn.execute("SELECT pg_reload_conf()")
        conn.execute(f"DROP ROLE {ROLE}".encode())


def test_the_right_password_opens(guarded: Dsn) -> None:
    with connect(guarded, purpose="test") as conn:
        assert conn.execute("SELECT current_user").fetchone() == (ROLE,)


def test_a_wrong_password_is_told_as_what_it_is(guarded: Dsn) -> None:
    wrong = Dsn(
        host=guarded.host, port=guarded.port, user=ROLE, password="wr0ng-canary", database=guarded.database
    )
    with (
        pytest.raises(AuthenticationFailed, match="turned the login") as refused,
        connect(wrong, purpose="t"),
    ):
        pass
    assert "canary" not in str(refused.value)


def test_an_environment_with_a_wrong_password_is_a_problem_that_frame_tells(
    guarded: Dsn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faber-db.toml").write_text('[database]\nhosting = "postgres"\n')
    (tmp_path / "prisma" / "migrations").mkdir(parents=True)
    monkeypatch.setenv(
        "DEV_DATABASE_URL", f"postgresql://{ROLE}:wr0ng-canary@/{guarded.database}?host={guarded.host}"
    )
    project = load_project(tmp_path)
    state = environment_state(project, project.environment("dev"))
    assert "turned the login" in state.problem
    assert "canary" not in state.problem
