"""The flows that run between releases and after bad days, each as a deployment on a real worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from deployments.api import RunState
from deployments.stack import Stack
from faberdb.connection import connect
from faberdb.ledger import Entry, Kind
from faberdb.progress import silent
from faberdb.provisioning import create_environment_database
from faberdb.release.execution import take_environment_snapshot
from faberdb.release.record import Outcome, Release, read_release
from faberdb.release.recovery import Course
from faberdb.release.verification import history_of
from faberdb.target import open_target
from tests.flows.running import run_release
from tests.flows.shoplet import GOOD, Shoplet

Forked = Callable[..., int]
NOTE = {"0003_note": "ALTER TABLE account ADD COLUMN note text;"}
YES = {"decision": "approve", "comment": "", "phrase": ""}


class Runs:
    """Starts deployments for one project, and waits for them."""

    def __init__(self, stack: Stack, shoplet: Shoplet) -> None:
        self._api = stack.api
        self._project = {"project": str(shoplet.root)}

    def start(self, flow: str, **given: object) -> str:
        project = {} if flow == "recover" else self._project
        return self._api.create_run(f"{flow}/faber-db", {**project, **given})

    def until_ended(self, run: str) -> RunState:
        return self._until(run, lambda state: state.ended)

    def complete(self, run: str) -> None:
        state = self.until_ended(run)
        assert state.kind == "COMPLETED", state.message

    def until_waiting(self, run: str) -> None:
        state = self._until(run, lambda state: state.waiting or state.ended)
        assert state.waiting, state.message

    def end_of(self, flow: str, **given: object) -> RunState:
        return self.until_ended(self.start(flow, **given))

    def answer(self, run: str, approver: str, decision: str = "approve") -> None:
        self._api.resume(run, {**YES, "decision": decision, "approver": approver})

    def force(self, run: str, state: str) -> None:
        body = {"state": {"type": state}, "force": True}
        self.asked("POST", f"/flow_runs/{run}/set_state", body)

    def question(self, run: str) -> str:
        """What the person who is asked now reads."""
        keys = self.asked("GET", f"/flow_runs/{run}")["state"]["state_details"]["run_input_keyset"]
        deadline = time.monotonic() + 10
        while True:  # Prefect shows the run as suspended a moment before the form is stored
            found = httpx.get(f"{self._api.url}/flow_runs/{run}/input/{keys['description']}")
            if found.is_success or time.monotonic() > deadline:
                return found.raise_for_status().text
            time.sleep(0.1)

    def artifact(self, run: str) -> str:
        query = {"artifacts": {"flow_run_id": {"any_": [run]}, "type": {"any_": ["markdown"]}}}
        found = self.asked("POST", "/artifacts/filter", query)
        assert len(found) == 1, found
        return str(found[0]["data"])

    def asked(self, method: str, path: str, body: object = None) -> Any:
        return httpx.request(method, f"{self._api.url}{path}", json=body).raise_for_status().json()

    def _until(self, run: str, true: Callable[[RunState], bool]) -> RunState:
        deadline = time.monotonic() + 60
        while not true(state := self._api.state(run)):
            assert time.monotonic() < deadline, f"it did not happen in time: {state}"
            time.sleep(0.1)
        return state


@pytest.fixture
def runs(stack: Stack, shoplet: Shoplet) -> Runs:
    return Runs(stack, shoplet)


def entries(shoplet: Shoplet, kind: Kind, environment: str = "production") -> list[Entry]:
    with open_target(shoplet.root, environment) as target:
        return target.ledger.entries(environment=environment, kind=kind)


def snapshot_of(shoplet: Shoplet) -> str:
    with open_target(shoplet.root, "production") as target:
        return str(take_environment_snapshot(target, f"{shoplet.name}-friday", note=silent)["snapshot"])


def execute(shoplet: Shoplet, statement: str) -> None:
    with connect(shoplet.dsn, purpose="test") as conn:
        conn.execute(statement.encode())


def again(shoplet: Shoplet, release: Release) -> Release:
    with open_target(shoplet.root, "production") as target:
        return read_release(target.ledger, release.id)


def latest_run_of(runs: Runs, flow: str, root: str) -> str:
    """The id of a flow's newest run on a project."""
    query = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_DESC", "limit": 20}
    found = runs.asked("POST", "/flow_runs/filter", query)
    return str(next(r["id"] for r in found if r["parameters"].get("project") == root))


