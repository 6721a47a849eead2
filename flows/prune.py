"""Prune: remove what its retention no longer keeps."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.code import checked_out
from flows.settings import FLOW
from tasks.snapshots import chosen_environments, publish_pruning
from tasks.snapshots import prune as prune_environment


@flow(name="prune", **FLOW)
def prune(project: str, environment: str = "", dry_run: bool = False, ref: str = "") -> dict[str, Any]:
    """Remove old snapshots and databases that rollbacks set aside; never what something may still need.

    1. Choose: past its retention, not the newest, not needed by an open release or the last one's undo.
    2. Write the choice into the ledger, then remove it.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        environment: Name of the environment in faber-db.toml; empty for every one.
        dry_run: Choose and show, remove nothing.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        names = chosen_environments(project, environment)
        return publish_pruning({name: prune_environment(project, name, dry_run) for name in names}, dry_run)
