"""A release in mid-flight while Prefect's parts die under it: it lands, once, and the ledger says how."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from msgspec import Struct

from deployments.api import PrefectApi
from deployments.automations import NAMES, register_automations
from deployments.processes import end_leftovers
from deployments.stack import free_port
from deployments.stack_state import StackState, remembered
from deployments.supervisor import end_supervised
from faberdb.connection import connect
from faberdb.embedded import stop_server
from faberdb.ledger import Kind
from faberdb.progress import silent
from faberdb.provisioning import create_environment_database
from faberdb.release.record import Outcome, newest_release
from faberdb.target import open_target
from tests.e2e.test_commands import Ran, faber_db
from tests.e2e.test_up import until
from tests.flows.shoplet import Shoplet, make_shoplet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

IMPATIENT_S = 4  # as if runs beat so often: a dead one is missed 14 s after its first beat
SECOND_RUN = "Another release is at work"


class Up(Struct, frozen=True):
    """A stack with two workers, started with `faber-db up --detach`; the project is each test's own."""

    home: Path
    first: Shoplet
    ports: tuple[str, ...]

    def start(self) -> Ran:
        return faber_db(self.first, "up", "--detach", "--workers", "2", *self.ports)

    @property
    def state(self) -> StackState:
        return remembered(self.home)

    @property
    def api(self) -> PrefectApi:
        return PrefectApi(self.state.api)

    def services(self, name: str) -> list[psutil.Process]:
        """The processes of a service, found by their command lines."""
        found = [psutil.Process(p) for p in self.state.processes if psutil.pid_exists(p)]
        return [p for p in found if name in " ".join(p.cmdline())]

    def engine(self) -> psutil.Process:
        """The process of the one flow run that runs."""
        workers = self.services("worker start")
        (engine,) = (p for w in workers for p in w.children() if "prefect.engine" in " ".join(p.cmdline()))
        return engine

    def request(self, shoplet: Shoplet, environment: str = "production") -> str:
        parameters = {"project": str(shoplet.root), "environment": environment, "requester": "Priya"}
        return self.api.create_run("release/faber-db", parameters)