def test_a_snapshot_is_taken_of_the_last_environment_and_restored_beside(
    shoplet: Shoplet, runs: Runs
) -> None:
    runs.complete(runs.start("snapshot", label="friday", retention_days=7))
    (entry,) = entries(shoplet, Kind.SNAPSHOT_TAKEN)
    with open_target(shoplet.root, "production") as target:
        manifest = target.store.manifest(entry.body["snapshot"])
    assert (manifest.label, manifest.reason, manifest.retention_days) == ("friday", "scheduled", 7)
    given = {"environment": "production", "snapshot": manifest.id}
    copy = f"{shoplet.dsn.database}_copy"
    runs.complete(runs.start("restore", beside=copy, **given))
    assert shoplet.state(copy) == shoplet.state()
    taken = runs.end_of("restore", beside=copy, **given)
    assert taken.kind == "FAILED"
    assert "has a database" in taken.message
    assert entries(shoplet, Kind.RELEASE_OPENED) == [], "beside is no release"


def test_a_restoration_in_place_waits_for_a_person_and_lands(shoplet: Shoplet, runs: Runs) -> None:
    before, snapshot = shoplet.state(), snapshot_of(shoplet)
    execute(shoplet, "DELETE FROM entry; INSERT INTO account VALUES (9000, 'later', 1)")
    later = shoplet.state()
    run = runs.start("restore", environment="production", snapshot=snapshot, requester="Priya")
    runs.until_waiting(run)
    assert shoplet.state() == later
    assert snapshot in runs.question(run)
    runs.answer(run, "Morgan")
    runs.complete(run)
    assert shoplet.state() == before
    newest = shoplet.newest()
    assert (newest.outcome, newest.restores) == (Outcome.ROLLED_BACK, snapshot)
    assert shoplet.state((newest.done("swap") or {})["aside"]) == later, "the live database is kept"
    assert newest.id in runs.artifact(run)


def test_a_restoration_that_is_rejected_changes_nothing_and_stands_in_nobodys_way(
    shoplet: Shoplet, runs: Runs, forked: Forked
) -> None:
    before, snapshot = shoplet.state(), snapshot_of(shoplet)
    run = runs.start("restore", environment="production", snapshot=snapshot, requester="Priya")
    runs.until_waiting(run)
    runs.answer(run, "Morgan", "reject")
    ended = runs.until_ended(run)
    assert ended.kind == "FAILED"
    assert "nothing was changed" in ended.message
    assert shoplet.state() == before
    assert shoplet.newest().outcome is Outcome.REJECTED
    shoplet.add(NOTE)
    release = shoplet.approve()
    assert not release.restores
    assert forked(run_release, str(shoplet.root)) == 0
    assert again(shoplet, release).outcome is Outcome.RELEASED


def test_an_unhealthy_environment_fails_its_run_and_no_other(shoplet: Shoplet, runs: Runs) -> None:
    one = runs.start("health-check", environment="production")
    runs.complete(one)
    assert "production: unhealthy" not in runs.artifact(one)  # under load it may be degraded
    every = runs.start("health-check")
    ended = runs.until_ended(every)  # staging has no database
    assert (ended.kind, "Unhealthy: staging" in ended.message) == ("FAILED", True)
    page = runs.artifact(every)
    assert "staging: unhealthy" in page
    assert "production: unhealthy" not in page
    assert "## production: " in page
    with open_target(shoplet.root, "production") as target:
        assert len(history_of(target).looks(9)) == 2, "each look is kept"


