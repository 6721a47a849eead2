"""`faber-db prune`: what its retention no longer keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import json_option, project_option

if TYPE_CHECKING:
    from faberdb.pruning import Pruning


@click.command("prune")
@click.argument("environment", metavar="[ENV]", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@project_option
@json_option
def command(environment: str | None, dry_run: bool, project_dir: Path | None, as_json: bool) -> None:
    """Remove snapshots of ENV, or of every environment, that are past their retention, databases that were set
    aside, and what processes that died left. Never the newest snapshot, the newest that a restore proved, or
    one that an open release or the newest one's undo needs.
    """
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.project import load_project
    from faberdb.pruning import prune_environment

    project = load_project(project_dir)
    names = [project.environment(environment).name] if environment else [e.name for e in project.environments]
    found = {}
    for name in names:
        with open_environment(project_dir, name) as target:
            found[name] = prune_environment(
                target, lambda note: click.echo(f"  {note}", err=True), dry_run=dry_run
            )
    value = {"dry_run": dry_run, "environments": {name: p.to_json() for name, p in found.items()}}
    show(value, "\n".join(_lines(found, dry_run=dry_run)), as_json)


def _lines(found: Mapping[str, Pruning], *, dry_run: bool) -> Iterator[str]:
    verb = "would remove" if dry_run else "removed"
    for name, pruning in found.items():
        gone = [
            *(f"the snapshot {s}" for s in pruning.snapshots),
            *(f"what was left of {u}" for u in pruning.unfinished),
            *(f"the set-aside database {d}" for d in pruning.databases),
        ]
        yield from (f"{name}: {verb} {what}" for what in gone)
        if not gone:
            yield f"{name}: nothing to remove"
        yield from (f"{name}: kept past its retention: {s}, {why}" for s, why in pruning.kept.items())
