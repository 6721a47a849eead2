"""The product by its own door: the command, real deployments, a real worker, a release that waits."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from deployments.stack import Stack
from faberdb.release.record import Outcome
from tests.flows.shoplet import FAILS_CHECK, GOOD, Shoplet

pytestmark = pytest.mark.e2e


class Ran(Struct, frozen=True):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


def faber_db(shoplet: Shoplet, *arguments: str) -> Ran:
    """Run the command in the project's folder, without a terminal."""
    program = Path(sys.executable).parent / "faber-db"
    done = subprocess.run(
        [str(program), *arguments],
        cwd=shoplet.root,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def ask(shoplet: Shoplet) -> str:
    """Ask for a release of production; the id of the release that waits."""
    asked = faber_db(shoplet, "migrate", "production", "--as", "Priya")
    assert asked.code == 7, asked.err
    assert "waits for approval" in asked.err
    return shoplet.newest().id


def wait_until_ended(shoplet: Shoplet) -> Outcome | None:
    deadline = time.monotonic() + 90
    while shoplet.newest().open and time.monotonic() < deadline:
        time.sleep(0.2)
    return shoplet.newest().outcome


def test_an_approved_release_goes_on_by_itself_and_lands(shoplet: Shoplet) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    release = ask(shoplet)
    assert shoplet.state() == before
    approved = faber_db(shoplet, "approve", release, "--as", "Morgan", "--comment", "fine", "--json")
    assert approved.code == 0, approved.err
    assert approved.json["decision"] == "approve"
    assert wait_until_ended(shoplet) is Outcome.RELEASED
    assert shoplet.state() != before
    votes = faber_db(shoplet, "ledger", "--release", release, "--kind", "vote.cast", "--json").json["entries"]
    assert [v["actor"] for v in votes] == ["Morgan"], "the form's answer is the same vote, counted once"
    chain = faber_db(shoplet, "ledger", "--verify")
    assert (chain.code, "the chain is whole" in chain.out) == (0, True)


def test_a_release_that_waits_can_be_asked_for_again_and_the_newest_run_goes_on(shoplet: Shoplet) -> None:
    shoplet.add(GOOD)
    first = ask(shoplet)
    waiting = shoplet.newest().run
    assert ask(shoplet) == first, "it is the same release"
    assert shoplet.newest().run != waiting
    approved = faber_db(shoplet, "approve", first, "--as", "Morgan")
    assert "Its run goes on" in approved.out
    assert wait_until_ended(shoplet) is Outcome.RELEASED


def test_the_requester_cannot_approve_and_the_release_goes_on_waiting(shoplet: Shoplet) -> None:
    shoplet.add(GOOD)
    release = ask(shoplet)
    refused = faber_db(shoplet, "approve", release, "--as", "priya")
    assert (refused.code, "cannot approve" in refused.err) == (3, True)
    assert shoplet.newest().state == "waiting for approval"


def test_a_rejected_release_changes_nothing_and_can_be_asked_again(shoplet: Shoplet) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    first = ask(shoplet)
    assert faber_db(shoplet, "reject", first, "--as", "Morgan", "--reason", "not on a Friday").code == 0
    assert wait_until_ended(shoplet) is Outcome.REJECTED
    assert shoplet.state() == before
    second = ask(shoplet)
    assert second != first


def test_a_plan_that_changed_while_it_waited_is_not_run(shoplet: Shoplet) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    release = ask(shoplet)
    shoplet.add({"0006_more": "CREATE TABLE more ();"})
    assert faber_db(shoplet, "approve", release, "--as", "Morgan").code == 0
    deadline = time.monotonic() + 60
    while shoplet.newest().id == release and time.monotonic() < deadline:
        time.sleep(0.2)
    newest = shoplet.newest()
    assert newest.id != release, "the changed plan asks anew"
    assert not newest.votes
    assert shoplet.state() == before


def test_a_bad_release_is_taken_back_and_says_both(shoplet: Shoplet) -> None:
    before = shoplet.state()
    shoplet.add(FAILS_CHECK)
    shoplet.approve()
    ended = faber_db(shoplet, "migrate", "production", "--as", "Priya")
    assert ended.code == 5
    assert "was taken back; production is as it was before" in ended.err
    assert "nobody owes more than allowed" in ended.err
    assert shoplet.state() == before


def test_a_finished_release_is_rolled_back_by_two_people(shoplet: Shoplet) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    shoplet.approve()
    assert faber_db(shoplet, "migrate", "production", "--as", "Priya").code == 0
    preview = faber_db(shoplet, "rollback", "production", "--dry-run", "--json").json
    assert preview["way"] == "inverse"
    assert "DROP TYPE public.kind" in preview["statements"]
    asked = faber_db(shoplet, "rollback", "production", "--as", "Priya", "--reason", "a customer called")
    assert asked.code == 7, asked.err
    release = shoplet.newest().id
    assert faber_db(shoplet, "approve", release, "--rollback", "--as", "Morgan").code == 0
    deadline = time.monotonic() + 60
    while shoplet.newest().outcome is not Outcome.ROLLED_BACK and time.monotonic() < deadline:
        time.sleep(0.2)
    assert shoplet.state() == before


def test_a_snapshot_is_taken_listed_and_restored_beside(shoplet: Shoplet) -> None:
    taken = faber_db(shoplet, "backup", "production", "--label", "friday", "--json").json
    listed = faber_db(shoplet, "snapshots", "production", "--json").json["snapshots"]
    assert [(s["id"], s["label"]) for s in listed] == [(taken["snapshot"], "friday")]
    name = f"{shoplet.dsn.database}_copy"
    restored = faber_db(shoplet, "restore", "production", "--from", taken["snapshot"], "--as", name, "--json")
    assert restored.code == 0, restored.err
    assert shoplet.state(name) == shoplet.state()
    again = faber_db(shoplet, "restore", "production", "--from", taken["snapshot"], "--as", name)
    assert again.code == 3
    missing = faber_db(shoplet, "restore", "production", "--from", "production-none", "--as", "x")
    assert (missing.code, "no snapshot" in missing.err) == (3, True)


def test_what_needs_no_prefect_says_what_is_there(shoplet: Shoplet) -> None:
    shoplet.add(GOOD)
    plan = faber_db(shoplet, "plan", "production", "--json").json
    assert [s["revision"] for s in plan["steps"]] == list(GOOD)
    dry = faber_db(shoplet, "migrate", "production", "--dry-run")
    assert (dry.code, "## Plan for production" in dry.out) == (0, True)
    status = faber_db(shoplet, "status", "production", "--json").json["environments"][0]
    assert (status["applied"], status["pending"]) == (2, list(GOOD))
    health = faber_db(shoplet, "health-check", "production", "--checks", "connectivity", "--json")
    assert health.code == 0
    assert faber_db(shoplet, "doctor").code == 0
    assert faber_db(shoplet, "config", "check").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["plan", "prodution"], 3, "did you mean 'production'"),
        (["migrate", "production", "--skip-backup"], 3, "--skip-backup is refused"),
        (["approve", "rel-none", "--as", "X"], 3, "no release"),
        (["rollback", "production", "--dry-run"], 3, "no release to take back"),
        (["run", "--work-item", "none.md"], 3, "no work item"),
        (["seed", "production"], 3, "not allowed"),
    ],
)
def test_bad_input_gets_one_clear_error(shoplet: Shoplet, arguments: list[str], code: int, said: str) -> None:
    (shoplet.root / "seed.sql").write_text("SELECT 1")
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + '\n[seed]\nsql = "seed.sql"\n')
    ran = faber_db(shoplet, *arguments)
    assert ran.code == code, ran.err
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_the_stack_is_shared_and_left_running(stack: Stack, shoplet: Shoplet) -> None:
    assert faber_db(shoplet, "migrate", "production", "--as", "Priya").code == 0
    assert stack.api.healthy()
