"""`faber-db up` on bad days: what dies is started again, and what waited or was begun comes to its end."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from msgspec import Struct

from deployments.processes import end_leftovers
from deployments.stack import free_port
from deployments.stack_state import StackState, remembered
from deployments.supervisor import end_supervised
from faberdb.embedded import stop_server
from faberdb.ledger import Kind
from faberdb.release.record import Outcome
from faberdb.target import open_target
from tests.e2e.test_commands import faber_db, wait_until_ended
from tests.flows.shoplet import GOOD, Shoplet, make_shoplet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOMS = ("blocks", "cli", "deployments", "faberdb", "flows", "tasks")
REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = "between-github-and-us"
RULE = """
[[webhooks.rules]]
repository = "acme/shop"
event = "push"
source = "{source}"
"""
WORKER_LOOKS = "1.5"  # seconds; not the default, to see that it is honoured
SLOW = {"0006_slow": "CREATE TABLE slow (id int);\nSELECT pg_sleep(6);"}


class Up(Struct, frozen=True):
    """A stack that was started with `faber-db up --detach`, running a copy of the product's code."""

    home: Path
    code: Path
    shoplet: Shoplet

    @property
    def state(self) -> StackState:
        return remembered(self.home)

    def service(self, name: str) -> psutil.Process:
        """The process of a service, found by its command line."""
        found = [psutil.Process(p) for p in self.state.processes if psutil.pid_exists(p)]
        return next(p for p in found if name in " ".join(p.cmdline()))

    def kill(self, name: str) -> None:
        process = self.service(name)
        process.kill()
        until(lambda: process.pid not in self.state.processes, f"{name} to be started again")

    def engine(self) -> psutil.Process | None:
        """The process of a flow run, if one runs."""
        for process in psutil.process_iter(["cmdline", "environ"]):
            command = " ".join(process.info["cmdline"] or [])
            environ = process.info["environ"] or {}
            if "prefect.engine" in command and environ.get("FABER_DB_HOME") == str(self.home):
                return process
        return None


