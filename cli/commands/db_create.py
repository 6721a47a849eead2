"""`faber-db db-create`: an environment's database."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import environment_argument, json_option, project_option


@click.command("db-create")
@environment_argument
@project_option
@json_option
def command(environment: str, project_dir: Path | None, as_json: bool) -> None:
    """Create ENV's database, or recognise an existing one; initialise the tool's tracking table."""
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.project import load_project
    from faberdb.provisioning import create_environment_database, provision_server

    project = load_project(project_dir)
    provision_server(project, project.environment(environment))
    with open_environment(project_dir, environment) as target:
        facts = create_environment_database(target, lambda note: click.echo(f"  {note}", err=True))
        name = target.dsn.database
    how = "created" if facts["created"] else "was there already"
    lines = [f"Database {name} {how}."]
    if facts["recognised"]:
        lines.append(f"Its schema is that of {facts['recognised'][-1]}: recorded as applied up to there.")
    lines += [f"{key}: {text}" for key, text in facts.get("initialised", {}).items()]
    lines.append(f"Next: faber-db migrate {environment}")
    show(facts | {"database": name}, "\n".join(lines), as_json)
