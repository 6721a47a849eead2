"""`faber-db deploy`: tell a Prefect that runs elsewhere what there is to run."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("deploy")
@project_option
@json_option
def command(project_dir: Path | None, as_json: bool) -> None:
    """Register deployments, block types and automations with the Prefect that PREFECT_API_URL names.

    The forms begin with this project and offer its environments.
    """
    import os

    from cli.output import show
    from deployments.registration import register_deployments
    from deployments.stack import BEAT_S, find_prefect
    from faberdb.errors import Refused
    from faberdb.project import load_project

    project = load_project(project_dir)
    api = find_prefect(project.home)
    if api is None:
        raise Refused(
            "No Prefect is known here.",
            next_step="export PREFECT_API_URL=http://HOST:4200/api, or run one here: faber-db up",
        )
    env = {**os.environ, "PREFECT_API_URL": api.url, "FABER_DB_PROJECT": str(project.root)}
    (project.home / "prefect" / "deployed").unlink(missing_ok=True)
    register_deployments(project.home, env, api, project.root, automations=True, beat_s=BEAT_S)
    text = f"Registered with {api.url}: deployments, block types, automations. Workers need the heartbeat"
    show({"api": api.url}, f"{text} PREFECT_FLOWS_HEARTBEAT_FREQUENCY={BEAT_S}.", as_json)
