"""Snapshot: keep an environment as it is now."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.code import checked_out
from flows.settings import FLOW
from tasks.snapshots import final_environment, take_environment_snapshot_now


@flow(name="snapshot", **FLOW)
def snapshot(
    project: str,
    environment: str = "",
    label: str = "",
    reason: str = "scheduled",
    retention_days: int = 0,
    ref: str = "",
) -> dict[str, Any]:
    """Take a snapshot of an environment, with a manifest that proves what it holds.

    1. Dump from one exported transaction snapshot; count every table's rows and read the schema in it.
    2. Write the manifest, and the ledger.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        environment: Name of the environment in faber-db.toml; empty for the last in promotion order.
        label: A word to find it by.
        reason: Why it is taken.
        retention_days: How long it is kept; 0 for what the configuration says.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        environment = environment or final_environment(project)
        return take_environment_snapshot_now(project, environment, label, reason, retention_days)
