"""Seed: fill an environment as the project says."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.code import checked_out
from flows.settings import FLOW
from tasks.environments import seed as seed_environment


@flow(name="seed", **FLOW)
def seed(project: str, environment: str, ref: str = "") -> dict[str, Any]:
    """Fill an environment's database, where the configuration allows it.

    1. Run the project's seed, and keep in the ledger what schema it left.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        environment: Name of the environment in faber-db.toml; never a protected one by default.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        return seed_environment(project, environment)
