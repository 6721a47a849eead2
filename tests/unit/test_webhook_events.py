from __future__ import annotations

import json
from typing import Any

import pytest

from deployments.webhooks.events import NotAllowed, Unreadable, read_generic, read_github, read_gitlab
from tests.webhooks.deliveries import (
    COMMIT,
    MIGRATION,
    NO_COMMIT,
    any_ci,
    github_pull_request,
    github_push,
    gitlab_merge_request,
    gitlab_push,
)


def body(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def commits(number: int) -> list[dict[str, Any]]:
    return [{"added": [f"file{n}"], "modified": [], "removed": []} for n in range(number)]


def test_a_push_of_github_says_who_pushed_what_where() -> None:
    event = read_github("push", body(github_push()))
    assert (event.name, event.repository, event.branch) == ("push", "acme/shop", "main")
    assert (event.commit, event.person, event.idle) == (COMMIT, "priya", "")
    assert event.paths == ("README.md", MIGRATION)


def test_a_push_of_gitlab_reads_the_same() -> None:
    event = read_gitlab("Push Hook", body(gitlab_push()))
    assert (event.name, event.repository, event.branch) == ("push", "acme/shop", "main")
    assert (event.commit, event.person, event.paths, event.idle) == (COMMIT, "priya", (MIGRATION,), "")


def test_a_branch_with_slashes_keeps_them() -> None:
    assert read_github("push", body(github_push(ref="refs/heads/release/1.2"))).branch == "release/1.2"


@pytest.mark.parametrize(
    "changes",
    [
        {"commits": commits(20)},
        {"commits": []},
        {"forced": True},
    ],
    ids=["as many as a list holds", "none", "forced"],
)
def test_what_github_may_not_have_told_is_not_taken_for_nothing(changes: dict[str, Any]) -> None:
    assert read_github("push", body(github_push(**changes))).paths is None


def test_nineteen_commits_are_believed() -> None:
    assert len(read_github("push", body(github_push(commits=commits(19)))).paths or ()) == 19


def test_gitlab_says_itself_that_its_list_is_cut() -> None:
    assert read_gitlab("Push Hook", body(gitlab_push(total_commits_count=2))).paths is None


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (read_github("push", body(github_push(deleted=True, after=NO_COMMIT, commits=[]))), "deleted"),
        (read_gitlab("Push Hook", body(gitlab_push(after=NO_COMMIT, commits=[]))), "deleted"),
        (read_github("push", body(github_push(ref="refs/tags/v1"))), "no branch"),
        (read_github("pull_request", body(github_pull_request("labeled"))), "did not change"),
        (read_gitlab("Merge Request Hook", body(gitlab_merge_request("update"))), "did not change"),
        (read_gitlab("Merge Request Hook", body(gitlab_merge_request("merge"))), "did not change"),
        (read_github("pull_request", body(github_pull_request(repo={"full_name": "eve/shop"}))), "fork"),
        (read_github("pull_request", body(github_pull_request(repo=None))), "fork"),
        (read_gitlab("Merge Request Hook", body(gitlab_merge_request(source_project_id=2))), "fork"),
    ],
)
def test_some_deliveries_start_nothing_and_say_why(event: Any, said: str) -> None:
    assert said in event.idle


@pytest.mark.parametrize("action", ["opened", "synchronize", "reopened"])
def test_a_pull_request_is_its_head_to_be_merged_into_its_base(action: str) -> None:
    event = read_github("pull_request", body(github_pull_request(action)))
    assert (event.name, event.branch, event.commit, event.person) == ("pull_request", "main", COMMIT, "priya")
    assert (event.paths, event.idle) == (None, "")


@pytest.mark.parametrize(
    "payload",
    [
        gitlab_merge_request("open"),
        gitlab_merge_request("reopen"),
        gitlab_merge_request("update", oldrev=COMMIT),
    ],
)
def test_a_merge_request_is_a_pull_request(payload: dict[str, Any]) -> None:
    event = read_gitlab("Merge Request Hook", body(payload))
    assert (event.name, event.branch, event.commit, event.idle) == ("pull_request", "main", COMMIT, "")


def test_any_ci_may_say_what_was_touched_or_not() -> None:
    assert read_generic(body(any_ci())).paths is None
    assert read_generic(body(any_ci(paths=["a"], event="nightly"))).paths == ("a",)


@pytest.mark.parametrize("name", ["issues", "", "PUSH"])
def test_other_events_are_not_allowed(name: str) -> None:
    with pytest.raises(NotAllowed):
        read_github(name, b"{}")
    with pytest.raises(NotAllowed):
        read_gitlab(name, b"{}")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b"payload=%7B%7D",
        body(github_push(after="main")),
        body(github_push(after=COMMIT + "\n")),
        body(github_push(pusher={"name": "eve\nmorgan"})),
        body(github_push(repository={"full_name": "a\x00b"})),
        body({k: v for k, v in github_push().items() if k != "commits"}),
        body(github_pull_request()),
    ],
)
def test_a_body_that_is_no_push_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        read_github("push", raw)
    assert str(refused.value) == "The body is not what the event's name says."


def test_events_and_bodies_of_gitlab_have_to_agree() -> None:
    with pytest.raises(Unreadable):
        read_gitlab("Push Hook", body(gitlab_merge_request()))


def test_a_generic_body_has_nothing_that_we_do_not_know() -> None:
    with pytest.raises(Unreadable):
        read_generic(body(any_ci(autonomy="autonomous")))
