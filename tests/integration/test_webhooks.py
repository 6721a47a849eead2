"""The receiver as a process of its own, on a real PostgreSQL; Prefect is played by a stand-in."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from msgspec.structs import replace

from deployments.api import PrefectApi
from deployments.stack import free_port
from deployments.webhooks.outbox import Outbox, State
from deployments.webhooks.sender import Sender
from faberdb.connection import connect, run
from faberdb.credentials import ledger_dsn
from faberdb.databases import end_sessions
from faberdb.dsn import Dsn
from faberdb.project import Project, load_project
from tests.webhooks.deliveries import (
    COMMIT,
    MIGRATION,
    NO_COMMIT,
    any_ci,
    generic,
    github,
    github_pull_request,
    github_push,
    gitlab,
    gitlab_push,
)
from tests.webhooks.standin import (
    REPOSITORY,
    Receiver,
    StandInPrefect,
    command,
    receiver,
    wait_for,
)

CONFIG = """
[project]
name = "shop"
[database]
hosting = "postgres"
[webhooks]
max_body_bytes = 20000
[[webhooks.rules]]
repository = "acme/shop"
source = "https://example.com/acme/shop.git"
[[webhooks.rules]]
repository = "acme/shop"
source = "https://example.com/acme/shop.git"
event = "pull_request"
parameters = { autonomy = "autonomous" }
"""


@pytest.fixture
def project(tmp_path: Path, create_database: Callable[..., Dsn], monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with an empty ledger of its own, whose owner is not the role that the receiver runs as."""
    admin = create_database("ledger")
    monkeypatch.setenv("FABER_DB_LEDGER_URL", replace(admin, user="t_ledger_writer").url())
    monkeypatch.setenv("FABER_DB_LEDGER_ADMIN_URL", admin.url())
    (tmp_path / "faber-db.toml").write_text(CONFIG)
    return load_project(tmp_path)


@pytest.fixture
def outbox(project: Project) -> Iterator[Outbox]:
    made = Outbox(project)
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def prefect() -> StandInPrefect:
    return StandInPrefect()


@pytest.fixture
def prefect_url(prefect: StandInPrefect) -> Iterator[str]:
    with prefect.listening() as url:
        yield url


@pytest.fixture
def running(project: Project, prefect_url: str, tmp_path: Path) -> Iterator[Receiver]:
    with receiver(project.root, prefect_url, tmp_path / "log") as one:
        yield one


def keep(outbox: Outbox, key: str) -> None:
    outbox.accept(key, repository="acme/shop", event="push", deployment="pipeline/faber-db", parameters={})


def test_a_push_becomes_a_run_of_that_commit(
    running: Receiver, prefect: StandInPrefect, prefect_url: str
) -> None:
    answer = running.post(github(github_push(), delivery="d-1"))
    assert answer.status_code == 202
    run = prefect.runs["github:d-1"]
    assert answer.json() == {
        "delivery": "github:d-1",
        "run": run,
        "link": f"{prefect_url.removesuffix('/api')}/runs/flow-run/{run}",
    }
    expected = {"project": "https://example.com/acme/shop.git", "ref": COMMIT, "requester": "priya"}
    assert prefect.parameters["github:d-1"] == expected


def test_each_door_has_its_proof(running: Receiver, prefect: StandInPrefect) -> None:
    good = [github(github_push()), gitlab(gitlab_push()), generic(any_ci())]
    assert [running.post(d).status_code for d in good] == [202] * 3
    stale = generic(any_ci(), at=time.time() - 301)
    bad = [
        github(github_push(), secret="another"),
        replace(good[0], body=good[0].body + b" "),
        replace(good[0], headers={}),
        replace(good[1], headers={**good[1].headers, "X-Gitlab-Token": "another"}),
        replace(good[2], headers={**good[2].headers, "X-FaberDB-Timestamp": str(int(time.time()) - 9)}),
        stale,
    ]
    answers = [running.post(d) for d in bad]
    assert [(a.status_code, a.json()) for a in answers] == [(401, {"detail": "not authorised"})] * 6
    assert len(prefect.runs) == 3


