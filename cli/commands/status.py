"""`faber-db status`: every environment on one screen."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("status")
@click.argument("environment", metavar="[ENV]", required=False)
@project_option
@json_option
def command(environment: str | None, project_dir: Path | None, as_json: bool) -> None:
    """Show revisions, last release, snapshots and what waits, for all environments or one."""
    from cli.opening import given_to
    from faberdb.embedded import start_server
    from faberdb.look import begin_looks
    from faberdb.project import load_project

    project = load_project(project_dir)
    chosen = [project.environment(environment)] if environment else list(project.environments)
    if project.uses_embedded:
        start_server(project.home)
    looks = begin_looks(project, chosen, given_to(project, chosen))

    # While the servers answer.
    from cli.output import show
    from faberdb.status import read_status
    from faberdb.status_page import status_page

    statuses = read_status(project, looks)
    value = {"project": project.name, "environments": [s.to_json() for s in statuses]}
    show(value, "\n".join(status_page(s) for s in statuses), as_json)
