from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from msgspec import Struct
from msgspec.structs import replace

from faberdb.budget import Budget
from faberdb.catalog import read_schema
from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import HistoryRefused, Refused
from faberdb.health import AREAS, CheckResult, HealthReport, HealthState, Thresholds
from faberdb.health.connectivity import judge_latency
from faberdb.health.examination import check_health
from faberdb.health.migrations import judge_revisions
from faberdb.health.performance import judge_connections
from faberdb.progress import Progress
from faberdb.revision import Revision, Standing, TrackedRevision

HEALTHY, DEGRADED, UNHEALTHY, NOT_RUN = (
    HealthState.HEALTHY,
    HealthState.DEGRADED,
    HealthState.UNHEALTHY,
    HealthState.NOT_RUN,
)


def row(name: str, standing: Standing, checksum: str = "c") -> TrackedRevision:
    when = datetime(2024, 1, 2, tzinfo=UTC)
    return TrackedRevision(name=name, checksum=checksum, standing=standing, started_at=when, finished_at=when)


class TableTool(Struct, frozen=True, kw_only=True):
    """A migration tool whose tracking table has two columns and whose directory is a tuple."""

    name: str = "table"
    tracking_tables: tuple[str, ...] = ("tracking",)
    on_disk: tuple[str, ...] = ("one", "two")
    unreadable: bool = False

    def revisions(self) -> tuple[Revision, ...]:
        if self.unreadable:
            raise HistoryRefused("The directory is a mess.", next_step="tidy it")
        return tuple(Revision(name=n, checksum="c", script="") for n in self.on_disk)

    def write_revision(self, name: str, script: str) -> Path:
        raise AssertionError("a look at health writes nothing")

    def withdraw_revision(self, name: str, keep: Path) -> Path:
        raise AssertionError("a look at health writes nothing")

    def record_undone(self, conn: Connection, names: Sequence[str]) -> None:
        raise AssertionError("a look at health writes nothing")

    def tracked(self, conn: Connection) -> tuple[TrackedRevision, ...]:
        rows = conn.execute("SELECT name, standing FROM tracking ORDER BY id").fetchall()
        return tuple(row(n, Standing(s)) for n, s in rows)

    def ensure_tracking(self, conn: Connection) -> None:
        conn.execute("CREATE TABLE IF NOT EXISTS tracking (id serial PRIMARY KEY, name text, standing text)")

    def hold_lock(self, conn: Connection, *, timeout_s: float) -> AbstractContextManager[None]:
        return nullcontext()

    def apply(self, conn: Connection, revision: Revision, budget: Budget, progress: Progress) -> None:
        conn.execute("INSERT INTO tracking (name, standing) VALUES (%s, 'applied')", (revision.name,))

    def baseline(self, conn: Connection, revisions: Sequence[Revision]) -> None:
        for revision in revisions:
            conn.execute("INSERT INTO tracking (name, standing) VALUES (%s, 'applied')", (revision.name,))

    def mark_rolled_back(self, conn: Connection, name: str) -> None:
        conn.execute("UPDATE tracking SET standing = 'rolled back' WHERE name = %s", (name,))


TOOL = TableTool()


@pytest.fixture
def database(fresh_database: Dsn) -> Dsn:
    """With the tool's two revisions applied, and a table of the application."""
    with connect(fresh_database, purpose="test") as conn:
        TOOL.ensure_tracking(conn)
        TOOL.baseline(conn, TOOL.revisions())
        conn.execute("CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE orders (id int)")
    return fresh_database


def fingerprint(dsn: Dsn) -> str:
    with connect(dsn, purpose="test") as conn:
        return read_schema(conn, leave_out=TOOL.tracking_tables).fingerprint


def health(dsn: Dsn, *areas: str, expected: str | None = None, timeout_s: float = 20) -> HealthReport:
    return check_health(
        dsn,
        tool=TOOL,
        expected=(lambda _: expected) if expected else None,
        checks=areas or None,
        timeout_s=timeout_s,
    )


def found(report: HealthReport, name: str) -> CheckResult:
    (result,) = [r for r in report.results if r.name == name]
    return result