def test_drift_is_told_once_when_it_comes_and_once_when_it_goes(
    shoplet: Shoplet, runs: Runs, forked: Forked
) -> None:
    shoplet.add(NOTE)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 0
    execute(shoplet, "CREATE TABLE by_hand (id int)")
    first = runs.start("drift")
    runs.complete(first)
    second = runs.start("drift", environment="production")
    runs.complete(second)
    for run in (first, second):
        assert "production: DRIFTED" in runs.artifact(run)
    assert "staging: nothing was released yet" in runs.artifact(first)
    assert len(entries(shoplet, Kind.DRIFT_FOUND)) == 1
    execute(shoplet, "DROP TABLE by_hand")
    for _ in range(2):
        runs.complete(runs.start("drift", environment="production"))
    resource = f"faber-db.environment.{shoplet.name}.production"
    query = {"filter": {"resource": {"id": [resource]}, "event": {"prefix": ["faber-db.drift."]}}}
    deadline = time.monotonic() + 20
    told: list[dict[str, Any]] = []
    while len(told) < 2 and time.monotonic() < deadline:  # Prefect stores events in batches
        told = runs.asked("POST", "/events/filter", query)["events"]
        time.sleep(0.3)
    assert sorted((e["event"], e["payload"]["drifted"]) for e in told) == [
        ("faber-db.drift.appeared", True),
        ("faber-db.drift.gone", False),
    ]


def test_seeding_a_protected_environment_is_refused_and_another_is_filled(
    shoplet: Shoplet, runs: Runs
) -> None:
    (shoplet.root / "seed.sql").write_text("CREATE TABLE IF NOT EXISTS seeded AS SELECT 7 AS n")
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + '\n[seed]\nsql = "seed.sql"\n')
    before = shoplet.state()
    with open_target(shoplet.root, "staging") as staging:
        create_environment_database(staging, silent)
    refused = runs.start("seed", environment="production")
    filled = runs.start("seed", environment="staging")
    ended = runs.until_ended(refused)
    assert ended.kind == "FAILED"
    assert "Seeding production is not allowed; nothing was changed." in ended.message
    assert 'add "production" to seed.environments' in ended.message
    assert shoplet.state() == before
    runs.complete(filled)
    (entry,) = entries(shoplet, Kind.ENVIRONMENT_SEEDED, "staging")
    assert entry.body["seeded"] == "seed.sql"


def test_a_dry_run_of_prune_shows_what_would_go(shoplet: Shoplet, runs: Runs) -> None:
    ids = [f"{shoplet.name}-{n}" for n in ("a", "b")]
    with open_target(shoplet.root, "production") as target:
        for id_ in ids:
            take_environment_snapshot(target, id_, note=silent)
        manifest = target.project.home / "snapshots" / ids[0] / "manifest.json"
        year = f"{target.store.manifest(ids[0]).created_at:%Y}-"
        manifest.write_text(manifest.read_text().replace(f'"created_at":"{year}', '"created_at":"2001-'))
    dry = runs.start("prune", dry_run=True)
    runs.complete(dry)
    assert runs.artifact(dry) == f"# Would be removed\n\n- **production** snapshots: {ids[0]}\n"
    assert entries(shoplet, Kind.PRUNED) == []
    real = runs.start("prune", environment="production")
    runs.complete(real)
    assert runs.artifact(real).startswith("# Removed\n")
    (entry,) = entries(shoplet, Kind.PRUNED)
    assert entry.body == {"snapshots": [ids[0]], "databases": [], "unfinished": [], "kept": {}}
    with open_target(shoplet.root, "production") as target:
        assert [m.id for m in target.store.list(shoplet.name)] == [ids[1]]


