"""What every migration tool must do on a real database, whichever it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from faberdb.budget import Budget
from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import (
    ConfigInvalid,
    Contended,
    EnvironmentBusy,
    HistoryRefused,
    RevisionFailed,
    ServerUnreachable,
    UnreadableSql,
)
from faberdb.history import pending, read_history
from faberdb.progress import Progress, silent
from faberdb.revision import Standing
from faberdb.tools import TOOLS, open_tool
from faberdb.tools.protocol import MigrationTool, Reversible

BUDGET = Budget(lock_timeout_s=2, statement_timeout_s=20)


class Project(Protocol):
    """An application's revisions, written the way one tool wants them."""

    def __init__(self, folder: Path) -> None: ...

    def write(self, name: str, script: str) -> None: ...

    def delete(self, name: str) -> None: ...

    def tool(self) -> MigrationTool: ...

    def write_down(self, name: str, script: str) -> None:
        """For a tool that is `Reversible`."""


class PrismaProject:
    def __init__(self, folder: Path) -> None:
        self.directory = folder / "prisma" / "migrations"
        self.directory.mkdir(parents=True)
        (self.directory / "migration_lock.toml").write_text('provider = "postgresql"\n')

    def write(self, name: str, script: str) -> None:
        (self.directory / name).mkdir(exist_ok=True)
        (self.directory / name / "migration.sql").write_text(script)

    def delete(self, name: str) -> None:
        (self.directory / name / "migration.sql").unlink()
        (self.directory / name).rmdir()

    def tool(self) -> MigrationTool:
        return open_tool("prisma", directory=self.directory, schema_file=None)

    def write_down(self, name: str, script: str) -> None:
        (self.directory / name / "down.sql").write_text(script)


PROJECTS: dict[str, Callable[[Path], Project]] = {"prisma": PrismaProject}


@pytest.fixture(params=sorted(TOOLS))
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    return PROJECTS[request.param](tmp_path)


@pytest.fixture
def database(fresh_database: Dsn) -> Iterator[Connection]:
    with connect(fresh_database, purpose="contract", lock_timeout_s=5) as conn:
        yield conn


def migrate(conn: Connection, tool: MigrationTool, progress: Progress = silent) -> list[str]:
    """What a release does with a tool."""
    tool.ensure_tracking(conn)
    with tool.hold_lock(conn, timeout_s=10):
        todo = pending(tool.revisions(), tool.tracked(conn))
        for revision in todo:
            tool.apply(conn, revision, BUDGET, progress)
    return [r.name for r in todo]


def resume(conn: Connection, tool: MigrationTool, name: str, progress: Progress = silent) -> None:
    """What a release does that was killed and runs again: the same revision, whatever is there of it."""
    tool.ensure_tracking(conn)
    with tool.hold_lock(conn, timeout_s=10):
        tool.apply(conn, next(r for r in tool.revisions() if r.name == name), BUDGET, progress)


def column(conn: Connection, query: str) -> list[Any]:
    return [value for (value,) in conn.execute(query.encode())]


def standings(conn: Connection, tool: MigrationTool) -> list[tuple[str, Standing]]:
    return [(t.name, t.standing) for t in tool.tracked(conn)]


def test_every_tool_is_under_this_contract() -> None:
    assert set(PROJECTS) == set(TOOLS)


def test_an_unknown_tool_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        open_tool("flyway", directory=tmp_path, schema_file=None)
    assert all(name in caught.value.why for name in TOOLS)


def test_revisions_come_in_order_and_are_told_apart_by_their_text(project: Project) -> None:
    project.write("20260102_b", "SELECT 2;\n")
    project.write("20260101_a", "SELECT 1;\n")
    first, second = project.tool().revisions()
    assert (first.name, second.name) == ("20260101_a", "20260102_b")
    assert first.script == "SELECT 1;\n"
    project.write("20260101_a", "SELECT 1 ;\n")
    assert project.tool().revisions()[0].checksum != first.checksum


def test_a_database_without_the_tracking_table_has_no_history(project: Project, database: Connection) -> None:
    assert project.tool().tracked(database) == ()