def test_a_well_database_is_healthy_in_every_area(database: Dsn) -> None:
    report = health(database, expected=fingerprint(database))

    assert report.overall is HEALTHY, report.summary()
    assert {r.area for r in report.results} == set(AREAS)
    looked_at = [r for r in report.results if r.state is not NOT_RUN]
    assert all(r.figure and not r.why and not r.next_step for r in looked_at)
    assert {r.name for r in report.results} - {r.name for r in looked_at} == {
        "cache hit ratio",
        "slow statements",
        "unused indexes",
    }
    assert found(report, "revisions").figure == "2 applied"
    assert "checks healthy in" in report.summary()


def test_only_the_areas_asked_for_are_looked_at(database: Dsn) -> None:
    assert {r.area for r in health(database, "schema").results} == {"schema"}
    with pytest.raises(Refused, match="no health check 'weather'"):
        health(database, "weather")


def test_a_single_check_is_asked_for_by_its_name(database: Dsn) -> None:
    report = health(database, "lock-waits", "connectivity")

    assert [r.name for r in report.results] == ["latency", "tls", "lock waits"]


def test_the_report_is_json_that_people_and_programs_read(database: Dsn) -> None:
    with connect(database, purpose="test") as conn:
        conn.execute("DELETE FROM tracking WHERE name = 'two'")

    report = health(database)
    body = json.loads(json.dumps(report.to_json()))

    assert body["overall"] == "degraded"
    assert body["summary"].startswith("degraded: revisions: 1 applied, 1 pending")
    (revisions,) = [r for r in body["results"] if r["name"] == "revisions"]
    assert revisions["next_step"] == "faber-db plan ENV"
    assert "  degraded   revisions: 1 applied, 1 pending" in report.text()
    assert "next: faber-db plan ENV" in report.text()


def test_a_server_that_is_away_is_unhealthy_and_the_rest_is_not_run(tmp_path: Path) -> None:
    report = health(Dsn(host=str(tmp_path), user="me", password="hush", database="x"))

    assert report.overall is UNHEALTHY
    assert [(r.area, r.state) for r in report.results] == [
        ("connectivity", UNHEALTHY),
        ("migrations", NOT_RUN),
        ("schema", NOT_RUN),
        ("performance", NOT_RUN),
        ("safety", NOT_RUN),
        ("maintenance", NOT_RUN),
    ]
    assert "hush" not in json.dumps(report.to_json()) + report.text()


def test_a_server_that_is_away_is_unhealthy_also_when_only_the_schema_was_asked_for(tmp_path: Path) -> None:
    report = health(Dsn(host=str(tmp_path), database="x"), "schema")

    assert [(r.area, r.state) for r in report.results] == [("connectivity", UNHEALTHY), ("schema", NOT_RUN)]


def test_a_server_that_accepts_and_says_nothing_is_given_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        began = time.monotonic()
        report = health(Dsn(host="127.0.0.1", port=silent_server.getsockname()[1], database="x"), timeout_s=1)

    assert report.overall is UNHEALTHY
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("ms", "state"), [(0.4, HEALTHY), (99.9, HEALTHY), (100, DEGRADED), (499, DEGRADED), (500, UNHEALTHY)]
)
def test_latency_is_judged_by_its_thresholds(ms: float, state: HealthState) -> None:
    result = judge_latency(ms, 9, Thresholds())

    assert result.state is state
    assert bool(result.next_step) is (state is not HEALTHY)


@pytest.mark.parametrize(
    ("used", "state"), [(79, HEALTHY), (80, DEGRADED), (94, DEGRADED), (95, UNHEALTHY), (100, UNHEALTHY)]
)
def test_connections_are_judged_against_the_limit(used: int, state: HealthState) -> None:
    assert judge_connections(used, 100, Thresholds()).state is state


