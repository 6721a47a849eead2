"""The parts of each platform's payloads that we read; all else in them is ignored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Line = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
Commit = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]


class Commits(BaseModel):
    """One commit's files, as GitHub and GitLab both list them."""

    added: list[str] = []
    modified: list[str] = []
    removed: list[str] = []


class GithubRepository(BaseModel):
    """Where it happened."""

    full_name: Line


class GithubPerson(BaseModel):
    """Who did it."""

    login: Line


class GithubPusher(BaseModel):
    """Who pushed."""

    name: Line  # the login, in spite of its name


class GithubPush(BaseModel):
    """`push`."""

    ref: Line
    after: Commit
    deleted: bool = False
    forced: bool = False
    repository: GithubRepository
    pusher: GithubPusher
    commits: list[Commits]


class GithubHead(BaseModel):
    """What a pull request brings; `repo` is null when the fork is gone."""

    sha: Commit
    repo: GithubRepository | None = None


class GithubBase(BaseModel):
    """What it is to be merged into."""

    ref: Line


class GithubChange(BaseModel):
    """The pull request itself."""

    head: GithubHead
    base: GithubBase


class GithubPullRequest(BaseModel):
    """`pull_request`."""

    action: str
    repository: GithubRepository
    sender: GithubPerson
    pull_request: GithubChange


class GitlabProject(BaseModel):
    """Where it happened."""

    path_with_namespace: Line


class GitlabPush(BaseModel):
    """`Push Hook`."""

    object_kind: Literal["push"]
    ref: Line
    after: Commit
    user_username: Line | None = None
    user_name: Line
    project: GitlabProject
    commits: list[Commits]
    total_commits_count: int


class GitlabUser(BaseModel):
    """Who did it."""

    username: Line


class GitlabCommit(BaseModel):
    """A commit by its id."""

    id: Commit


class GitlabChange(BaseModel):
    """The merge request itself."""

    action: str = ""  # GitLab leaves it out of what it sends as a test
    oldrev: str | None = None  # there when an update brings commits
    target_branch: Line
    source_project_id: int
    target_project_id: int
    last_commit: GitlabCommit


class GitlabMergeRequest(BaseModel):
    """`Merge Request Hook`."""

    object_kind: Literal["merge_request"]
    user: GitlabUser
    project: GitlabProject
    object_attributes: GitlabChange


class Generic(BaseModel):
    """Our own form, for any other sender."""

    model_config = ConfigDict(extra="forbid")

    event: Line
    repository: Line
    branch: Line
    commit: Commit
    requester: Line
    paths: list[str] | None = None
