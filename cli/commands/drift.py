"""`faber-db drift`: is a schema what the last release left, and if not, what then?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import environment_argument, json_option, project_option

if TYPE_CHECKING:
    from faberdb.settling import Settlement


class _LookByDefault(click.Group):
    """`faber-db drift [ENV]` looks; `faber-db drift adopt ENV` and `revert ENV` write a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, "--help", "-h"}:
            args = ["look", *args]
        return super().parse_args(ctx, args)


@click.group("drift", cls=_LookByDefault, subcommand_metavar="[ENV] | adopt ENV | revert ENV")
def command() -> None:
    """Compare environments with what was released there.

    A release that waits for people refuses to start on drift. Adopt it: a revision brings the others up to the
    database. Or revert it: a script, run with the next release like a revision of this environment alone.
    """


@command.command("look")
@click.argument("environment", metavar="[ENV]", required=False)
@click.option("--since", default="", metavar="RELEASE", help="Compare with what this release left.")
@project_option
@json_option
def look(environment: str | None, since: str, project_dir: Path | None, as_json: bool) -> int:
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


@command.command("adopt")
@environment_argument
@project_option
@json_option
def adopt(environment: str, project_dir: Path | None, as_json: bool) -> None:
    """Write a revision that brings the others up to ENV's database, proven on a copy of its schema.

    Elsewhere it runs like any revision; in ENV, which has its outcome already, it is only recorded.
    """
    from cli.opening import open_environment
    from faberdb.settling import adopt as write

    with open_environment(project_dir, environment) as target:
        written = write(target)
    _tell(written, environment, as_json)


@command.command("revert")
@environment_argument
@project_option
@json_option
def revert(environment: str, project_dir: Path | None, as_json: bool) -> None:
    """Write a script that brings ENV's database back to what was released, proven on a copy of its schema.

    It becomes the first step of ENV's next plan, which is approved like any other.
    """
    from cli.opening import open_environment
    from faberdb.settling import revert as write

    with open_environment(project_dir, environment) as target:
        written = write(target)
    _tell(written, environment, as_json)


def _tell(written: Settlement, environment: str, as_json: bool) -> None:
    from cli.output import show

    lines = [f"wrote {written.path}: {written.statements} statements, proven on a copy of the schema"]
    if written.destroys:
        lines.append(f"  it drops {', '.join(written.destroys)}, with what is in there")
    lines.append(f"Next: read it, commit it, then: faber-db plan {environment}")
    value = {"path": str(written.path), "statements": written.statements, "destroys": list(written.destroys)}
    show(value, "\n".join(lines), as_json)