def test_what_no_rule_is_for_is_turned_away_without_a_reason(
    running: Receiver, prefect: StandInPrefect
) -> None:
    bad = [
        github(github_push(repository={"full_name": "eve/shop"})),
        github(github_push(ref="refs/heads/other")),
        github({"action": "opened"}, "issues"),
        generic(any_ci(event="nightly")),
    ]
    answers = [running.post(d) for d in bad]
    assert [(a.status_code, a.json()) for a in answers] == [(403, {"detail": "not allowed"})] * 4
    assert not prefect.asked


def test_a_door_without_a_secret_is_closed_and_a_rotated_secret_counts_at_once(
    project: Project, prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project.config_path
    config.write_text(CONFIG.replace("[webhooks]", '[webhooks]\ngithub_secret_env = "OF_THIS_TEST"'))
    with receiver(project.root, prefect_url, tmp_path / "log") as one:
        assert one.post(github(github_push(), secret="new")).status_code == 403
        (project.root / ".env").write_text("OF_THIS_TEST=new\n")
        assert one.post(github(github_push(), secret="new")).status_code == 202


def test_pings_are_answered_and_what_starts_nothing_says_why(
    running: Receiver, prefect: StandInPrefect
) -> None:
    assert running.post(github({"zen": "x"}, "ping")).status_code == 200
    assert running.post(github({"zen": "x"}, "ping", secret="another")).status_code == 401
    untouched = running.post(github(github_push(commits=[{"modified": ["README.md"]}])))
    assert (untouched.status_code, untouched.json()["run"]) == (202, None)
    assert untouched.json()["reason"] == "no path of a rule was touched"
    deleted = running.post(github(github_push(deleted=True, after=NO_COMMIT, commits=[])))
    assert (deleted.status_code, deleted.json()["run"]) == (202, None)
    assert not prefect.asked


def test_a_pull_request_only_plans(running: Receiver, prefect: StandInPrefect) -> None:
    running.post(github(github_pull_request(), "pull_request", delivery="pr"))
    given = prefect.parameters["github:pr"]
    assert (given["autonomy"], given["ref"]) == ("dry-run", COMMIT)


def without_end(until: float) -> Iterator[bytes]:
    while time.monotonic() < until:
        yield b"x" * 10_000


def test_a_long_body_is_turned_away_before_it_is_whole(running: Receiver) -> None:
    announced = github(github_push(padding="x" * 20_000))
    assert running.post(announced).status_code == 413

    assert httpx.post(f"{running.url}/github", content=(b"x" * 1000 for _ in range(40))).status_code == 413
    begun = time.monotonic()
    endless = httpx.post(f"{running.url}/github", content=without_end(until=begun + 20), timeout=20)
    assert endless.status_code == 413
    assert time.monotonic() - begun < 10, "it hangs up on whoever goes on and on"
    assert running.post(github(github_push())).status_code == 202, "and goes on"


def test_a_body_that_is_not_what_it_says_is_unreadable(running: Receiver) -> None:
    answer = running.post(github(github_pull_request(), "push"))
    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "The body is not what the event's name says."},
    )
    assert running.post(github(github_push(), delivery="no/id")).status_code == 422


def test_twenty_identical_deliveries_in_parallel_are_one_run(
    running: Receiver, prefect: StandInPrefect, outbox: Outbox
) -> None:
    prefect.delay_s = 0.1
    answers = running.post_at_once([github(github_push(), delivery="same")] * 20, threads=20)
    assert {a.status_code for a in answers} == {202}
    assert {a.json()["run"] for a in answers} <= {prefect.runs["github:same"], None}
    assert prefect.asked == {"github:same": 1}
    assert [d.state for d in outbox.newest()] == [State.SENT]


def test_two_hundred_deliveries_at_once_are_two_hundred_runs(
    running: Receiver, prefect: StandInPrefect, outbox: Outbox
) -> None:
    prefect.delay_s = 0.02
    keys = [f"d-{n}" for n in range(200)]
    answers = running.post_at_once([github(github_push(), delivery=k) for k in keys], threads=200)
    assert {a.status_code for a in answers} == {202}
    wait_for(lambda: len(prefect.runs) == 200)
    wait_for(lambda: all(d.state is State.SENT for d in outbox.newest(limit=300)))
    assert {d.key: d.run for d in outbox.newest(limit=300)} == prefect.runs
    assert set(prefect.asked.values()) == {1}


