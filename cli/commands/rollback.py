"""`faber-db rollback`: taking a release back by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cli.options import environment_argument, json_option, project_option, requester_option
from cli.person import person_typing


@click.command("rollback")
@environment_argument
@click.option("--release", default="", metavar="ID", help="Default: the environment's newest release.")
@click.option("--to", default="", metavar="REVISION", help="Until this revision is the last applied one.")
@click.option(
    "--from", "snapshot", default="", metavar="SNAPSHOT", help="Until this snapshot is what is live."
)
@click.option("--reason", default="", help="Kept in the ledger.")
@click.option("--dry-run", is_flag=True, help="Say what would be undone and lost; change nothing.")
@requester_option
@project_option
@json_option
def command(
    environment: str,
    release: str,
    to: str,
    snapshot: str,
    reason: str,
    dry_run: bool,
    person: str | None,
    project_dir: Path | None,
    as_json: bool,
) -> None:
    """Take ENV's newest release back, or all of them back to a revision or a snapshot. A safety snapshot comes
    first, and nothing is deleted: what would be lost is kept in a database under another name.
    """
    from cli.running import run_deployment
    from faberdb.project import load_project

    if len([x for x in (release, to, snapshot) if x]) > 1:
        raise click.UsageError("--release, --to and --from are three places to go back to; one is wanted.")
    project = load_project(project_dir)
    if dry_run:
        _preview(project_dir, environment, (release, to, snapshot), as_json)
        return
    parameters = {
        "project": str(project.root),
        "environment": environment,
        "release": release,
        "requester": person_typing(person),
        "cause": reason,
        "to": to,
        "snapshot": snapshot,
    }
    run_deployment(project, "rollback/faber-db", parameters, as_json=as_json)


def _preview(project_dir: Path | None, environment: str, wanted: tuple[str, str, str], as_json: bool) -> None:
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.release.going_back import way_to
    from faberdb.release.undo_preview import preview_parts

    release, to, snapshot = wanted
    with open_environment(project_dir, environment) as target:
        found = preview_parts(target, way_to(target, release=release, revision=to, snapshot=snapshot))
    text = "\n\n".join("\n".join(_lines(part)) for part in found)
    show(found[0] if len(found) == 1 else {"parts": found}, text, as_json)


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    for key, value in facts.items():
        name = key.replace("_", " ")
        if key == "statements":
            yield from (f"{name}:", *(f"  {statement};" for statement in value))
        elif isinstance(value, dict):
            yield f"{name}: {'; '.join(f'{k}: {v}' for k, v in value.items()) or 'none'}"
        else:
            yield f"{name}: {', '.join(value) if isinstance(value, list) else value}"
