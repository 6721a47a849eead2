"""What is remembered of health: looks, what moved, and what statements took before a release."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from cli.commands.health_check import command
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import Refused
from faberdb.health import HealthState
from faberdb.health.history import moved
from faberdb.release import execution, verification
from faberdb.release.lock import hold_environment
from faberdb.release.record import read_release
from faberdb.release.verification import environment_health, history_of, keep_look
from faberdb.report import release_markdown
from faberdb.target import Target, open_target
from tests.flows.shoplet import Shoplet, make_shoplet
from tests.integration.releasing import with_snapshot
from tests.integration.unwell import unwell_server

SLOWER = {
    "0003_work": "CREATE OR REPLACE FUNCTION work() RETURNS int LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_sleep(0.02); RETURN 1; END $$;"
}


@pytest.fixture(scope="module")
def own_server(home: Path) -> Iterator[Dsn]:
    with unwell_server(home / "unwell") as admin:
        yield admin


@pytest.fixture
def shoplet(
    own_server: Dsn, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shoplet]:
    monkeypatch.setenv("FABER_DB_HOME", str(home / "unwell"))
    made = make_shoplet(tmp_path / "shoplet")
    yield made
    made.forget()


def execute(target: Target, *statements: str) -> None:
    with connect(target.dsn, purpose="test") as conn:
        for statement in statements:
            conn.execute(statement.encode())


def test_each_look_is_kept_and_what_moved_since_the_one_before_is_told(target: Target) -> None:
    assert history_of(target).looks(9) == []
    first = keep_look(target, environment_health(target))
    execute(target, "CREATE SEQUENCE small AS smallint", "SELECT setval('small', 32000)")
    second = keep_look(target, environment_health(target))
    third = keep_look(target, environment_health(target))

    assert first == []
    assert second == ["sequences: none → 97.7 % used by small (healthy → degraded)"]
    assert third == []
    newest, _, oldest = history_of(target).looks(9)
    assert (oldest.state, newest.state) == ("healthy", "degraded")
    assert newest.unwell == ["sequences: 97.7 % used by small"]
    assert newest.at > oldest.at


def test_a_figure_that_went_far_towards_its_bound_has_moved(target: Target) -> None:
    report = environment_health(target, checks=("connections",))
    (used,) = report.results
    keep_look(target, report)

    for value, expected in ((19.9, False), (20.1, True)):
        later = replace(used, value=(used.value or 0) + value, figure="more")
        assert bool(moved(history_of(target).looks(1)[0], replace(report, results=(later,)))) is expected


def test_looks_are_forgotten_after_their_time_and_the_chain_is_not_touched(target: Target) -> None:
    history, report = history_of(target), environment_health(target, checks=("tls",))
    entries = len(target.ledger.entries())
    for _ in range(3):
        assert history.keep(report, days=1) == ""
    elsewhere = replace(history, environment="staging")
    assert elsewhere.keep(report, days=1) == ""

    assert history.keep(report, days=0) == ""

    assert history.looks(9) == []
    assert len(elsewhere.looks(9)) == 1
    assert len(target.ledger.entries()) == entries


def test_a_history_that_cannot_be_kept_is_said_and_stops_nothing(target: Target) -> None:
    history = history_of(target)
    history.keep(environment_health(target, checks=("tls",)), days=1)
    with connect(history.address.admin, purpose="test") as owner:
        owner.execute("REVOKE INSERT ON faber_health.look FROM faber_ledger_app")
        try:
            said = keep_look(target, environment_health(target, checks=("tls",)))
        finally:
            owner.execute("GRANT INSERT ON faber_health.look TO faber_ledger_app")

    assert said == ["the look was not kept: permission denied for table look"]


def test_a_query_that_a_release_made_many_times_slower_is_said_in_its_report(
    shoplet: Shoplet, target: Target
) -> None:
    execute(
        target,
        "CREATE EXTENSION pg_stat_statements",
        "CREATE FUNCTION work() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        *["SELECT work()"] * 10,
    )
    shoplet.add(SLOWER)
    release = shoplet.approve()
    before = verification.health_before(target, release)
    with_snapshot(target, release)
    with hold_environment(target.dsn, release.id):
        execution.apply_release(target, read_release(target.ledger, release.id))
    execute(target, *["SELECT work()"] * 10)

    after = verification.health_after(target, read_release(target.ledger, release.id))

    assert "slower" not in before["summary"]
    assert after["health"] == "degraded"
    assert f"10 times slower since {release.id}" in after["summary"]
    assert "SELECT work()" in after["summary"]
    assert "SELECT work()" in release_markdown(read_release(target.ledger, release.id))
    later = environment_health(target, checks=("slower-statements",))
    assert later.overall is HealthState.DEGRADED


def test_a_warning_by_the_projects_own_bounds_stops_no_release(shoplet: Shoplet) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + "[health]\nidle_in_transaction_warn_seconds = 0.01\n")
    shoplet.add(SLOWER)
    release = shoplet.approve()
    with (
        open_target(shoplet.root, "production") as target,
        connect(target.dsn, purpose="other") as other,
        other.transaction(),
    ):
        other.execute("SELECT 1")
        time.sleep(0.05)
        before = verification.health_before(target, release)

    assert before["health"] == "degraded"
    assert before["summary"].startswith(
        "degraded: idle in transaction: 1 for up to 0 s (degraded from 0.01 s)"
    )


def test_ids_that_run_out_stop_a_release_before_it_begins(shoplet: Shoplet) -> None:
    config = shoplet.root / "faber-db.toml"
    bounds = "wraparound_warn_percent = 1e-9\nwraparound_unhealthy_percent = 1e-9\n"
    config.write_text(config.read_text() + "[health]\n" + bounds)
    shoplet.add(SLOWER)
    release = shoplet.approve()

    with open_target(shoplet.root, "production") as target, pytest.raises(Refused) as refusal:
        verification.health_before(target, release)

    assert refusal.value.why.startswith("unhealthy: transaction id age: ")


def add_checks(shoplet: Shoplet) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(
        config.read_text()
        + '[[checks]]\nname = "all is lost"\nsql = "SELECT false"\n'
        + '[[checks]]\nname = "the shop answers"\ncommand = ["{python}", "-c", ""]\n'
        + '[[checks]]\nname = "only in staging"\nenvironments = ["staging"]\nsql = "SELECT false"\n'
    )


def test_the_projects_own_checks_are_a_part_of_health_where_they_are_asked_for(shoplet: Shoplet) -> None:
    add_checks(shoplet)
    with open_target(shoplet.root, "production") as target:
        whole = environment_health(target)
        own = environment_health(target, checks=("project",))
        late = environment_health(target, checks=("project",), timeout_s=0.000001)

    assert {r.area for r in whole.results}.isdisjoint({"project"})
    assert [(r.name, r.state) for r in own.results] == [
        ("nobody owes more than allowed", HealthState.HEALTHY),
        ("nothing is in trouble", HealthState.HEALTHY),
        ("all is lost", HealthState.UNHEALTHY),
        ("the shop answers", HealthState.HEALTHY),
    ]
    assert own.results[2].why == "it is false"
    assert own.overall is HealthState.UNHEALTHY
    assert {r.state for r in late.results if r.area == "project"} == {HealthState.NOT_RUN}


def test_a_check_that_does_not_exist_is_refused_with_all_there_are(target: Target) -> None:
    with pytest.raises(Refused) as refusal:
        environment_health(target, checks=("weather", "project"))

    assert "project" in refusal.value.next_step
    assert "lock waits" in refusal.value.why


def faber_db(shoplet: Shoplet, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        command, ["production", "--project", str(shoplet.root), *arguments], standalone_mode=False
    )
    assert result.exception is None
    return result.return_value, result.output


def test_the_command_shows_the_last_looks(shoplet: Shoplet, target: Target) -> None:
    assert "No look at production was kept yet" in faber_db(shoplet, "--history")[1]
    assert faber_db(shoplet)[0] == 0
    execute(target, "CREATE SEQUENCE small AS smallint", "SELECT setval('small', 32000)")
    code, text = faber_db(shoplet)
    _, partly = faber_db(shoplet, "--checks", "tls", "--json")

    assert code == 0, "degraded is a warning"
    assert "  moved      sequences: none → 97.7 % used by small (healthy → degraded)" in text
    assert json.loads(partly)["moved"] == []
    code, text = faber_db(shoplet, "--history")
    assert code == 0
    first, second = text.strip().splitlines()
    assert "degraded" in first
    assert "sequences: 97.7 % used by small" in first
    assert "healthy" in second
    looks = json.loads(faber_db(shoplet, "--history", "--json", "--limit", "1")[1])["looks"]
    assert [look["state"] for look in looks] == ["degraded"]