def test_a_release_whose_process_was_killed_is_continued(
    shoplet: Shoplet, runs: Runs, forked: Forked
) -> None:
    shoplet.add(GOOD)
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root), "verify revisions:intended:1", "kill") == -9
    assert shoplet.newest().open
    dead = latest_run_of(runs, "release", str(shoplet.root))
    one, other = (runs.start("recover", run=f"prefect.flow-run.{dead}") for _ in range(2))
    for run in (one, other):
        runs.complete(run)
    deadline = time.monotonic() + 60
    while again(shoplet, release).open and time.monotonic() < deadline:
        time.sleep(0.2)
    assert again(shoplet, release).outcome is Outcome.RELEASED
    (decided,) = entries(shoplet, Kind.RECOVERY_DECIDED)
    assert (decided.release, decided.body["course"], decided.body["run"]) == (
        release.id,
        Course.CONTINUE,
        dead,
    )
    ended = runs.start("recover", run=dead)
    runs.complete(ended)
    assert len(entries(shoplet, Kind.RECOVERY_DECIDED)) == 1, "nothing is open any more"


def test_a_step_that_failed_before_the_process_was_killed_is_taken_back(
    shoplet: Shoplet, runs: Runs, forked: Forked
) -> None:
    before = shoplet.state()
    shoplet.add({**NOTE, "0004_bad": "ALTER TABLE account ADD COLUMN note text;"})
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root), "apply:failed:1", "kill") == -9
    dead = latest_run_of(runs, "release", str(shoplet.root))
    runs.complete(runs.start("recover", run=dead))
    deadline = time.monotonic() + 60
    while again(shoplet, release).open and time.monotonic() < deadline:
        time.sleep(0.2)
    ended = again(shoplet, release)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert "its run died: the step 'apply' failed" in ended.cause
    assert shoplet.state() == before


def test_a_dead_run_that_left_no_release_or_that_nobody_knows_starts_nothing(
    shoplet: Shoplet, runs: Runs
) -> None:
    health = runs.start("health-check", environment="production")
    unknown = runs.start("recover", run="0198c0de-0000-7000-8000-000000000000")
    runs.complete(runs.start("recover", run=health))
    assert entries(shoplet, Kind.RECOVERY_DECIDED) == []
    ended = runs.until_ended(unknown)
    assert (ended.kind, "Prefect knows no run" in ended.message) == ("FAILED", True)
    runs.until_ended(health)


def test_where_two_people_must_say_yes_the_run_asks_again_until_they_have(
    shoplet: Shoplet, runs: Runs
) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + "\n[safety.approvals]\nproduction = 2\n")
    before = shoplet.state()
    shoplet.add(GOOD)
    given = {"environment": "production", "requester": "Priya"}
    run = runs.start("release", **given)
    runs.until_waiting(run)
    assert "nobody has said yes" in runs.question(run)
    runs.answer(run, "Morgan")
    runs.until_waiting(run)
    assert "Morgan said yes" in runs.question(run)
    assert shoplet.state() == before
    runs.answer(run, "Morgan")
    refused = runs.until_ended(run)
    assert refused.kind == "FAILED"
    assert "Morgan approved this already, and counts once." in refused.message
    assert shoplet.state() == before
    second = runs.start("release", **given)
    runs.until_waiting(second)
    runs.answer(second, "Ana")
    runs.complete(second)
    newest = shoplet.newest()
    assert newest.outcome is Outcome.RELEASED
    assert [v.approver for v in newest.votes] == ["Morgan", "Ana"]


def test_setting_the_state_of_a_waiting_run_approves_nothing(shoplet: Shoplet, runs: Runs) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    given = {"environment": "production", "requester": "Priya"}
    run = runs.start("release", **given)
    runs.until_waiting(run)
    runs.force(run, "SCHEDULED")
    ended = runs.until_ended(run)
    assert ended.kind == "FAILED", ended
    assert shoplet.state() == before
    assert shoplet.newest().votes == ()
    assert not shoplet.newest().touched
    asked = runs.start("release", **given)
    runs.until_waiting(asked)
    assert shoplet.newest().state == "waiting for approval"
    runs.force(asked, "CANCELLED")
