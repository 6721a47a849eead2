"""Flows whose project is a git URL: one commit from the first step to the last, and nothing left on disk."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.api import RunState
from deployments.stack import Stack
from faberdb.errors import Refused
from faberdb.release.record import Outcome, newest_release
from faberdb.risk import CONFIRMATION_PHRASE
from faberdb.target import open_target
from flows.code import checked_out
from tasks.recovering import DeadRun
from tests.flows.shoplet import GOOD, Shoplet
from tests.repositories import Repository, make_repository

YES = {"decision": "approve", "approver": "Morgan", "comment": "", "phrase": CONFIRMATION_PHRASE}


@pytest.fixture
def code(shoplet: Shoplet) -> Repository:
    """The shoplet's repository, with a revision to release."""
    made = make_repository(shoplet.root)
    shoplet.add({"0003_note": GOOD["0003_note"]})
    made.commit()
    return made


def start(stack: Stack, flow: str, **parameters: Any) -> str:
    return stack.api.create_run(f"{flow}/faber-db", parameters)


def settled(stack: Stack, run: str) -> RunState:
    """The run's state when it waits for a person or has ended."""
    deadline = time.monotonic() + 180
    state = stack.api.state(run)
    while not (state.ended or state.waiting) and time.monotonic() < deadline:
        time.sleep(0.2)
        state = stack.api.state(run)
    return state


def finished(stack: Stack, run: str) -> RunState:
    deadline = time.monotonic() + 180
    while not stack.api.state(run).ended and time.monotonic() < deadline:
        time.sleep(0.2)
    return stack.api.state(run)


def checkouts() -> list[Path]:
    """What is left once the run's process had a moment: Prefect shows a run as waiting before it ended."""
    folder = Path(os.environ["FABER_DB_HOME"]) / "checkouts"
    deadline = time.monotonic() + 10
    while (left := list(folder.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def test_a_release_goes_on_at_the_same_commit_though_the_branch_moved_while_it_waited(
    stack: Stack, shoplet: Shoplet, code: Repository
) -> None:
    commit = code.git("rev-parse", "HEAD")
    asked = {"project": code.url, "ref": "main", "environment": "production", "requester": "Priya"}
    run = start(stack, "release", **asked)
    state = settled(stack, run)
    assert state.waiting, state.message
    assert checkouts() == [], "a run that waits has no checkout"
    shoplet.add({"0004_kind": GOOD["0004_kind"]})
    moved = code.commit()
    code.git("commit", "--quiet", "--amend", "--message", "rewritten")
    stack.api.resume(run, YES)
    state = finished(stack, run)
    assert state.kind == "COMPLETED", state.message
    newest = shoplet.newest()
    assert newest.outcome is Outcome.RELEASED
    assert newest.plan.commit == commit != moved
    assert [step.revision for step in newest.plan.steps] == ["0003_note"]
    assert checkouts() == []
    again = start(stack, "release", **asked)
    assert settled(stack, again).waiting, "another run takes the branch as it is then"
    assert shoplet.newest().plan.commit == code.git("rev-parse", "HEAD")
    stack.api.cancel(again)


def test_a_run_that_fails_leaves_no_checkout(stack: Stack, code: Repository) -> None:
    run = start(stack, "release", project=code.url, environment="nowhere", requester="Priya")
    state = settled(stack, run)
    assert state.kind == "FAILED"
    assert "nowhere" in state.message
    assert checkouts() == []


def test_a_phase_by_itself_reads_the_default_branch(stack: Stack, shoplet: Shoplet, code: Repository) -> None:
    run = start(stack, "architect", project=code.url, requester="Priya")
    state = settled(stack, run)
    assert state.kind == "COMPLETED", state.message
    assert checkouts() == []


def test_a_recovered_run_goes_on_at_the_commit_of_its_release(
    stack: Stack, shoplet: Shoplet, code: Repository
) -> None:
    run = start(stack, "release", project=code.url, environment="production", requester="Priya")
    assert settled(stack, run).waiting
    release = shoplet.newest()
    shoplet.add({"0004_kind": GOOD["0004_kind"]})
    code.commit()
    stack.api.set_state(run, "CRASHED", "Crashed", "Its process died.")
    recovery = start(stack, "recover", run=run)  # as the automation does when the run crashed
    state = finished(stack, recovery)
    assert state.kind == "COMPLETED", state.message
    with httpx.Client(timeout=15) as client:
        asked = {"flow_runs": {"idempotency_key": {"any_": [f"recover-{run}"]}}}
        (started,) = client.post(f"{stack.api.url}/flow_runs/filter", json=asked).json()
    assert started["parameters"]["ref"] == release.plan.commit
    assert settled(stack, started["id"]).waiting
    assert shoplet.newest().id == release.id, "the same release, and not one of what the branch is now"
    assert checkouts() == []
    for left in (run, started["id"]):
        stack.api.cancel(left)


def test_a_folder_is_used_as_it_is_and_has_no_refs() -> None:
    with checked_out("/srv/shop", "") as folder:
        assert folder == "/srv/shop"
    with pytest.raises(Refused, match="is a folder"), checked_out("/srv/shop", "main"):
        pass


def test_a_dead_run_of_a_repository_is_recovered_at_the_commit_of_its_release() -> None:
    dead = DeadRun(
        id="1",
        flow="release",
        deployment="release/faber-db",
        parameters={"project": "file:///srv/shop.git", "ref": "main"},
    )
    assert dead.at("c" * 40) == {"project": "file:///srv/shop.git", "ref": "c" * 40}
    assert dead.at("")["ref"] == "main"
    folder = DeadRun(id="1", flow="release", deployment="", parameters={"project": "/srv/shop"})
    assert folder.at("c" * 40) == {"project": "/srv/shop"}


def test_the_pipeline_releases_everywhere_at_one_commit_and_the_ledger_knows_no_checkout(
    stack: Stack, shoplet: Shoplet, code: Repository
) -> None:
    commit = code.git("rev-parse", "HEAD")
    run = start(stack, "pipeline", project=code.url, requester="Priya")
    state = settled(stack, run)
    assert state.waiting, state.message
    shoplet.add({"0004_kind": GOOD["0004_kind"]})
    code.commit()
    stack.api.resume(run, YES)
    state = finished(stack, run)
    assert state.kind == "COMPLETED", state.message
    for environment in ("staging", "production"):
        with open_target(shoplet.root, environment) as target:
            release = newest_release(target.ledger, environment)
            assert release is not None
            assert (release.plan.commit, release.outcome) == (commit, Outcome.RELEASED)
            assert "checkouts" not in repr(target.ledger.entries(release=release.id))
    assert checkouts() == []
