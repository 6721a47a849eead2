"""`faber-db run`: the pipeline."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option, requester_option
from cli.person import person_typing


@click.command("run")
@click.option("--work-item", default="", metavar="FILE", help="The work item, relative to the project.")
@click.option(
    "--autonomy",
    type=click.Choice(["dry-run", "assist", "guarded", "autonomous"]),
    default="guarded",
    show_default=True,
    help="How much is done without asking.",
)
@requester_option
@project_option
@json_option
def command(
    work_item: str, autonomy: str, person: str | None, project_dir: Path | None, as_json: bool
) -> None:
    """Take a change through Frame, Architect, Build, Evaluate and Release."""
    from cli.running import run_deployment
    from faberdb.framing import read_item
    from faberdb.project import load_project

    project = load_project(project_dir)
    item = read_item(project.root, work_item)
    parameters = {
        "project": str(project.root),
        "work_item": work_item,
        "requester": person or (item.requester if item else "") or person_typing(None),
        "autonomy": autonomy,
    }
    run_deployment(project, "pipeline/faber-db", parameters, as_json=as_json)
