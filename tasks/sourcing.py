"""From a git URL to a clean folder with one commit's files."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from blocks.loading import git_login
from faberdb.source import checkout, mirrors_folder, parse_git_url, pin, require_fit
from tasks.policies import CHOICE, IDEMPOTENT


@task(**CHOICE)
def pin_commit(project: str, ref: str) -> str:
    """The commit that the run works on, from its first step to its last."""
    return pin(project, ref, mirrors_folder(), git_login(parse_git_url(project)))


@task(**IDEMPOTENT)
def check_out(project: str, commit: str, folder: str) -> None:
    """Fill the folder with the commit's files, and see that it is a project of its own."""
    checkout(project, commit, Path(folder), mirrors_folder(), git_login(parse_git_url(project)))
    require_fit(Path(folder), commit)