@pytest.mark.parametrize("status", [503, 401, 429])
def test_a_prefect_that_cannot_now_gets_the_delivery_later(
    running: Receiver, prefect: StandInPrefect, outbox: Outbox, status: int
) -> None:
    prefect.status = status
    answer = running.post(generic(any_ci(), delivery="d"))
    assert (answer.status_code, answer.json()["run"]) == (202, None)
    assert outbox.newest()[0].state is State.PENDING
    prefect.status = 200
    wait_for(lambda: outbox.newest()[0].state is State.SENT)
    assert outbox.newest()[0].run == prefect.runs["generic:d"]


def test_a_prefect_that_is_away_is_waited_for_and_one_that_hangs_does_not_hold_the_sender(
    project: Project, prefect: StandInPrefect, outbox: Outbox, tmp_path: Path
) -> None:
    port = free_port()
    with receiver(project.root, f"http://127.0.0.1:{port}/api", tmp_path / "log") as one:
        assert one.post(generic(any_ci(), delivery="d")).json()["run"] is None
        with prefect.listening(port):
            wait_for(lambda: outbox.newest()[0].state is State.SENT)
            prefect.delay_s = 5
            begun = time.monotonic()
            assert one.post(generic(any_ci(), delivery="e")).json()["run"] is None
            assert time.monotonic() - begun < 3.5
            wait_for(lambda: [d.state for d in outbox.newest()] == [State.SENT] * 2)
    assert prefect.asked == {"generic:d": 1, "generic:e": 1}


def test_a_receiver_killed_after_its_answer_has_lost_nothing(
    project: Project, prefect: StandInPrefect, prefect_url: str, outbox: Outbox, tmp_path: Path
) -> None:
    with receiver(project.root, f"http://127.0.0.1:{free_port()}/api", tmp_path / "log") as one:
        assert one.post(github(github_push(), delivery="d")).status_code == 202
        one.kill()
    with receiver(project.root, prefect_url, tmp_path / "log"):
        wait_for(lambda: outbox.newest()[0].state is State.SENT)
    assert prefect.asked == {"github:d": 1}


def test_whatever_was_accepted_before_a_kill_under_load_becomes_one_run_each(
    project: Project, prefect: StandInPrefect, prefect_url: str, outbox: Outbox, tmp_path: Path
) -> None:
    prefect.delay_s = 0.01
    accepted: list[str] = []

    def post(one: Receiver, number: int) -> None:
        with contextlib.suppress(httpx.HTTPError):  # killed before it answered: the sender sends again
            answer = one.post(generic(any_ci(), delivery=f"d{number}"))
            assert answer.status_code == 202
            accepted.append(answer.json()["delivery"])

    for life in range(3):
        with receiver(project.root, prefect_url, tmp_path / "log") as one, ThreadPoolExecutor(10) as pool:
            calls = [pool.submit(post, one, life * 1000 + n) for n in range(60)]
            wait_for(lambda life=life: len(accepted) >= 15 * (life + 1))  # type: ignore[misc]
            one.kill()
            for call in calls:
                call.result()
    with receiver(project.root, prefect_url, tmp_path / "log"):
        wait_for(lambda: {d.state for d in outbox.newest(limit=500)} == {State.SENT})
    assert set(accepted) <= set(prefect.runs)
    assert len(accepted) < 180, "none was killed in the middle"
    assert {d.key: d.run for d in outbox.newest(limit=500)} == prefect.runs


def test_what_the_deployment_does_not_take_is_refused_seen_and_can_be_sent_again(
    running: Receiver, project: Project, prefect: StandInPrefect, prefect_url: str, outbox: Outbox
) -> None:
    prefect.known.remove("ref")
    for _ in range(2):  # a redelivery gets the same answer
        answer = running.post(github(github_push(), delivery="d"))
        assert (answer.status_code, answer.json()["run"]) == (422, None)
    listed = command(project.root, prefect_url, "--list").stdout.splitlines()
    assert "refused" in listed[1]
    assert "github:d" in listed[1]
    assert "has no parameter ref" in listed[1]
    assert not prefect.asked
    prefect.known.add("ref")
    assert command(project.root, prefect_url, "--resend", "github:d").returncode == 0
    wait_for(lambda: outbox.newest()[0].state is State.SENT)
    assert command(project.root, prefect_url, "--resend", "github:d").returncode == 3