def test_connections_are_counted(database: Dsn) -> None:
    with connect(database, purpose="test") as conn:
        (limit,) = conn.execute("SELECT current_setting('max_connections')").fetchone() or ("",)
        report = check_health(
            database,
            tool=None,
            expected=None,
            thresholds=replace(Thresholds(), connections_unhealthy_percent=200 / int(limit)),
            checks=("performance",),
        )

    assert found(report, "connections").state is UNHEALTHY
    assert found(report, "connections").figure.endswith(f" of {limit}")


def applied(*names: str, checksum: str = "c") -> list[TrackedRevision]:
    return [row(n, Standing.APPLIED, checksum) for n in names]


@pytest.mark.parametrize(
    ("tracked", "state", "said"),
    [
        (applied("one", "two"), HEALTHY, ""),
        (applied("one"), DEGRADED, "Not applied yet: two"),
        ([], DEGRADED, "one, two"),
        ([*applied("one"), row("two", Standing.FAILED)], UNHEALTHY, "Did not end: two"),
        ([*applied("one"), row("two", Standing.STARTED)], UNHEALTHY, "Did not end: two"),
        ([*applied("one"), row("two", Standing.ROLLED_BACK)], DEGRADED, "Not applied yet: two"),
        ([row("one", Standing.ROLLED_BACK), *applied("one", "two")], HEALTHY, ""),
        ([*applied("one"), *applied("two", checksum="d")], UNHEALTHY, "no longer what was applied: two"),
        (applied("one", "two", "three"), UNHEALTHY, "lacks what was applied: three"),
    ],
)
def test_revisions_are_judged_by_the_worst_of_them(
    tracked: list[TrackedRevision], state: HealthState, said: str
) -> None:
    result = judge_revisions(TOOL.revisions(), tracked)

    assert result.state is state
    assert said in result.why


def test_a_directory_that_cannot_be_read_is_unhealthy_and_the_rest_is_looked_at(database: Dsn) -> None:
    report = check_health(database, tool=TableTool(unreadable=True), expected=None)

    assert found(report, "revisions").state is UNHEALTHY
    assert found(report, "revisions").next_step == "tidy it"
    assert found(report, "connections").state is HEALTHY


def test_a_project_without_a_tool_has_no_migrations_to_judge(database: Dsn) -> None:
    report = check_health(database, tool=None, expected=None)

    assert found(report, "revisions").state is NOT_RUN
    assert report.overall is HEALTHY


def test_a_manual_change_degrades_the_schema(database: Dsn) -> None:
    before = fingerprint(database)
    with connect(database, purpose="test") as conn:
        conn.execute("ALTER TABLE orders ADD COLUMN by_hand text")

    result = found(health(database, "schema", expected=before), "fingerprint")

    assert result.state is DEGRADED
    assert "manual changes" in result.why
    assert before[:12] in result.threshold


def test_what_does_not_work_in_the_schema_is_named(database: Dsn) -> None:
    with connect(database, purpose="test") as conn:
        conn.execute("INSERT INTO orders VALUES (1), (1)")
        conn.execute("ALTER TABLE orders ADD CONSTRAINT positive CHECK (id > 0) NOT VALID")
        conn.execute("ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES parent NOT VALID")
        conn.execute("ALTER TABLE orders DISABLE TRIGGER ALL")
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON orders (id)")

    report = health(database, "schema")

    assert found(report, "invalid indexes").figure == "1: broken"
    assert found(report, "constraints not validated").figure == "2: fk on orders, positive on orders"
    assert found(report, "foreign keys switched off").figure == "1: fk on orders"
    assert report.overall is DEGRADED


@contextmanager
def open_transaction(dsn: Dsn, *statements: str) -> Iterator[Connection]:
    with connect(dsn, purpose="other") as conn, conn.transaction(force_rollback=True):
        for statement in statements:
            conn.execute(statement.encode())
        yield conn


def test_a_long_transaction_is_named(database: Dsn) -> None:
    with open_transaction(database, "SELECT 1") as other:
        pid = other.info.backend_pid
        report = check_health(
            database,
            tool=None,
            expected=None,
            thresholds=replace(Thresholds(), transaction_warn_seconds=0),
            checks=("performance",),
        )

    assert found(report, "longest transaction").state is DEGRADED
    assert f"pid {pid}" in found(report, "longest transaction").why


