from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from faberdb.checks import Check, CheckOutcome, check_problem, run_checks, runnable
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import ConfigInvalid, DatabaseMissing, ServerUnreachable


def outcome(dsn: Dsn, script: str, *, timeout_s: float = 10) -> CheckOutcome:
    (found,) = run_checks(dsn, [Check(name="the rule", sql=script, timeout_s=timeout_s)])
    return found


def test_one_true_passes(fresh_database: Dsn) -> None:
    assert outcome(fresh_database, "SELECT 1 + 1 = 2") == CheckOutcome(
        name="the rule", passed=True, message=""
    )


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("SELECT false", "it is false"),
        ("SELECT NULL::boolean", "it is null"),
        ("SELECT true WHERE false", "returned 0 rows instead of one"),
        ("SELECT true FROM generate_series(1, 3)", "returned 3 rows instead of one"),
        ("SELECT true, true", "does not return one boolean column"),
        ("SELECT 't'", "does not return one boolean column"),
        ("SELECT true; CREATE TABLE t ()", "does not return one boolean column"),
        ("SELECT true FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELEC true", "cannot be read"),
        ("-- nothing\n", "holds no statement"),
        ("SELECT 1/0 > 1; SELECT true", "division by zero"),
        ("VACUUM; SELECT true", "VACUUM cannot run inside a transaction block"),
        ("SELECT pg_sleep(5) IS NULL", "statement timeout"),
    ],
)
def test_anything_else_fails_and_says_why(fresh_database: Dsn, script: str, said: str) -> None:
    found = outcome(fresh_database, script, timeout_s=0.5)

    assert not found.passed
    assert said in found.message


def test_many_short_statements_share_one_time_out(fresh_database: Dsn) -> None:
    began = time.monotonic()
    found = outcome(fresh_database, "SELECT pg_sleep(0.3);" * 20 + "SELECT true", timeout_s=1)

    assert not found.passed
    assert time.monotonic() - began < 2


def test_whatever_a_check_does_is_undone(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")

    script = (
        "CREATE TABLE made (); INSERT INTO t VALUES (2); DO $$ BEGIN DELETE FROM t WHERE id = 1; END $$;"
        "SELECT count(*) = 1 AND to_regclass('made') IS NOT NULL FROM t"
    )
    assert outcome(fresh_database, script).passed

    with connect(fresh_database, purpose="test") as conn:
        assert conn.execute("SELECT array_agg(id), to_regclass('made') FROM t").fetchone() == ([1], None)


@pytest.mark.parametrize(
    "script",
    [
        "INSERT INTO t VALUES (2); COMMIT; SELECT true",
        "INSERT INTO t VALUES (2); end; SELECT true",
        "BEGIN; SELECT true",
        "INSERT INTO t VALUES (2); PREPARE TRANSACTION 'x'; SELECT true",
        "SAVEPOINT a; SELECT true",
        "INSERT INTO t VALUES (2); ROLLBACK AND CHAIN; SELECT true",
        "INSERT INTO t VALUES (2); DO $$ BEGIN COMMIT; END $$; SELECT true",
        "INSERT INTO t VALUES (2); CALL commits(); SELECT true",
    ],
)
def test_a_check_cannot_commit(fresh_database: Dsn, script: str) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute("CREATE TABLE t (id int)")
        conn.execute("CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$")

    found = outcome(fresh_database, script)

    assert not found.passed
    assert "transaction" in found.message
    with connect(fresh_database, purpose="test") as conn:
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_missing_right_is_a_failed_check_in_postgresqls_words(fresh_database: Dsn) -> None:
    found = outcome(
        fresh_database,
        "CREATE TABLE t (id int); CREATE ROLE t_nobody; SET LOCAL ROLE t_nobody; SELECT count(*) = 0 FROM t",
    )

    assert not found.passed
    assert "permission denied for table t" in found.message


def test_every_check_runs_and_says_so_before_and_after(fresh_database: Dsn) -> None:
    notes: list[str] = []
    outcomes = run_checks(
        fresh_database,
        [Check(name="one", sql="SELECT false"), Check(name="two", sql="SELECT true")],
        progress=notes.append,
    )

    assert [(o.name, o.passed) for o in outcomes] == [("one", False), ("two", True)]
    assert notes == [
        "checking 'one'",
        "the check 'one' failed: it is false",
        "checking 'two'",
        "the check 'two' holds",
    ]


def test_a_check_that_can_never_hold_is_refused_before_anybody_plans_with_it() -> None:
    good = Check(name="good", sql="SELECT true")
    assert runnable([good]) == [good]
    with pytest.raises(ConfigInvalid, match="The check 'bad' can never hold: its SQL cannot be read"):
        runnable([good, Check(name="bad", sql="SELEKT true")])


def test_a_problem_is_found_without_a_database() -> None:
    assert check_problem(Check(name="x", sql="SELECT true")) == ""
    assert "controls the transaction" in check_problem(Check(name="x", sql="SELECT true; COMMIT"))
    assert "empty" in check_problem(Check(name="x", command=()))
    with pytest.raises(ValueError, match="either SQL or a command"):
        Check(name="x")


def test_a_database_that_is_away_is_not_a_failed_check(fresh_database: Dsn, tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissing):
        outcome(fresh_database.with_database("nowhere"), "SELECT true")
    with pytest.raises(ServerUnreachable):
        outcome(Dsn(host=str(tmp_path), database="x"), "SELECT true")


def test_a_session_that_is_ended_meanwhile_is_not_a_failed_check(fresh_database: Dsn) -> None:
    def end_it() -> None:
        with connect(fresh_database, purpose="killer") as conn:
            for _ in range(500):
                ended = conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE query LIKE '%pg_sleep(8)%' AND state = 'active'"
                    " AND datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchall()
                if ended:
                    return
                time.sleep(0.01)

    killer = threading.Thread(target=end_it)
    killer.start()
    with pytest.raises(ServerUnreachable, match="went away during the check 'the rule'"):
        outcome(fresh_database, "SELECT pg_sleep(8) IS NULL")
    killer.join()


def command(dsn: Dsn, code: str, *, timeout_s: float = 20, cwd: Path | None = None) -> CheckOutcome:
    check = Check(name="app", command=("{python}", "-c", code), timeout_s=timeout_s, cwd=cwd)
    (found,) = run_checks(dsn, [check])
    return found


def test_a_command_gets_the_database_in_its_environment(fresh_database: Dsn, tmp_path: Path) -> None:
    code = (
        "import os, psycopg; conn = psycopg.connect(os.environ['DATABASE_URL']);"
        "name = conn.execute('SELECT current_database()').fetchone()[0];"
        f"assert name == {fresh_database.database!r};"
        f"assert os.path.samefile(os.getcwd(), {os.fspath(tmp_path)!r})"
    )

    assert command(fresh_database, code, cwd=tmp_path).message == ""


def test_a_command_that_fails_says_what_it_printed_without_the_url(fresh_database: Dsn) -> None:
    code = "import os, sys; print('broken:', os.environ['DATABASE_URL'], file=sys.stderr); sys.exit(3)"

    found = command(fresh_database, code)

    assert not found.passed
    assert "exit code 3" in found.message
    assert "broken: ***" in found.message


def test_a_command_that_hangs_is_stopped(fresh_database: Dsn) -> None:
    found = command(fresh_database, "import time; time.sleep(60)", timeout_s=0.5)

    assert not found.passed
    assert "did not end within 0.5 s" in found.message
