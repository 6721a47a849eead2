"""Drift: is every schema what the last release left?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.code import checked_out
from flows.settings import FLOW
from tasks.snapshots import chosen_environments
from tasks.watching import look_for_drift_in, publish_drift


@flow(name="drift", **FLOW)
def drift(project: str, environment: str = "", ref: str = "") -> dict[str, Any]:
    """Compare schemas with what the last release left; an event tells when drift appears and when it goes.

    1. Read each schema's fingerprint and the ledger's.
    2. Publish what differs.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        environment: Name of the environment in faber-db.toml; empty for every one.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        names = chosen_environments(project, environment)
        return publish_drift([look_for_drift_in(project, name) for name in names])
