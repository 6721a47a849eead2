"""Snapshots outside a release: taken, brought back beside, and removed when their time is over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact

from faberdb.progress import silent
from faberdb.project import load_project
from faberdb.pruning import prune_environment
from faberdb.release.execution import take_environment_snapshot
from faberdb.release.restoration import restore_as
from faberdb.snapshot.store import new_snapshot_id
from tasks.policies import IDEMPOTENT, ONCE, READ
from tasks.resolving import environment_of


@task(**READ)
def chosen_environments(project: str, environment: str) -> list[str]:
    """The environment that was named, or every one of the project."""
    loaded = load_project(project)
    return [loaded.environment(environment).name] if environment else [e.name for e in loaded.environments]


@task(**READ)
def final_environment(project: str) -> str:
    """The last environment in promotion order."""
    return load_project(project).final_environment.name


@task(**ONCE)
def take_environment_snapshot_now(
    project: str, environment: str, label: str, reason: str, retention_days: int
) -> dict[str, Any]:
    """Take a snapshot of an environment as it is."""
    with environment_of(project, environment) as target:
        return take_environment_snapshot(
            target,
            new_snapshot_id(environment, datetime.now(UTC)),
            note=silent,
            label=label,
            reason=reason,
            retention_days=retention_days or None,
        )


@task(**ONCE)
def restore_beside(project: str, environment: str, snapshot: str, name: str) -> dict[str, Any]:
    """Restore a snapshot into a new database, and prove it."""
    with environment_of(project, environment) as target:
        return restore_as(target, snapshot, name, silent)


@task(**IDEMPOTENT)
def prune(project: str, environment: str, dry_run: bool) -> dict[str, Any]:
    """Remove what one environment's retention no longer keeps."""
    with environment_of(project, environment) as target:
        return prune_environment(target, silent, dry_run=dry_run).to_json()


@task(**IDEMPOTENT)
def publish_pruning(pruned: dict[str, dict[str, Any]], dry_run: bool) -> dict[str, Any]:
    """Say what went, or would go."""
    lines = [
        f"- **{environment}** {kind}: {', '.join(names)}"
        for environment, found in pruned.items()
        for kind, names in found.items()
        if names
    ]
    title = "Would be removed" if dry_run else "Removed"
    text = "\n".join(lines) or "Nothing: everything is within its retention."
    create_markdown_artifact(
        f"# {title}\n\n{text}\n", key="prune", description="What its retention no longer keeps"
    )
    return pruned
