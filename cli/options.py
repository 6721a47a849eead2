"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

project_option = click.option(
    "--project",
    "project_dir",
    type=click.Path(path_type=Path, exists=True),
    envvar="FABER_DB_PROJECT",
    help="The project's folder. Default: the nearest configuration upward.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
environment_argument = click.argument("environment", metavar="ENV")
requester_option = click.option(
    "--as", "person", metavar="NAME", help="Who you are. Default: git's user.name."
)
