"""What a delivery says, read into one form for all doors. Refuses to know who may send it and what it starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from deployments.webhooks.payloads import (
    Commits,
    Generic,
    GithubPullRequest,
    GithubPush,
    GitlabMergeRequest,
    GitlabPush,
)
from faberdb.errors import Refused

PUSH = "push"
PULL_REQUEST = "pull_request"

# GitHub and GitLab have each cut the list at 20 commits; then what was touched is not known.
_CUT_AT = 20

_Payload = TypeVar("_Payload", bound=BaseModel)


class Unreadable(Refused):
    """The body is not what the event's name says."""


class NotAllowed(Refused):
    """No rule lets this repository, branch or event start anything."""


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened in a repository."""

    name: str  # push, pull_request, or what a generic sender calls it
    repository: str
    branch: str  # pushed to; of a pull request: to be merged into
    commit: str
    person: str  # who pushed
    paths: tuple[str, ...] | None  # touched; None where the delivery does not tell all of them
    idle: str = ""  # why it starts nothing, whatever the rules say


def read_github(name: str, body: bytes) -> Event:
    """Read a delivery of GitHub.

    Args:
        name: `X-GitHub-Event`.
        body: JSON.
    """
    if name == PUSH:
        return _github_push(_read(GithubPush, body))
    if name == PULL_REQUEST:
        return _github_pull_request(_read(GithubPullRequest, body))
    raise NotAllowed("The event is not one that starts anything.")


def read_gitlab(name: str, body: bytes) -> Event:
    """Read a delivery of GitLab.

    Args:
        name: `X-Gitlab-Event`.
        body: JSON.
    """
    if name == "Push Hook":
        return _gitlab_push(_read(GitlabPush, body))
    if name == "Merge Request Hook":
        return _gitlab_merge_request(_read(GitlabMergeRequest, body))
    raise NotAllowed("The event is not one that starts anything.")


def read_generic(body: bytes) -> Event:
    """Read a delivery of any other sender, whose form is ours."""
    given = _read(Generic, body)
    return Event(
        name=given.event,
        repository=given.repository,
        branch=given.branch,
        commit=given.commit,
        person=given.requester,
        paths=None if given.paths is None else tuple(given.paths),
    )


def _read(payload: type[_Payload], body: bytes) -> _Payload:
    try:
        return payload.model_validate_json(body)
    except ValidationError:
        # Its text quotes the body.
        raise Unreadable("The body is not what the event's name says.") from None


def _github_push(given: GithubPush) -> Event:
    gone = given.deleted or not given.after.strip("0")
    return Event(
        name=PUSH,
        repository=given.repository.full_name,
        branch=given.ref.removeprefix("refs/heads/"),
        commit=given.after,
        person=given.pusher.name,
        # What a forced push takes away is in no list.
        paths=None if given.forced else _touched(given.commits, len(given.commits)),
        idle=_why_idle(given.ref, gone),
    )


def _github_pull_request(given: GithubPullRequest) -> Event:
    head = given.pull_request.head
    fork = "repo" in head.model_fields_set and (
        head.repo is None or head.repo.full_name != given.repository.full_name
    )
    wanted = given.action in {"opened", "synchronize", "reopened"}
    return Event(
        name=PULL_REQUEST,
        repository=given.repository.full_name,
        branch=given.pull_request.base.ref,
        commit=head.sha,
        person=given.sender.login,
        paths=None,
        idle=_FORK if fork else "" if wanted else "the pull request's commits did not change",
    )


def _gitlab_push(given: GitlabPush) -> Event:
    return Event(
        name=PUSH,
        repository=given.project.path_with_namespace,
        branch=given.ref.removeprefix("refs/heads/"),
        commit=given.after,
        person=given.user_username or given.user_name,
        paths=_touched(given.commits, given.total_commits_count),
        idle=_why_idle(given.ref, not given.after.strip("0")),
    )


def _gitlab_merge_request(given: GitlabMergeRequest) -> Event:
    change = given.object_attributes
    fork = change.source_project_id != change.target_project_id
    wanted = change.action in {"open", "reopen"} or (change.action == "update" and change.oldrev)
    return Event(
        name=PULL_REQUEST,
        repository=given.project.path_with_namespace,
        branch=change.target_branch,
        commit=change.last_commit.id,
        person=given.user.username,
        paths=None,
        idle=_FORK if fork else "" if wanted else "the merge request's commits did not change",
    )


# Its configuration is a stranger's, and a plan is made with our credentials.
_FORK = "it comes from a fork"


def _why_idle(ref: str, gone: bool) -> str:
    if gone:
        return "the branch was deleted"
    return "" if ref.startswith("refs/heads/") else "it is no branch"


def _touched(commits: Iterable[Commits], total: int) -> tuple[str, ...] | None:
    """Every file that the commits touch, or None where not all of them are told.

    A push without commits moves a branch to commits that another branch has.
    """
    listed = list(commits)
    if not listed or len(listed) >= _CUT_AT or total > len(listed):
        return None
    return tuple(sorted({path for c in listed for path in (*c.added, *c.modified, *c.removed)}))
