"""Webhooks to a real Prefect: deliveries in, flow runs out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.stack import Stack, free_port
from tests.flows.shoplet import Shoplet
from tests.webhooks.deliveries import COMMIT, any_ci, generic, github, github_pull_request, github_push
from tests.webhooks.standin import Receiver, command, receiver, wait_for

pytestmark = pytest.mark.e2e

RULES = """
[[webhooks.rules]]
repository = "acme/shop"
source = "https://example.com/acme/shop.git"
deployment = "{deployment}"
[[webhooks.rules]]
repository = "acme/shop"
source = "https://example.com/acme/shop.git"
event = "pull_request"
deployment = "{deployment}"
"""


@pytest.fixture
def deployment(stack: Stack) -> str:
    """A deployment that takes what the pipeline takes, and whose runs nobody runs."""
    name = f"webhooked-{uuid.uuid4().hex[:8]}"
    properties = {n: {"type": "string"} for n in ("project", "ref", "requester", "autonomy")}
    flow = httpx.post(f"{stack.api.url}/flows/", json={"name": name}).json()["id"]
    schema = {"type": "object", "properties": properties}
    body = {"name": "test", "flow_id": flow, "parameter_openapi_schema": schema}
    httpx.post(f"{stack.api.url}/deployments/", json=body).raise_for_status()
    return f"{name}/test"


@pytest.fixture
def hooked(shoplet: Shoplet, deployment: str) -> Shoplet:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + RULES.format(deployment=deployment))
    return shoplet


@pytest.fixture
def running(hooked: Shoplet, stack: Stack, tmp_path: Path) -> Iterator[Receiver]:
    with receiver(hooked.root, stack.api.url, tmp_path / "log") as one:
        yield one


def runs_of(stack: Stack, deployment: str) -> list[dict[str, Any]]:
    chosen = {"flows": {"name": {"any_": [deployment.split("/", maxsplit=1)[0]]}}, "limit": 200}
    found: list[dict[str, Any]] = []
    while True:
        page = httpx.post(f"{stack.api.url}/flow_runs/filter", json={**chosen, "offset": len(found)}).json()
        found += page
        if len(page) < 200:
            return found


def test_a_push_is_a_run_and_a_pull_request_is_a_dry_run(
    running: Receiver, stack: Stack, deployment: str, hooked: Shoplet
) -> None:
    push = running.post(github(github_push(), delivery=f"{deployment[-20:-5]}-push"))
    assert push.status_code == 202, push.text
    asked = running.post(github(github_pull_request(), "pull_request"))
    runs = {r["id"]: r["parameters"] for r in runs_of(stack, deployment)}
    expected = {"project": "https://example.com/acme/shop.git", "ref": COMMIT, "requester": "priya"}
    assert runs[push.json()["run"]] == expected
    assert runs[asked.json()["run"]] == {**expected, "autonomy": "dry-run"}
    assert stack.api.state(push.json()["run"]).kind == "SCHEDULED"


def test_twenty_identical_deliveries_in_parallel_are_one_flow_run(
    running: Receiver, stack: Stack, deployment: str
) -> None:
    answers = running.post_at_once([generic(any_ci(), delivery=str(uuid.uuid4()))] * 20, threads=20)
    assert {a.status_code for a in answers} == {202}
    (only,) = runs_of(stack, deployment)
    assert {a.json()["run"] for a in answers} <= {only["id"], None}


def test_two_hundred_deliveries_at_once_are_two_hundred_flow_runs(
    running: Receiver, stack: Stack, deployment: str
) -> None:
    answers = running.post_at_once([generic(any_ci()) for _ in range(200)], threads=100)
    assert {a.status_code for a in answers} == {202}
    keys = {a.json()["delivery"] for a in answers}
    wait_for(lambda: len(runs_of(stack, deployment)) == 200, timeout_s=240)
    assert {r["idempotency_key"] for r in runs_of(stack, deployment)} == keys
    told = {a.json()["run"] for a in answers} - {None}
    assert told <= {r["id"] for r in runs_of(stack, deployment)}


def test_a_delivery_outlives_an_absent_prefect_and_a_killed_receiver(
    hooked: Shoplet, stack: Stack, deployment: str, tmp_path: Path
) -> None:
    away = f"http://127.0.0.1:{free_port()}/api"
    with receiver(hooked.root, away, tmp_path / "first") as first:
        answer = first.post(generic(any_ci()))
        assert (answer.status_code, answer.json()["run"]) == (202, None)
        first.kill()
    assert runs_of(stack, deployment) == []
    with receiver(hooked.root, stack.api.url, tmp_path / "second"):
        wait_for(lambda: len(runs_of(stack, deployment)) == 1)
    listed = command(hooked.root, stack.api.url, "--list").stdout
    assert answer.json()["delivery"] in listed
    assert "sent" in listed


def test_a_rule_that_the_real_deployment_cannot_take_stops_the_start(hooked: Shoplet, stack: Stack) -> None:
    config = hooked.root / "faber-db.toml"
    config.write_text(config.read_text() + 'parameters = { enviroment = "dev" }\n')
    ended = command(hooked.root, stack.api.url)
    assert (ended.returncode, "the unknown enviroment" in ended.stderr) == (3, True), ended.stderr