def until(holds: Callable[[], bool], what: str, *, patience_s: float = 150) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {patience_s} s for {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def up(home: Path) -> Iterator[Up]:
    # Not in pytest's own folder: another session's start takes the server's user its way in there.
    base = home / "up"
    end_supervised(base / "home")
    end_leftovers(base / "home")
    stop_server(base / "home")
    shutil.rmtree(base, ignore_errors=True)
    code = base / "code"
    for room in ROOMS:
        shutil.copytree(REPOSITORY / room, code / room, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FABER_DB_HOME", str(base / "home"))
        patch.setenv("PYTHONPATH", str(code))
        for name in ("PREFECT_API_URL", "PREFECT_HOME", "FABER_DB_PROJECT"):
            patch.delenv(name, raising=False)
        patch.setenv("PREFECT_WORKER_QUERY_SECONDS", WORKER_LOOKS)
        shoplet = make_shoplet(base / "shoplet")
        patch.setenv("FABER_DB_GITHUB_SECRET", SECRET)
        with (shoplet.root / "faber-db.toml").open("a") as config:
            config.write(RULE.format(source=f"file://{shoplet.root}"))
        git(shoplet, "init", "--quiet", "--initial-branch", "main")
        started = faber_db(
            shoplet, "up", "--detach", "--port", str(free_port()), "--webhook-port", str(free_port())
        )
        assert started.code == 0, started.err
        try:
            yield Up(home=base / "home", code=code, shoplet=shoplet)
        finally:
            ended = faber_db(shoplet, "down")
            assert ended.code == 0, ended.err


@pytest.fixture
def shoplet(up: Up) -> Shoplet:
    return up.shoplet


def git(shoplet: Shoplet, *arguments: str) -> str:
    who = ["-c", "user.name=Priya", "-c", "user.email=priya@example.com"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=shoplet.root, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


def commit(shoplet: Shoplet, message: str) -> str:
    git(shoplet, "add", "--all")
    git(shoplet, "commit", "--quiet", "--message", message)
    return git(shoplet, "rev-parse", "HEAD")


def push_of(sha: str) -> dict[str, object]:
    """What GitHub says of a push to main with one commit that adds a revision."""
    return {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": sha,
        "deleted": False,
        "forced": False,
        "repository": {"full_name": "acme/shop"},
        "pusher": {"name": "priya"},
        "commits": [
            {
                "id": sha,
                "added": ["prisma/migrations/0008_pushed/migration.sql"],
                "modified": [],
                "removed": [],
            }
        ],
    }


def deliver(up: Up, payload: dict[str, object], delivery: str) -> httpx.Response:
    body = json.dumps(payload).encode()
    proof = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": proof,
        "Content-Type": "application/json",
    }
    return httpx.post(f"{up.state.receiver}/github", content=body, headers=headers, timeout=30)


def kinds(shoplet: Shoplet, release: str) -> list[tuple[Kind, str]]:
    with open_target(shoplet.root, "production") as target:
        return [(e.kind, e.body.get("step", "")) for e in target.ledger.entries(release=release)]


def ask(shoplet: Shoplet) -> str:
    asked = faber_db(shoplet, "migrate", "production", "--as", "Priya")
    assert asked.code == 7, asked.err
    return shoplet.newest().id


def test_it_answers_and_a_second_one_is_refused(up: Up) -> None:
    state = up.state
    assert httpx.get(f"{state.api}/health").status_code == 200
    assert httpx.get(f"{state.receiver}/health").status_code == 200
    again = faber_db(up.shoplet, "up", "--detach")
    assert (again.code, "runs here already" in again.err) == (3, True)


def test_it_listens_to_others_only_with_a_password(up: Up, tmp_path: Path) -> None:
    environment = {**os.environ, "FABER_DB_HOME": str(tmp_path / "other")}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "up", "--host", "0.0.0.0", "--project", str(up.shoplet.root)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "without a password is refused" in done.stderr
    assert not (tmp_path / "other" / "postgres").exists(), "nothing was started"


def test_an_approval_outlives_the_worker_the_server_and_a_change_of_the_code(up: Up) -> None:
    shoplet = up.shoplet
    shoplet.add(GOOD)
    release = ask(shoplet)
    before = kinds(shoplet, release)
    up.kill("worker start")
    up.kill("server start")
    until(lambda: httpx_healthy(up.state.api), "the server to answer")
    task = up.code / "tasks" / "approving.py"
    task.write_text(
        task.read_text().replace("def ask_for_release(", "def ask_for_release(  # changed meanwhile\n")
    )
    approved = faber_db(shoplet, "approve", release, "--as", "Morgan")
    assert approved.code == 0, approved.err
    assert wait_until_ended(shoplet) is Outcome.RELEASED
    after = kinds(shoplet, release)
    assert after[: len(before)] == before
    assert len([k for k in after if k[0] is Kind.APPROVAL_ASKED]) == 1
    done = [step for kind, step in after if kind is Kind.STEP_DONE]
    assert len(done) == len(set(done)), "no step was done twice"


def test_a_release_whose_process_is_killed_is_recovered_by_itself(up: Up) -> None:
    shoplet = up.shoplet
    shoplet.add(SLOW)
    release = ask(shoplet)
    assert faber_db(shoplet, "approve", release, "--as", "Morgan").code == 0
    until(lambda: (Kind.STEP_INTENDED, "apply") in kinds(shoplet, release), "the apply to begin")
    engine = up.engine()
    assert engine is not None
    engine.kill()
    assert wait_until_ended(shoplet) is Outcome.RELEASED
    told = kinds(shoplet, release)
    assert (Kind.RECOVERY_DECIDED, "") in told
    assert told.count((Kind.STEP_DONE, "snapshot")) == 1


def test_a_release_outlives_its_worker(up: Up) -> None:
    shoplet = up.shoplet
    shoplet.add({"0007_slower": "CREATE TABLE slower (id int);\nSELECT pg_sleep(6);"})
    release = ask(shoplet)
    assert faber_db(shoplet, "approve", release, "--as", "Morgan").code == 0
    until(lambda: (Kind.STEP_INTENDED, "apply") in kinds(shoplet, release), "the apply to begin")
    os.kill(up.service("worker start").pid, signal.SIGKILL)
    assert wait_until_ended(shoplet) is Outcome.RELEASED
    assert (Kind.RECOVERY_DECIDED, "") not in kinds(shoplet, release)


def httpx_healthy(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_schedules_bring_runs(up: Up) -> None:
    def ahead() -> str:
        findings = faber_db(up.shoplet, "doctor", "--json").json["findings"]
        return str(next(f["text"] for f in findings if f["subject"] == "schedules"))

    until(lambda: "2 active, each with a run ahead" in ahead(), "the scheduler", patience_s=90)


def test_doctor_says_that_all_of_it_is_well_and_what_to_type_when_it_is_not(up: Up) -> None:
    well = faber_db(up.shoplet, "doctor", "--json")
    told = {f["subject"]: f for f in well.json["findings"]}
    assert {"Prefect", "workers", "deployments", "recovery", "webhook receiver"} <= set(told)
    assert all(told[s]["well"] for s in ("Prefect", "deployments", "recovery", "webhook receiver"))
    assert up.service("worker start").environ()["PREFECT_WORKER_QUERY_SECONDS"] == WORKER_LOOKS
    receiver = up.service("deployments.webhooks")
    receiver.suspend()
    try:
        sick = faber_db(up.shoplet, "doctor")
    finally:
        receiver.resume()
    assert sick.code == 1
    assert "webhook receiver" in sick.out
    assert "does not answer" in sick.out


def test_a_push_is_released_at_its_commit_whatever_came_after(up: Up) -> None:
    shoplet = up.shoplet
    shoplet.add({"0008_pushed": "CREATE TABLE pushed (id int);"})
    pushed = commit(shoplet, "the push")
    shoplet.add({"0009_later": "CREATE TABLE later (id int);"})
    commit(shoplet, "came after")
    answers = [deliver(up, push_of(pushed), "d-1") for _ in range(3)]
    assert {a.status_code for a in answers} == {202}
    runs = {a.json()["run"] for a in answers} - {None}
    assert len(runs) == 1, "the same delivery is one run"
    until(
        lambda: shoplet.newest().state == "waiting for approval" and shoplet.newest().plan.commit == pushed,
        "the pipeline to ask for production",
        patience_s=180,
    )
    release = shoplet.newest()
    assert [s.revision for s in release.plan.steps] == ["0008_pushed"]
    assert faber_db(shoplet, "approve", release.id, "--as", "Morgan").code == 0
    assert wait_until_ended(shoplet) is Outcome.RELEASED
    until(lambda: not list((up.home / "checkouts").glob("*/*")), "the checkout to be removed")