def test_impossible_rules_are_refused_at_the_start(
    project: Project, prefect: StandInPrefect, prefect_url: str
) -> None:
    prefect.known.remove("autonomy")
    ended = command(project.root, prefect_url)
    assert ended.returncode == 3
    assert "webhooks.rules.1 gives pipeline/faber-db the unknown autonomy" in ended.stderr


def test_several_receivers_share_an_outbox_without_doubling(
    project: Project, prefect: StandInPrefect, prefect_url: str, outbox: Outbox
) -> None:
    prefect.delay_s = 0.02
    keys = [f"k{n}" for n in range(60)]
    for key in keys:
        keep(outbox, key)
    others = [Outbox(project) for _ in range(3)]
    senders = [Sender(one, PrefectApi(prefect_url)) for one in others]
    for sender in senders:
        sender.start()
    wait_for(lambda: len(prefect.runs) == 60)
    for sender, one in zip(senders, others, strict=True):
        sender.stop()
        one.close()
    assert prefect.asked == dict.fromkeys(keys, 1)


def test_a_receiver_sends_what_is_of_its_own_project(
    project: Project, prefect: StandInPrefect, prefect_url: str, outbox: Outbox, tmp_path: Path
) -> None:
    keep(outbox, "k")
    other = tmp_path / "other"
    other.mkdir()
    (other / "faber-db.toml").write_text(CONFIG.replace('"shop"', '"other"'))
    elsewhere = Outbox(load_project(other))
    assert elsewhere.newest() == []
    time.sleep(2.6)  # the head start of the request that brought it
    assert elsewhere.attempt_next(Sender(elsewhere, PrefectApi(prefect_url)).create_run) is None
    elsewhere.close()


def test_an_outbox_outlives_a_server_that_ended_its_sessions(outbox: Outbox, server: Dsn) -> None:
    keep(outbox, "k")
    with connect(server, purpose="test") as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'faber-db webhooks%'"
        )
    keep(outbox, "l")
    assert {d.key for d in outbox.newest()} == {"k", "l"}


def test_what_cannot_be_kept_is_not_accepted(
    running: Receiver, prefect: StandInPrefect, project: Project, server: Dsn
) -> None:
    name = ledger_dsn(project).admin.database
    with connect(server, purpose="test") as conn:
        end_sessions(conn, name)
        run(conn, "ALTER DATABASE {name} RENAME TO {aside}", name=name, aside=f"{name}_aside")
        answer = running.post(github(github_push(), delivery="d"))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert not PrefectApi(running.url).healthy()
        run(conn, "ALTER DATABASE {aside} RENAME TO {name}", name=name, aside=f"{name}_aside")
    assert not prefect.asked
    assert running.post(github(github_push(), delivery="d")).json()["run"] == prefect.runs["github:d"]


def test_first_starts_at_once_make_one_table_and_the_role_cannot_remove_from_it(project: Project) -> None:
    boxes = [Outbox(project) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda box: box.prepare(), boxes))
    keep(boxes[0], "k")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        boxes[0]._connections.run(lambda conn: conn.execute("DELETE FROM webhooks.delivery"))
    for box in boxes:
        box.close()


def test_neither_body_nor_secret_is_kept_or_logged(running: Receiver, server: Dsn, project: Project) -> None:
    running.post(github(github_push(head_commit={"message": "very private"}), delivery="d"))
    running.post(github({"private": "very private"}, "push"))
    said = running.log.read_text()
    kept = str(Outbox(project).newest())
    for text in (said, kept):
        assert "very private" not in text
        assert "a secret of the tests" not in text
        assert MIGRATION not in text


def test_the_doors_are_described_and_health_is_open(running: Receiver) -> None:
    described = httpx.get(f"{running.url}/openapi.json").json()["paths"]
    assert {"/github", "/gitlab", "/generic", "/health"} <= set(described)
    assert httpx.get(f"{running.url}/docs").status_code == 200
    assert PrefectApi(running.url).healthy()


def test_the_receiver_does_not_load_prefect() -> None:
    code = "import sys, deployments.webhooks.__main__; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
