"""`faber-db down`: stop what faber-db runs on this machine for a project."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("down")
@project_option
@json_option
def command(project_dir: Path | None, as_json: bool) -> None:
    """Stop the project's embedded PostgreSQL, and what an interrupted command left. Nothing is deleted."""
    from cli.output import show
    from deployments.stack import end_leftovers, find_prefect
    from faberdb.embedded import stop_server
    from faberdb.errors import Refused
    from faberdb.project import load_project

    home = load_project(project_dir).home
    if find_prefect(home) is not None:
        raise Refused(
            "Another faber-db command is at work here.",
            next_step="end it (Ctrl-C where it runs), then: faber-db down",
        )
    end_leftovers(home)
    stopped = stop_server(home)
    text = f"The embedded PostgreSQL in {home} {'is stopped' if stopped else 'was not running'}."
    show({"home": str(home), "stopped": stopped}, text, as_json)
