"""What a release leaves in Prefect for people: artifacts and events, each once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from deployments.stack import Stack
from faberdb.ledger import Kind
from faberdb.release.record import Outcome
from faberdb.target import open_target
from tasks.artifact_keys import artifact_key
from tests.flows.running import run_release
from tests.flows.shoplet import FAILS_CHECK, GOOD, Shoplet
from tests.flows.timelines import picture_in

Forked = Callable[..., int]


@pytest.fixture
def events(stack: Stack) -> Callable[[str, int], list[dict[str, Any]]]:
    """Reads a release's events, waiting until so many are stored: Prefect stores them in batches."""

    def read(release: str, count: int) -> list[dict[str, Any]]:
        query = {
            "filter": {
                "resource": {"id": [f"faber-db.release.{release}"]},
                "event": {"prefix": ["faber-db."]},
            }
        }
        deadline = time.monotonic() + 20
        while True:
            answer = httpx.post(f"{stack.api.url}/events/filter", json=query).raise_for_status()
            found = sorted(answer.json()["events"], key=lambda e: str(e["occurred"]))
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.5)

    return read


@pytest.fixture
def artifacts(stack: Stack) -> Callable[[str], list[dict[str, Any]]]:
    """Reads every version of the artifacts whose text names something."""

    def read(word: str) -> list[dict[str, Any]]:
        query = {"sort": "CREATED_DESC", "limit": 50}
        answer = httpx.post(f"{stack.api.url}/artifacts/filter", json=query).raise_for_status()
        return [a for a in answer.json() if word in f"{a['description']}{a['data']}"]

    return read


def _pages(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the bars of steps that took longer here than elsewhere."""
    return [a for a in shown if a["type"] != "progress"]


def _names(events: list[dict[str, Any]]) -> list[str]:
    return [e["event"].removeprefix("faber-db.release.") for e in events]


def test_a_good_release_is_seen_once(
    shoplet: Shoplet, forked: Forked, events: Callable[..., Any], artifacts: Callable[..., Any]
) -> None:
    shoplet.add(GOOD)
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 0
    found = events(release.id, 5)
    assert _names(found) == ["opened", "waiting", "approved", "started", "released"]
    assert found[-1]["payload"] == {
        "environment": "production",
        "digest": release.digest,
        "change": "",
        "commit": "",
        "outcome": "released",
    }
    roles = {r["prefect.resource.role"] for r in found[-1]["related"]}
    assert {"project", "environment", "flow-run"} <= roles
    shown = _pages(artifacts(release.id))
    assert [(a["key"], a["type"]) for a in shown] == [("release-production", "markdown")]
    assert "released" in ElementTree.tostring(picture_in(shown[0]["data"]), encoding="unicode")


def test_a_release_that_is_taken_back_is_seen_once(
    shoplet: Shoplet, forked: Forked, events: Callable[..., Any], artifacts: Callable[..., Any]
) -> None:
    shoplet.add(FAILS_CHECK)
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 5
    found = events(release.id, 5)
    assert _names(found) == ["opened", "waiting", "approved", "started", "rolled-back"]
    assert found[-1]["payload"]["outcome"] == "rolled back"
    assert "5000" not in str(found), "no SQL in an event"
    shown = _pages(artifacts(release.id))
    assert [a["key"] for a in shown] == ["release-production"]
    assert "restore beside" in "".join(picture_in(shown[0]["data"]).itertext())


def test_a_run_that_dies_and_goes_on_tells_nothing_twice(
    shoplet: Shoplet, forked: Forked, events: Callable[..., Any], artifacts: Callable[..., Any]
) -> None:
    shoplet.add(GOOD)
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root), "verify revisions:intended:1", "kill") == -9
    assert forked(run_release, str(shoplet.root)) == 0
    assert _names(events(release.id, 5)) == ["opened", "waiting", "approved", "started", "released"]
    assert len(_pages(artifacts(release.id))) == 1


def test_a_run_that_was_suspended_tells_each_fact_once(
    stack: Stack, shoplet: Shoplet, events: Callable[..., Any], artifacts: Callable[..., Any]
) -> None:
    shoplet.add(GOOD)
    (shoplet.root / "item.md").write_text("# SHOP-7: A note\nRequested by: Priya\n")
    given = {
        "project": str(shoplet.root),
        "environment": "production",
        "work_item": "item.md",
        "requester": "Priya",
    }
    run = stack.api.create_run("release/faber-db", given)
    _until(lambda: stack.api.state(run).waiting)
    named = httpx.get(f"{stack.api.url}/flow_runs/{run}").json()["name"]
    assert named == "release-production-SHOP-7"
    answer = {"decision": "approve", "approver": "Morgan", "comment": "", "phrase": ""}
    stack.api.resume(run, answer)
    _until(lambda: stack.api.state(run).ended)
    newest = shoplet.newest()
    assert newest.outcome is Outcome.RELEASED
    found = events(newest.id, 5)
    assert Counter(_names(found)) == Counter(["opened", "waiting", "approved", "started", "released"])
    assert len(_pages(artifacts(newest.id))) == 1


def test_a_long_step_shows_its_progress_and_a_quick_one_does_not(
    shoplet: Shoplet, forked: Forked, artifacts: Callable[..., Any]
) -> None:
    shoplet.add({"0003_slow": "SELECT pg_sleep(3.5);", "0004_note": "ALTER TABLE account ADD COLUMN n text;"})
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 0
    bars = [a for a in artifacts(release.id) if a["type"] == "progress"]
    (applied,) = [a for a in bars if a["key"] == "apply-production"]
    assert applied["data"] == 100.0
    assert applied["flow_run_id"], "it belongs to the run"
    with open_target(shoplet.root, "production") as target:
        entries = target.ledger.entries(release=release.id)
    begun = {e.body["step"]: e.at for e in entries if e.kind is Kind.STEP_INTENDED}
    ended = {e.body["step"]: e.at for e in entries if e.kind is Kind.STEP_DONE}
    took = {artifact_key(s, "production"): (at - begun[s]).total_seconds() for s, at in ended.items()}
    assert min(took[a["key"]] for a in bars) > 1, "a quick one has none"


def _until(true: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
