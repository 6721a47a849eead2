"""`faber-db rollback`: taking a release back by hand."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import environment_argument, json_option, project_option, requester_option
from cli.person import person_typing


@click.command("rollback")
@environment_argument
@click.option("--release", default="", metavar="ID", help="Default: the environment's newest release.")
@click.option("--reason", default="", help="Kept in the ledger.")
@click.option("--dry-run", is_flag=True, help="Say what would be undone and lost; change nothing.")
@requester_option
@project_option
@json_option
def command(
    environment: str,
    release: str,
    reason: str,
    dry_run: bool,
    person: str | None,
    project_dir: Path | None,
    as_json: bool,
) -> None:
    """Take ENV's newest release back. The database as it is now is kept under another name."""
    from cli.running import run_deployment
    from faberdb.project import load_project

    project = load_project(project_dir)
    if dry_run:
        _preview(project_dir, environment, release, as_json)
        return
    parameters = {
        "project": str(project.root),
        "environment": environment,
        "release": release,
        "requester": person_typing(person),
        "cause": reason,
    }
    run_deployment(project, "rollback/faber-db", parameters, as_json=as_json)


def _preview(project_dir: Path | None, environment: str, release: str, as_json: bool) -> None:
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.release.rollback import find_release, preview_undo

    with open_environment(project_dir, environment) as target:
        record = find_release(target, release)
        facts = preview_undo(target, record)
    lines = [f"{key.replace('_', ' ')}: {value}" for key, value in facts.items()]
    show(facts, "\n".join(lines), as_json)