def test_a_blocked_session_and_its_blocker_are_named(database: Dsn) -> None:
    def wait() -> None:
        with connect(database, purpose="waiter") as conn, conn.transaction(force_rollback=True):
            conn.execute("LOCK TABLE orders")

    waiter = threading.Thread(target=wait)
    with open_transaction(database, "LOCK TABLE orders") as holder:
        pid = holder.info.backend_pid
        waiter.start()
        deadline = time.monotonic() + 5
        result = None
        while time.monotonic() < deadline and (result is None or result.state is HEALTHY):
            report = check_health(
                database,
                tool=None,
                expected=None,
                thresholds=replace(Thresholds(), blocked_warn_seconds=0),
                checks=("performance",),
            )
            result = found(report, "blocked sessions")
    waiter.join()

    assert result is not None
    assert result.figure == "1"
    assert str(pid) in result.why


@pytest.fixture
def limited(server: Dsn, database: Dsn) -> Iterator[Dsn]:
    """The same database through a role that may do nothing."""
    with connect(server, purpose="test") as conn:
        conn.execute("CREATE ROLE t_limited LOGIN")
    yield replace(database, user="t_limited")
    with connect(server, purpose="test") as conn:
        conn.execute("DROP ROLE t_limited")


def test_a_missing_right_degrades_one_check_and_says_so(database: Dsn, limited: Dsn) -> None:
    with open_transaction(database, "SELECT 1"):
        report = health(limited, expected=fingerprint(database))

    assert found(report, "revisions").state is DEGRADED
    assert "permission denied for table tracking" in found(report, "revisions").why
    assert found(report, "longest transaction").state is DEGRADED
    assert "may not see 1 sessions" in found(report, "longest transaction").why
    assert "may not see 1 sessions" in found(report, "idle in transaction").why
    assert "may not read 1 sequences" in found(report, "sequences").why
    assert found(report, "free disk").why == "the server does not tell"
    limited_checks = {"revisions", "longest transaction", "idle in transaction", "sequences"}
    others = [r for r in report.results if r.name not in limited_checks]
    assert {r.state for r in others} == {HEALTHY, NOT_RUN}


def test_statements_that_the_server_does_not_count_are_not_judged(database: Dsn) -> None:
    with connect(database, purpose="test") as conn:
        conn.execute("CREATE EXTENSION pg_stat_statements")  # without shared_preload_libraries

    report = health(database, "performance", "safety")

    result = found(report, "slow statements")
    assert result.state is NOT_RUN
    assert "must be loaded via" in result.why
    assert "shared_preload_libraries" in result.next_step
    assert report.overall is HEALTHY


def test_a_locked_tracking_table_holds_nobody_up(database: Dsn) -> None:
    began = time.monotonic()
    with open_transaction(database, "LOCK TABLE tracking IN ACCESS EXCLUSIVE MODE"):
        report = health(database, timeout_s=1)

    assert time.monotonic() - began < 2
    assert found(report, "revisions").state is DEGRADED
    assert "lock timeout" in found(report, "revisions").why
    assert found(report, "connections").state is HEALTHY


def test_a_server_process_that_stands_still_is_cut_off(database: Dsn) -> None:
    stopped: list[int] = []

    def stop_it() -> None:
        with connect(database, purpose="test") as conn:
            while not stopped:
                rows = conn.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'faber-db health%'"
                    " AND datname = current_database() AND wait_event_type = 'Lock'"
                ).fetchall()
                for (pid,) in rows:
                    os.kill(pid, signal.SIGSTOP)
                    stopped.append(pid)

    with open_transaction(database, "LOCK TABLE tracking IN ACCESS EXCLUSIVE MODE"):
        stopper = threading.Thread(target=stop_it)
        stopper.start()
        began = time.monotonic()
        report = health(database, timeout_s=2)
        took = time.monotonic() - began
        stopper.join()
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    assert report.overall is UNHEALTHY
    assert found(report, "connection").why.startswith("The session was lost")
    assert found(report, "performance").state is NOT_RUN
    assert took < 4
