"""`faber-db seed`: the project's own data."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import environment_argument, json_option, project_option


@click.command("seed")
@environment_argument
@project_option
@json_option
def command(environment: str, project_dir: Path | None, as_json: bool) -> None:
    """Fill ENV with the project's seed, where the configuration allows it."""
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.seeding import seed_environment

    with open_environment(project_dir, environment) as target:
        facts = seed_environment(target, lambda note: click.echo(f"  {note}", err=True))
    show(facts, f"Seeded {environment}: {facts['seeded']}.", as_json)
