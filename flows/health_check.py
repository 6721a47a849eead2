"""Health check: are the environments well?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.code import checked_out
from flows.settings import FLOW
from tasks.snapshots import chosen_environments
from tasks.watching import look_at_health, publish_health


@flow(name="health-check", **FLOW)
def health_check(project: str, environment: str = "", ref: str = "") -> dict[str, Any]:
    """Examine environments; an unhealthy one fails the run, so that automations and people hear of it.

    1. Look at connectivity, revisions, the schema, performance, safety and maintenance of each, keep what was
       seen, and compare it with the look before.
    2. Publish what is not well, what moved, and every figure.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        environment: Name of the environment in faber-db.toml; empty for every one.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        names = chosen_environments(project, environment)
        return publish_health([look_at_health(project, name) for name in names])
