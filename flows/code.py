"""Where a flow's project is: the folder it was given, or a checkout of its own at one commit."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.runtime import flow_run

from faberdb.source import folder_for_run, is_git_url, refuse_ref_of_folder, remove_checkout
from tasks.sourcing import check_out, pin_commit


@contextmanager
def checked_out(project: str, ref: str) -> Iterator[str]:
    """Work in the project's folder; a git URL is checked out for the block's time, however it ends.

    A run that waits for a person has no checkout meanwhile. Afterwards it has the same commit, for it was
    pinned once.
    """
    if not is_git_url(project):
        refuse_ref_of_folder(project, ref)
        yield project
        return
    commit = pin_commit(project, ref)
    # Resumed at once, the run would find a folder of its name still being removed by the process before.
    folder = folder_for_run(project, f"{flow_run.id}-{secrets.token_hex(3)}")
    try:
        check_out(project, commit, str(folder))
        yield str(folder)
    finally:
        remove_checkout(folder)
