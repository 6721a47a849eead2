"""`faber-db drift`: is a schema what the last release left?"""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("drift")
@click.argument("environment", metavar="[ENV]", required=False)
@click.option("--since", default="", metavar="RELEASE", help="Compare with what this release left.")
@project_option
@json_option
def command(environment: str | None, since: str, project_dir: Path | None, as_json: bool) -> int:
    """Compare ENV, or every environment, with what its last release left; changes nothing.

    Exit code 0 when all are as they were left, 1 when one drifted.
    """
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.drift import compare
    from faberdb.project import load_project

    if since and not environment:
        raise click.UsageError("--since compares one environment with its release: name ENV.")
    names = [environment] if environment else [e.name for e in load_project(project_dir).environments]
    found = []
    for name in names:
        with open_environment(project_dir, name) as target:
            found.append(compare(target, since=since))
    show(
        {"environments": [drift.to_json() for drift in found]},
        "\n".join(drift.text for drift in found),
        as_json,
    )
    return 1 if any(drift.drifted for drift in found) else 0
