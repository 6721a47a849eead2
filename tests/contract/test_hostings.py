"""What holds wherever production is: on the embedded server, on one by its URL, in a container."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import EnvironmentBusy, FaberError, VerificationFailed
from faberdb.health import HealthState
from faberdb.progress import silent
from faberdb.provisioning import create_environment_database
from faberdb.release import execution
from faberdb.release.lock import hold_environment
from faberdb.release.opening import close_release
from faberdb.release.record import Outcome, read_release
from faberdb.release.verification import environment_health, project_checks
from faberdb.target import open_target
from tests.container import PASSWORD, ContainerServer
from tests.flows.shoplet import CHANGES, FAILS_CHECK, GOOD, Shoplet, make_shoplet
from tests.integration.releasing import begin, begin_undo, end_undo, land, with_snapshot
from tests.older_server import OlderServer

SLOW = {"0003_slow": "CREATE TABLE slow (id int);\nSELECT pg_sleep(3);"}


@pytest.fixture(params=["embedded", "postgres", "container"])
def production(request: pytest.FixtureRequest) -> str:
    """The URL of production, "" on the embedded server."""
    if request.param == "postgres":
        older: OlderServer = request.getfixturevalue("older")
        return f"postgresql://postgres@127.0.0.1:{older.port}/{{database}}?sslmode=require"
    if request.param == "container":
        container: ContainerServer = request.getfixturevalue("container")
        return container.url
    return ""


@pytest.fixture
def shoplet(
    production: str, server: Dsn, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shoplet]:
    """A small project with its production there, and its ledger on the embedded server."""
    monkeypatch.setenv("FABER_DB_HOME", str(home))
    made = make_shoplet(tmp_path / "shoplet", url=production)
    yield made
    made.forget()


def test_its_database_is_created_once(shoplet: Shoplet) -> None:
    before = shoplet.state()
    with open_target(shoplet.root, "production") as target:
        create_environment_database(target, silent)
    assert (shoplet.state(), shoplet.databases()) == (before, [shoplet.dsn.database])


def test_a_release_lands_and_tells_no_password(shoplet: Shoplet) -> None:
    shoplet.add(GOOD)
    release = land(shoplet)
    assert release.outcome is Outcome.RELEASED
    with connect(shoplet.dsn, purpose="test") as conn:
        assert conn.execute("SELECT count(*) FROM account WHERE note = ''").fetchone() == (500,)
    assert shoplet.chain_is_whole()
    with open_target(shoplet.root, "production") as target:
        assert not any(PASSWORD in entry.body_text for entry in target.ledger.entries())
        manifest = (target.store.list(target.project.name)[0]).to_json()
        assert PASSWORD not in manifest


def test_what_breaks_a_promise_is_taken_back_whole(shoplet: Shoplet) -> None:
    before = shoplet.state()
    shoplet.add(FAILS_CHECK)
    with open_target(shoplet.root, "production") as target:
        release = begin(shoplet, target)
        assert shoplet.state() != before
        with pytest.raises(VerificationFailed, match="nobody owes more than allowed"):
            project_checks(target, silent)
        end_undo(target, begin_undo(target, release))
    assert shoplet.state() == before
    assert shoplet.newest().outcome is Outcome.ROLLED_BACK
    assert len(shoplet.databases()) == 2, "the one that failed is kept"


def test_two_releases_do_not_run_at_once(shoplet: Shoplet) -> None:
    held = hold_environment(shoplet.dsn, "rel-1")
    with held, pytest.raises(EnvironmentBusy), hold_environment(shoplet.dsn, "rel-2"):
        pass


def test_its_health_is_read(shoplet: Shoplet) -> None:
    with open_target(shoplet.root, "production") as target:
        report = environment_health(target)
    states = {result.name: result.state for result in report.results}
    assert states["latency"] is HealthState.HEALTHY
    assert [name for name, state in states.items() if state is HealthState.UNHEALTHY] == []


@pytest.mark.parametrize("production", ["container"], indirect=True)
def test_a_server_that_is_killed_in_mid_release_is_as_before_and_the_release_goes_on(
    shoplet: Shoplet, container: ContainerServer
) -> None:
    before = shoplet.state()
    shoplet.add(SLOW | {"0004_kind": CHANGES["0003_kind"]})
    with open_target(shoplet.root, "production") as target:
        release = with_snapshot(target, shoplet.approve())
        killer = threading.Thread(target=kill_when_slow, args=(shoplet, container))
        killer.start()
        with pytest.raises(FaberError), hold_environment(target.dsn, release.id):
            execution.apply_release(target, release)
        killer.join()
        container.start()
        assert shoplet.state() == before
        with hold_environment(target.dsn, release.id):
            execution.apply_release(target, read_release(target.ledger, release.id))
        seen = execution.verify_revisions(target, release)
        close_release(target, release, Outcome.RELEASED, fingerprint=seen["fingerprint"])
    assert shoplet.newest().outcome is Outcome.RELEASED


def kill_when_slow(shoplet: Shoplet, container: ContainerServer) -> None:
    deadline = time.monotonic() + 30
    with connect(shoplet.dsn, purpose="test") as conn:
        query = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while conn.execute(query).fetchone() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    container.kill()
