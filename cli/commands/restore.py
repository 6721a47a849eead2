"""`faber-db restore`: a snapshot, beside the live database or in its place."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import environment_argument, json_option, project_option
from cli.person import person_typing


@click.command("restore")
@environment_argument
@click.option(
    "--from", "snapshot", required=True, metavar="ID", help="The snapshot; faber-db snapshots lists them."
)
@click.option("--as", "name", default="", metavar="NAME", help="Restore beside, into a new database NAME.")
@click.option("--requester", "person", metavar="NAME", help="Who you are. Default: git's user.name.")
@project_option
@json_option
def command(
    environment: str, snapshot: str, name: str, person: str | None, project_dir: Path | None, as_json: bool
) -> None:
    """Restore a snapshot of ENV and prove it. Without --as it takes the live database's place, with approval
    where the environment asks for it; the database as it is now is kept under another name.
    """
    from cli.running import run_deployment
    from faberdb.project import load_project

    if name:
        _beside(project_dir, environment, snapshot, name, as_json)
        return
    project = load_project(project_dir)
    parameters = {
        "project": str(project.root),
        "environment": environment,
        "snapshot": snapshot,
        "requester": person_typing(person),
    }
    run_deployment(project, "restore/faber-db", parameters, as_json=as_json)


def _beside(project_dir: Path | None, environment: str, snapshot: str, name: str, as_json: bool) -> None:
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.release.restoration import restore_as

    with open_environment(project_dir, environment) as target:
        facts = restore_as(target, snapshot, name, lambda note: click.echo(f"  {note}", err=True))
    text = f"Restored {snapshot} into {name}: schema and rows of every table equal the manifest."
    show(facts, text, as_json)