def test_revisions_are_applied_in_order_and_applying_twice_is_applying_once(
    project: Project, database: Connection
) -> None:
    project.write("20260101_a", "CREATE TABLE log (n int); INSERT INTO log VALUES (1);")
    project.write("20260102_b", "INSERT INTO log SELECT max(n) + 1 FROM log -- no semicolon")
    project.write("20260103_c", "-- nothing to do\n")
    tool = project.tool()
    assert migrate(database, tool) == ["20260101_a", "20260102_b", "20260103_c"]
    assert migrate(database, tool) == []
    for revision in tool.revisions():
        tool.apply(database, revision, BUDGET, silent)
    assert column(database, "SELECT n FROM log ORDER BY n") == [1, 2]
    tracked = tool.tracked(database)
    assert [t.standing for t in tracked] == [Standing.APPLIED] * 3
    assert [t.checksum for t in tracked] == [r.checksum for r in tool.revisions()]
    assert all(t.finished_at is not None and t.finished_at >= t.started_at for t in tracked)


def test_a_failure_is_recorded_names_its_place_and_leaves_nothing(
    project: Project, database: Connection
) -> None:
    project.write("20260101_a", "CREATE TABLE t (n int CHECK (n < 5));")
    project.write(
        "20260102_b",
        "CREATE TABLE u (n int);\nINSERT INTO t VALUES (1);\n\n-- é\nINSERT INTO t VALUES (7);\n",
    )
    tool = project.tool()
    with pytest.raises(RevisionFailed) as caught:
        migrate(database, tool)
    error = caught.value
    assert (error.revision, error.line, error.sqlstate, error.effects) == ("20260102_b", 5, "23514", "none")
    assert "20260102_b" in error.what
    assert "violates check constraint" in error.why
    assert column(database, "SELECT to_regclass('u')::text") == [None]
    assert column(database, "SELECT count(*) FROM t") == [0]
    assert standings(database, tool)[-1] == ("20260102_b", Standing.FAILED)
    assert "violates check constraint" in tool.tracked(database)[-1].logs
    with pytest.raises(HistoryRefused, match="20260102_b"):
        migrate(database, tool)
    with pytest.raises(HistoryRefused, match="20260102_b"):
        resume(database, tool, "20260102_b")


def test_an_error_that_postgresql_points_at_is_told_by_its_line(
    project: Project, database: Connection
) -> None:
    project.write("20260101_a", "SELECT 'é';\nSELECT 1,\n  nowhere FROM pg_class;\n")
    with pytest.raises(RevisionFailed) as caught:
        migrate(database, project.tool())
    assert (caught.value.line, caught.value.sqlstate) == (3, "42703")


def test_a_constraint_checked_at_commit_fails_the_revision_and_leaves_nothing(
    project: Project, database: Connection
) -> None:
    project.write(
        "20260101_a",
        "CREATE TABLE t (n int PRIMARY KEY, p int REFERENCES t DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO t VALUES (1, 2);",
    )
    tool = project.tool()
    with pytest.raises(RevisionFailed) as caught:
        migrate(database, tool)
    assert (caught.value.sqlstate, caught.value.effects) == ("23503", "none")
    assert column(database, "SELECT to_regclass('t')::text") == [None]
    assert standings(database, tool) == [("20260101_a", Standing.FAILED)]


def test_text_that_is_not_postgresql_is_refused_before_anything_is_written(
    project: Project, database: Connection
) -> None:
    project.write("20260101_a", "CREATE TABEL t ();")
    tool = project.tool()
    with pytest.raises(UnreadableSql, match="20260101_a"):
        migrate(database, tool)
    assert tool.tracked(database) == ()


def test_a_rolled_back_failure_is_pending_again_and_then_applies(
    project: Project, database: Connection
) -> None:
    project.write("20260101_a", "SELECT 1/0;")
    tool = project.tool()
    with pytest.raises(RevisionFailed):
        migrate(database, tool)
    for _ in range(2):  # an ensure
        tool.mark_rolled_back(database, "20260101_a")
    assert standings(database, tool) == [("20260101_a", Standing.ROLLED_BACK)]
    project.write("20260101_a", "SELECT 1;")
    assert migrate(database, tool) == ["20260101_a"]
    assert standings(database, tool)[-1] == ("20260101_a", Standing.APPLIED)


def test_marking_rolled_back_leaves_an_applied_revision_alone(project: Project, database: Connection) -> None:
    project.write("20260101_a", "SELECT 1;")
    tool = project.tool()
    migrate(database, tool)
    tool.mark_rolled_back(database, "20260101_a")
    assert standings(database, tool) == [("20260101_a", Standing.APPLIED)]


