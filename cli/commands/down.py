"""`faber-db down`: stop what faber-db runs on this machine for a project."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("down")
@project_option
@json_option
def command(project_dir: Path | None, as_json: bool) -> None:
    """Stop faber-db up, the project's embedded PostgreSQL, and what an interrupted command left. Nothing is
    deleted: what waits for approval goes on waiting.
    """
    from cli.output import show
    from deployments.processes import end_leftovers
    from deployments.stack_state import is_ours, remembered
    from deployments.supervisor import end_supervised
    from faberdb.embedded import stop_server
    from faberdb.errors import Refused
    from faberdb.project import load_project

    home = load_project(project_dir).home
    ended = end_supervised(home)
    if is_ours(remembered(home).owner):
        raise Refused(
            "Another faber-db command is at work here.",
            next_step="end it (Ctrl-C where it runs), then: faber-db down",
        )
    end_leftovers(home)
    stopped = stop_server(home) or ended
    text = "faber-db up is ended. " if ended else ""
    text += f"The embedded PostgreSQL in {home} {'is stopped' if stopped else 'was not running'}."
    show({"home": str(home), "stopped": stopped, "up": ended}, text, as_json)
