"""`faber-db migrate`: a release into one environment."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import environment_argument, json_option, project_option, requester_option
from cli.person import person_typing


@click.command("migrate")
@environment_argument
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show the plan, and prove that nothing was written.",
)
@click.option("--work-item", default="", metavar="FILE", help="The work item, relative to the project.")
@click.option("--skip-backup", is_flag=True, help="Take no snapshot, where the policy allows that.")
@click.option("--skip-health-check", is_flag=True, help="Look at no health, where the policy allows that.")
@requester_option
@project_option
@json_option
def command(
    environment: str,
    dry_run: bool,
    work_item: str,
    skip_backup: bool,
    skip_health_check: bool,
    person: str | None,
    project_dir: Path | None,
    as_json: bool,
) -> None:
    """Release ENV's pending revisions: health, snapshot, approval, apply, verify, or take back."""
    from cli.commands.plan import show_plan
    from cli.running import run_deployment
    from faberdb.policy import refuse_skips
    from faberdb.project import load_project

    project = load_project(project_dir)
    policy = project.environment(environment).policy
    refuse_skips(policy, environment, backup=skip_backup, health=skip_health_check)
    requester = person_typing(person)
    if dry_run:
        show_plan(environment, work_item, requester, project_dir, as_json, prove=True)
        return
    parameters = {
        "project": str(project.root),
        "environment": environment,
        "work_item": work_item,
        "requester": requester,
        "skip_backup": skip_backup,
        "skip_health_check": skip_health_check,
    }
    run_deployment(project, "release/faber-db", parameters, as_json=as_json)