def test_edited_missing_and_out_of_order_revisions_are_refused(
    project: Project, database: Connection
) -> None:
    tool = project.tool()
    project.write("20260102_b", "SELECT 2;")
    migrate(database, tool)
    project.write("20260102_b", "SELECT 3;")
    with pytest.raises(HistoryRefused, match="'20260102_b' was edited"):
        migrate(database, tool)
    project.delete("20260102_b")
    with pytest.raises(HistoryRefused, match="'20260102_b' is applied and missing"):
        migrate(database, tool)
    project.write("20260102_b", "SELECT 2;")
    project.write("20260101_a", "SELECT 1;")
    with pytest.raises(HistoryRefused, match="'20260101_a' is out of order"):
        migrate(database, tool)


def test_a_baseline_records_without_running(project: Project, database: Connection) -> None:
    project.write("20260101_a", "SELECT 1/0;")
    project.write("20260102_b", "CREATE TABLE t (n int);")
    tool = project.tool()
    for _ in range(2):  # an ensure
        tool.baseline(database, tool.revisions()[:1])
    assert standings(database, tool) == [("20260101_a", Standing.APPLIED)]
    assert migrate(database, tool) == ["20260102_b"]


def test_a_held_lock_is_told_with_its_holders_pid(project: Project, fresh_database: Dsn) -> None:
    tool = project.tool()
    with (
        connect(fresh_database, purpose="first release") as holder,
        connect(fresh_database, purpose="second release") as waiter,
        tool.hold_lock(holder, timeout_s=1),
    ):
        began = time.monotonic()
        with pytest.raises(EnvironmentBusy) as caught, tool.hold_lock(waiter, timeout_s=0.2):
            pass
        assert time.monotonic() - began < 5
        assert f"pid {holder.info.backend_pid}" in caught.value.what
        assert "first release" in caught.value.why
        assert column(waiter, "SELECT current_setting('lock_timeout')") == ["10s"]


def test_the_lock_is_let_go_at_the_end_and_after_an_error(project: Project, fresh_database: Dsn) -> None:
    tool = project.tool()
    with (
        connect(fresh_database, purpose="a") as first,
        connect(fresh_database, purpose="b") as second,
    ):
        with pytest.raises(psycopg.errors.DivisionByZero), tool.hold_lock(first, timeout_s=1):  # noqa: PT012
            first.execute("BEGIN")
            first.execute("SELECT 1/0")
        with tool.hold_lock(second, timeout_s=0.2):
            pass


def test_a_script_waits_for_a_table_no_longer_than_its_budget(project: Project, fresh_database: Dsn) -> None:
    project.write("20260101_a", "CREATE TABLE t (n int);")
    project.write("20260102_b", "ALTER TABLE t ADD COLUMN m int;")
    tool = project.tool()
    first, second = tool.revisions()
    with connect(fresh_database, purpose="a") as conn, connect(fresh_database, purpose="b") as other:
        tool.ensure_tracking(conn)
        tool.apply(conn, first, BUDGET, silent)
        with other.transaction():
            other.execute("SELECT * FROM t")
            with pytest.raises(Contended, match="gave way at line 1") as caught:
                tool.apply(conn, second, Budget(lock_timeout_s=0.5), silent)
        assert "faber-db b" in caught.value.why, "who was in the way is named"
        assert [t.name for t in tool.tracked(conn)] == [first.name], "nothing of the attempt stays"
        assert column(conn, "SELECT current_setting('lock_timeout')") == ["10s"]


@pytest.mark.parametrize(
    "script",
    [
        "SELECT pg_catalog.set_config('search_path', '', false); SET lock_timeout = 0; SET work_mem = '9MB';"
        " CREATE ROLE {role}; SET ROLE {role};",
        "BEGIN; SET search_path = pg_catalog; SET lock_timeout = 0; SET work_mem = '9MB'; COMMIT;",
        "SET search_path = pg_catalog; SET lock_timeout = 0; SET work_mem = '9MB'; VACUUM pg_class;",
        "DO $$ BEGIN PERFORM set_config('work_mem', '9MB', false); END $$;",
    ],
    ids=["one transaction", "its own transactions", "outside transactions", "opaque"],
)
def test_settings_that_a_script_leaves_do_not_reach_the_next_one(
    project: Project, database: Connection, script: str
) -> None:
    role = f"t_{os.getpid()}_{time.monotonic_ns()}"
    settings = "SELECT name || '=' || setting FROM pg_settings WHERE source = 'session' ORDER BY name"
    before = column(database, settings)
    project.write("20260101_a", script.format(role=role))
    project.write("20260102_b", "CREATE TABLE here (n int);")
    try:
        migrate(database, project.tool())
        assert column(database, "SELECT to_regclass('public.here')::text") == ["here"]
        assert column(database, settings) == before
        assert column(database, "SELECT current_user = session_user") == [True]
    finally:
        database.execute(f"DROP ROLE IF EXISTS {role}".encode())


