"""`faber-db plan`: what would run."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import environment_argument, json_option, project_option, requester_option
from cli.person import person_typing


@click.command("plan")
@environment_argument
@click.option("--work-item", default="", metavar="FILE", help="The work item, relative to the project.")
@requester_option
@project_option
@json_option
def command(
    environment: str, work_item: str, person: str | None, project_dir: Path | None, as_json: bool
) -> None:
    """Show what would run in ENV, at what risk, and how it would be undone. Writes nothing."""
    show_plan(environment, work_item, person_typing(person), project_dir, as_json)


def show_plan(
    environment: str, work_item: str, requester: str, project_dir: Path | None, as_json: bool
) -> None:
    """Print the plan of an environment; a plan that policy forbids is shown, and then refused."""
    from cli.opening import open_environment
    from cli.output import show_markdown
    from faberdb.plan import plan_to_json
    from faberdb.release.opening import plan_target, refuse_blocked
    from faberdb.release.rehearsal import find_evidence
    from faberdb.report import plan_markdown
    from faberdb.workitem import title_of

    with open_environment(project_dir, environment) as target:
        change = title_of(target.project.root, work_item)
        plan = plan_target(target, change=change, requester=requester)
        evidence = find_evidence(target, plan.digest)
    show_markdown(plan_to_json(plan) | {"digest": plan.digest}, plan_markdown(plan, evidence), as_json)
    refuse_blocked(plan)