@pytest.fixture(scope="module")
def up(home: Path) -> Iterator[Up]:
    # Not in pytest's own folder: another session's start takes the server's user its way in there.
    base = home / "bad-days"
    end_supervised(base / "home")
    end_leftovers(base / "home")
    stop_server(base / "home")
    shutil.rmtree(base, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FABER_DB_HOME", str(base / "home"))
        for name in ("PREFECT_API_URL", "PREFECT_HOME", "FABER_DB_PROJECT"):
            patch.delenv(name, raising=False)
        base.mkdir(parents=True)
        ports = ("--port", str(free_port()), "--webhook-port", "0")
        running = Up(home=base / "home", first=make_shoplet(base / "first"), ports=ports)
        started = running.start()
        assert started.code == 0, started.err
        try:
            yield running
        finally:
            ended = faber_db(running.first, "down")
            assert ended.code == 0, ended.err


@pytest.fixture
def shoplet(up: Up, request: pytest.FixtureRequest) -> Shoplet:
    return make_shoplet(up.home.parent / request.node.name[:60])


@pytest.fixture
def impatient(up: Up) -> Iterator[None]:
    """Dead runs are missed sooner than living ones beat: for releases that are shorter than that."""
    register_automations(up.api, beat_s=IMPATIENT_S)
    yield
    register_automations(up.api, beat_s=30)


def approved(shoplet: Shoplet, seconds: float) -> str:
    """A release that Morgan agreed to, whose one revision takes a while and must be run only once."""
    script = f"CREATE TABLE slow (id int);\nINSERT INTO slow VALUES (1);\nSELECT pg_sleep({seconds});"
    shoplet.add({"0003_slow": script})
    return shoplet.approve().id


def told(shoplet: Shoplet, release: str) -> Counter[tuple[Kind, str]]:
    """How often the ledger says what about a release."""
    with open_target(shoplet.root, "production") as target:
        return Counter((e.kind, e.body.get("step", "")) for e in target.ledger.entries(release=release))


def until_it_applies(shoplet: Shoplet, release: str) -> None:
    begun = (Kind.STEP_NOTED, "apply")
    until(lambda: begun in told(shoplet, release), "the apply to begin")
    time.sleep(0.5)


def until_ended(shoplet: Shoplet, *, patience_s: float = 150) -> None:
    until(lambda: not shoplet.newest().open, "the release to end", patience_s=patience_s)


def assert_landed_once(shoplet: Shoplet, release: str) -> Counter[tuple[Kind, str]]:
    """It is released, nothing was done twice, and the chain is whole; returns what the ledger tells."""
    newest = shoplet.newest()
    assert (newest.id, newest.outcome) == (release, Outcome.RELEASED)
    entries = told(shoplet, release)
    twice = {what for what, times in entries.items() if what[0] is Kind.STEP_DONE and times > 1}
    assert not twice
    assert entries[Kind.STEP_DONE, "snapshot"] == 1
    assert entries[Kind.RELEASE_CLOSED, ""] == 1
    assert rows_of(shoplet) == 1
    assert shoplet.chain_is_whole()
    return entries


def rows_of(shoplet: Shoplet) -> int:
    with connect(shoplet.dsn, purpose="test") as conn:
        row = conn.execute("SELECT count(*) FROM slow").fetchone()
        assert row is not None
        return int(row[0])


def start_again_after(up: Up, number: signal.Signals) -> Callable[[], bool]:
    (server,) = up.services("server start")
    server.send_signal(number)
    until(lambda: server.pid not in up.state.processes, "the supervisor to start the server again")
    return up.api.healthy


def test_a_release_outlives_two_ends_of_the_server(up: Up, shoplet: Shoplet) -> None:
    release = approved(shoplet, 15)
    run = up.request(shoplet)
    until_it_applies(shoplet, release)
    for number in (signal.SIGTERM, signal.SIGKILL):
        until(start_again_after(up, number), f"the server to answer after {number.name}")
    until_ended(shoplet)
    entries = assert_landed_once(shoplet, release)
    assert (Kind.RECOVERY_DECIDED, "") not in entries, "its process never died"
    until(lambda: up.api.state(run).ended, "the run to end")
    assert up.api.state(run).kind == "COMPLETED"


# Both run it on one server: each waits until the other is at it too. No other session speaks of a meeting.
_MEETING = """
CREATE TABLE slow (id int);
INSERT INTO slow VALUES (1);
DO $$ BEGIN -- {name} meets
    FOR tenth IN 1 .. 1200 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN (SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE query LIKE '%{name} meets%') = 2;
        ASSERT tenth < 1200, 'the other release waits for this one';
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM pg_sleep(3); -- seen by the other, too
END $$;
"""


def test_two_environments_are_released_at_once_and_one_release_by_one_of_two_runs(
    up: Up, shoplet: Shoplet
) -> None:
    with open_target(shoplet.root, "staging") as target:
        create_environment_database(target, silent)
    shoplet.add({"0003_meet": _MEETING.format(name=shoplet.name)})
    release = shoplet.approve().id
    runs = [up.request(shoplet, e) for e in ("staging", "production", "production")]
    until(lambda: all(up.api.state(r).ended for r in runs), "the three runs to end")
    assert_landed_once(shoplet, release)
    with open_target(shoplet.root, "staging") as target:
        staged = newest_release(target.ledger, "staging")
        assert staged is not None
        assert staged.outcome is Outcome.RELEASED
    staging, *same = [up.api.state(r) for r in runs]
    assert staging.kind == "COMPLETED"
    refused = [s.message for s in same if s.kind != "COMPLETED"]
    assert len(refused) <= 1
    assert all(SECOND_RUN in m and "wait for it to end" in m for m in refused), refused


@pytest.mark.usefixtures("impatient")
def test_a_release_whose_worker_is_told_to_end_is_recovered(up: Up, shoplet: Shoplet) -> None:
    release = approved(shoplet, 10)  # a busy machine ends a worker in seconds
    run = up.request(shoplet)
    until_it_applies(shoplet, release)
    engine = up.engine()
    worker = engine.parent()
    assert worker is not None
    worker.send_signal(signal.SIGTERM)
    until(lambda: not engine.is_running(), "the worker to take its run with it")
    until_ended(shoplet, patience_s=150)
    entries = assert_landed_once(shoplet, release)
    assert entries[Kind.RECOVERY_DECIDED, ""] == 1
    assert up.api.state(run).kind == "CRASHED"
    until(lambda: len(up.services("worker start")) == 2, "the worker to be started again")


def test_a_release_that_ended_with_all_of_it_is_recovered_when_it_is_up_again(
    up: Up, shoplet: Shoplet
) -> None:
    release = approved(shoplet, 10)  # a busy machine ends a worker in seconds
    run = up.request(shoplet)
    until_it_applies(shoplet, release)
    owner = psutil.Process(up.state.owner)
    owner.terminate()
    owner.wait(timeout=60)
    assert not up.state.processes
    started = up.start()
    assert started.code == 0, started.err
    until_ended(shoplet, patience_s=150)
    entries = assert_landed_once(shoplet, release)
    assert entries[Kind.RECOVERY_DECIDED, ""] == 1
    assert up.api.state(run).kind == "CRASHED"


SLOW = "CREATE TABLE slow (id int);\nINSERT INTO slow VALUES (1);\nSELECT pg_sleep(120) FROM tardy;"


def cancellable(shoplet: Shoplet) -> str:
    """Approved; its revision takes two minutes, until the table `tardy` is emptied."""
    with connect(shoplet.dsn, purpose="test") as conn:
        conn.execute("CREATE SCHEMA other; CREATE TABLE other.tardy AS SELECT 1 AS id")
    shoplet.add({"0003_slow": SLOW.replace("tardy", "other.tardy")})
    return shoplet.approve().id


def assert_drained(shoplet: Shoplet, release: str) -> None:
    """No statement runs, no lock is held, nothing of the script stays, and the ledger says so."""
    with connect(shoplet.dsn, purpose="test") as conn:
        left = conn.execute(
            "SELECT application_name, query FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'faber-db%' AND pid <> pg_backend_pid()"
        ).fetchall()
        assert left == []
        locks = conn.execute("SELECT FROM pg_locks WHERE locktype = 'advisory'")
        assert locks.rowcount == 0
        assert conn.execute("SELECT to_regclass('slow')").fetchone() == (None,)
        conn.execute("TRUNCATE other.tardy")
    with open_target(shoplet.root, "production") as target:
        notes = [e.body["note"] for e in target.ledger.entries(release=release, kind=Kind.STEP_NOTED)]
    assert any("0003_slow that was running was cancelled" in n for n in notes)
    assert any("interrupted" in n for n in notes)
    assert shoplet.newest().open


def test_a_release_that_is_cancelled_in_the_ui_leaves_no_statement_and_no_lock(
    up: Up, shoplet: Shoplet
) -> None:
    release = cancellable(shoplet)
    run = up.request(shoplet)
    until_it_applies(shoplet, release)
    up.api.cancel(run)  # what the button does
    until(lambda: up.api.state(run).ended, "the run to end")
    assert up.api.state(run).kind == "CANCELLED"
    assert_drained(shoplet, release)
    time.sleep(5)
    assert (Kind.RECOVERY_DECIDED, "") not in told(shoplet, release), "who cancels does not want it recovered"
    up.request(shoplet)
    until_ended(shoplet)
    assert_landed_once(shoplet, release)


def test_ctrl_c_cancels_the_release_and_says_what_was_done(up: Up, shoplet: Shoplet) -> None:
    release = cancellable(shoplet)
    program = Path(sys.executable).parent / "faber-db"
    migrating = subprocess.Popen(
        [str(program), "migrate", "production", "--as", "Priya"],
        cwd=shoplet.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until_it_applies(shoplet, release)
    migrating.send_signal(signal.SIGINT)
    out, err = migrating.communicate(timeout=90)
    assert migrating.returncode == 130
    assert "Cancelling: the running statement ends now" in err
    assert "0003_slow that was running was cancelled" in out
    assert_drained(shoplet, release)
    ended = faber_db(shoplet, "migrate", "production", "--as", "Priya")
    assert ended.code == 0, ended.err
    assert_landed_once(shoplet, release)


def test_to_register_again_forgets_no_run_that_is_watched(up: Up) -> None:
    before = triggers(up.api)
    register_automations(up.api, beat_s=30)
    assert triggers(up.api) == before
    register_automations(up.api, beat_s=60)
    changed = triggers(up.api)
    assert changed[NAMES[0]] != before[NAMES[0]], "what differs is replaced"
    assert changed[NAMES[1]] == before[NAMES[1]]
    register_automations(up.api, beat_s=30)


def triggers(api: PrefectApi) -> dict[str, tuple[str, float]]:
    found = api._call("POST", "/automations/filter", {})
    return {a["name"]: (a["trigger"]["id"], a["trigger"]["within"]) for a in found}