def test_notices_of_the_server_are_no_warnings(
    project: Project, database: Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    project.write("20260101_a", "DROP TABLE IF EXISTS nowhere; DO $$ BEGIN RAISE WARNING 'look'; END $$;")
    migrate(database, project.tool())
    assert capfd.readouterr() == ("", "")


def test_a_script_with_its_own_transactions_runs_as_its_tool_would_run_it(
    project: Project, database: Connection
) -> None:
    project.write("20260101_a", "BEGIN;\nCREATE TABLE t (n int);\nCOMMIT;\nINSERT INTO t VALUES (1);\n")
    project.write("20260102_b", "BEGIN;\nINSERT INTO t VALUES (2);\nCOMMIT;\n\nSELECT 1/0;\n")
    tool = project.tool()
    with pytest.raises(RevisionFailed) as caught:
        migrate(database, tool)
    assert (caught.value.revision, caught.value.line, caught.value.effects) == ("20260102_b", 5, "uncertain")
    assert column(database, "SELECT n FROM t ORDER BY n") == [1, 2]
    assert [s for _, s in standings(database, tool)] == [Standing.APPLIED, Standing.FAILED]


def test_a_script_that_leaves_its_transaction_open_has_failed(project: Project, database: Connection) -> None:
    project.write("20260101_a", "BEGIN; CREATE TABLE t (n int);")
    tool = project.tool()
    with pytest.raises(RevisionFailed, match="20260101_a"):
        migrate(database, tool)
    assert column(database, "SELECT to_regclass('t')::text") == [None]
    assert standings(database, tool) == [("20260101_a", Standing.FAILED)]


CONCURRENT = (
    "ALTER TABLE t ADD COLUMN m int;\n"
    "UPDATE t SET m = n;\n"
    "CREATE INDEX CONCURRENTLY t_m ON t (m);\n"
    "ALTER TABLE t ADD COLUMN done boolean;\n"
)


def test_a_script_outside_transactions_tells_each_step_before_and_after(
    project: Project, database: Connection
) -> None:
    project.write("20260101_a", "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2);")
    project.write("20260102_b", CONCURRENT)
    notes: list[str] = []
    migrate(database, project.tool(), notes.append)
    index = notes.index("running statement 3 of 4 (CREATE INDEX CONCURRENTLY)")
    assert notes[index + 1] == "finished statement 3 of 4 (CREATE INDEX CONCURRENTLY)"
    assert column(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_m'::regclass") == [True]


def test_a_failed_concurrent_index_is_cleared_away_and_built_by_the_next_attempt(
    project: Project, database: Connection
) -> None:
    project.write("20260101_a", "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (1);")
    project.write("20260102_b", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_n ON t (n);")
    tool = project.tool()
    with pytest.raises(RevisionFailed) as caught:
        migrate(database, tool)
    assert (caught.value.effects, caught.value.line, caught.value.sqlstate) == ("uncertain", 1, "23505")
    assert column(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_n'::regclass") == [False]
    tool.mark_rolled_back(database, "20260102_b")
    database.execute("DELETE FROM t")
    assert migrate(database, tool) == ["20260102_b"]
    assert column(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_n'::regclass") == [True]


# -- death in the middle

_VICTIM = textwrap.dedent("""
    import os, signal, sys, threading, time
    sys.path.insert(0, {repository!r})
    from pathlib import Path
    from faberdb.budget import Budget
    from faberdb.connection import connect
    from faberdb.dsn import Dsn
    from faberdb.tools import open_tool

    host, port, user, database, tool_name, directory, revision, fatal, delay = sys.argv[1:]
    tool = open_tool(tool_name, directory=Path(directory), schema_file=None)

    def die():
        time.sleep(float(delay))
        os.kill(os.getpid(), signal.SIGKILL)

    def note(text):
        if text.startswith(fatal):
            threading.Thread(target=die).start() if float(delay) else die()

    dsn = Dsn(host=host, port=int(port), user=user, database=database)
    with connect(dsn, purpose="victim") as conn:
        tool.ensure_tracking(conn)
        with tool.hold_lock(conn, timeout_s=10):
            for found in tool.revisions():
                if found.name == revision:
                    tool.apply(conn, found, Budget(lock_timeout_s=20, statement_timeout_s=20), note)
    sys.exit("it was not killed")
""")


def kill_during(dsn: Dsn, tool: MigrationTool, revision: str, note: str, *, delay_s: float = 0) -> None:
    """Apply a revision in a process of its own that is killed at a progress note, or a while after it."""
    directory: Path = tool.directory  # type: ignore[attr-defined]
    repository = Path(__file__).resolve().parents[2]
    arguments = [dsn.host, dsn.port, dsn.user, dsn.database, tool.name, directory, revision, note, delay_s]
    finished = subprocess.run(
        [sys.executable, "-c", _VICTIM.format(repository=str(repository)), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr


SLOW = "CREATE TABLE slow (n int); INSERT INTO slow VALUES (1); SELECT pg_sleep(4);"


def test_killed_before_a_script_is_sent_it_is_applied_by_the_next_run(
    project: Project, fresh_database: Dsn, database: Connection
) -> None:
    project.write("20260101_a", SLOW.replace("(4)", "(0)"))
    tool = project.tool()
    kill_during(fresh_database, tool, "20260101_a", "running")
    assert tool.tracked(database) == ()
    assert migrate(database, tool) == ["20260101_a"]


def test_killed_inside_a_transaction_it_is_applied_once_by_the_next_run(
    project: Project, fresh_database: Dsn, database: Connection
) -> None:
    project.write("20260101_a", SLOW)
    tool = project.tool()
    kill_during(fresh_database, tool, "20260101_a", "running", delay_s=0.7)
    assert standings(database, tool) == [("20260101_a", Standing.STARTED)]
    with pytest.raises(HistoryRefused, match="'20260101_a' was begun"):
        pending(tool.revisions(), tool.tracked(database))
    project.write("20260101_a", SLOW.replace("(4)", "(0)"))
    resume(database, tool, "20260101_a")  # its lock is free once the server noticed
    assert column(database, "SELECT n FROM slow") == [1]
    assert [s for _, s in standings(database, tool)] == [Standing.ROLLED_BACK, Standing.APPLIED]
    assert read_history(tool.revisions(), tool.tracked(database)).problem == ""


def test_killed_after_the_commit_it_is_applied_and_stays_so(
    project: Project, fresh_database: Dsn, database: Connection
) -> None:
    project.write("20260101_a", SLOW.replace("(4)", "(0)"))
    tool = project.tool()
    kill_during(fresh_database, tool, "20260101_a", "committed")
    resume(database, tool, "20260101_a")
    assert column(database, "SELECT n FROM slow") == [1]
    assert standings(database, tool) == [("20260101_a", Standing.APPLIED)]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("moment", ["running", "finished"])
def test_killed_between_the_statements_outside_a_transaction_each_is_done_once(
    project: Project, fresh_database: Dsn, database: Connection, moment: str, number: int
) -> None:
    project.write("20260101_a", "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2);")
    tool = project.tool()
    migrate(database, tool)
    project.write("20260102_b", CONCURRENT)
    kill_during(fresh_database, tool, "20260102_b", f"{moment} statement {number} ")
    resume(database, tool, "20260102_b")
    assert column(database, "SELECT m FROM t ORDER BY m") == [1, 2]
    assert column(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_m'::regclass") == [True]
    assert [s for _, s in standings(database, tool)] == [Standing.APPLIED, Standing.APPLIED]


def test_killed_inside_a_concurrent_build_the_invalid_index_is_dropped_and_built_again(
    project: Project, fresh_database: Dsn, database: Connection
) -> None:
    project.write("20260101_a", "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2);")
    tool = project.tool()
    migrate(database, tool)
    project.write("20260102_b", "UPDATE t SET n = n + 1; CREATE INDEX CONCURRENTLY t_m ON t (n);")
    with open_transaction(fresh_database, "INSERT INTO t (n) VALUES (3)"):
        kill_during(fresh_database, tool, "20260102_b", "running statement 2 ", delay_s=1)
        wait_until_alone(database, but_for=1)
    assert column(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_m'::regclass") == [False]
    notes: list[str] = []
    resume(database, tool, "20260102_b", notes.append)
    assert any("dropped the invalid index t_m" in n for n in notes)
    assert column(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_m'::regclass") == [True]
    assert column(database, "SELECT n FROM t ORDER BY n") == [2, 3]


def test_an_index_that_the_killed_attempt_finished_is_not_built_again(
    project: Project, fresh_database: Dsn, database: Connection
) -> None:
    project.write("20260101_a", "CREATE TABLE t (n int);")
    tool = project.tool()
    migrate(database, tool)
    project.write("20260102_b", CONCURRENT)
    kill_during(fresh_database, tool, "20260102_b", "running statement 3 ")
    wait_until_alone(database)
    database.execute("CREATE INDEX CONCURRENTLY t_m ON t (m)")
    (before,) = column(database, "SELECT 't_m'::regclass::oid::int")
    resume(database, tool, "20260102_b")
    assert column(database, "SELECT 't_m'::regclass::oid::int") == [before]


def test_a_killed_script_with_its_own_transactions_is_not_guessed_about(
    project: Project, fresh_database: Dsn, database: Connection
) -> None:
    project.write("20260101_a", "BEGIN; CREATE TABLE t (n int); COMMIT; SELECT pg_sleep(4);")
    tool = project.tool()
    kill_during(fresh_database, tool, "20260101_a", "running", delay_s=0.7)
    with pytest.raises(HistoryRefused, match="'20260101_a' was begun before and cannot be continued"):
        resume(database, tool, "20260101_a")


def test_a_connection_lost_inside_a_script_may_be_tried_again_and_the_next_run_settles_it(
    project: Project, fresh_database: Dsn, database: Connection
) -> None:
    project.write("20260101_a", SLOW)
    tool = project.tool()
    with connect(fresh_database, purpose="doomed") as conn:
        pid = conn.info.backend_pid
        ender = threading.Timer(0.4, lambda: database.execute("SELECT pg_terminate_backend(%s)", (pid,)))

        def end_soon(note: str) -> None:
            if not ender.is_alive():
                ender.start()

        with pytest.raises(ServerUnreachable, match="'20260101_a'"):
            migrate(conn, tool, end_soon)
    ender.join()
    project.write("20260101_a", SLOW.replace("(4)", "(0)"))
    resume(database, tool, "20260101_a")
    assert column(database, "SELECT n FROM slow") == [1]


@contextmanager
def open_transaction(dsn: Dsn, statement: str) -> Iterator[None]:
    with connect(dsn, purpose="application") as conn, conn.transaction(force_rollback=True):
        conn.execute(statement.encode())
        yield


def wait_until_alone(conn: Connection, *, but_for: int = 0) -> None:
    """Until the server noticed that a killed client is gone."""
    deadline = time.monotonic() + 10
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    while column(conn, others) != [but_for]:
        assert time.monotonic() < deadline, "the killed client's session is still there"
        time.sleep(0.05)


def test_an_undone_revision_is_pending_again_and_can_be_applied(
    project: Project, database: Connection
) -> None:
    project.write("0001_a", "CREATE TABLE a ();")
    project.write("0002_b", "CREATE TABLE b ();")
    tool = project.tool()
    tool.ensure_tracking(database)
    for revision in tool.revisions():
        tool.apply(database, revision, BUDGET, silent)
    with database.transaction():
        database.execute("DROP TABLE b")
        tool.record_undone(database, ["0002_b"])
    tool.record_undone(database, ["0002_b"])
    assert [r.name for r in pending(tool.revisions(), tool.tracked(database))] == ["0002_b"]
    tool.apply(database, tool.revisions()[1], BUDGET, silent)
    assert pending(tool.revisions(), tool.tracked(database)) == ()


def test_an_undone_revision_stays_where_its_transaction_is_aborted(
    project: Project, database: Connection
) -> None:
    project.write("0001_a", "CREATE TABLE a ();")
    tool = project.tool()
    tool.ensure_tracking(database)
    tool.apply(database, tool.revisions()[0], BUDGET, silent)
    with database.transaction(force_rollback=True):
        tool.record_undone(database, ["0001_a"])
    assert [t.standing for t in tool.tracked(database)] == [Standing.APPLIED]


def test_a_revision_brings_its_down_script_where_the_tool_knows_them(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a ();")
    project.write("0002_b", "CREATE TABLE b ();")
    tool = project.tool()
    if not isinstance(tool, Reversible):
        pytest.skip(f"{tool.name} has no down scripts")
    project.write_down("0002_b", "\ufeffDROP TABLE b;\n")
    assert [tool.down_script(r.name) for r in tool.revisions()] == ["", "DROP TABLE b;\n"]
    assert tool.down_script("0009_missing") == ""
