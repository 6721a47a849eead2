"""`faber-db verify`: the proof of a snapshot."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("verify")
@click.argument("snapshot")
@click.option(
    "--level",
    type=click.Choice(["manifest", "restore"]),
    default="manifest",
    show_default=True,
    help="manifest: every file is compared with its checksum and the archive's listing is read. restore: it is"
    " restored beside the live database, its schema and rows are compared, and the copy is dropped again.",
)
@project_option
@json_option
def command(snapshot: str, level: str, project_dir: Path | None, as_json: bool) -> None:
    """Prove SNAPSHOT and write the proof into the ledger. One that is corrupt, truncated, missing or of
    something else is refused by name, with exit code 3.
    """
    from cli.opening import open_environment, open_store
    from cli.output import show
    from faberdb.verifying import Level, require_of_project, verify_snapshot

    project, store = open_store(project_dir)
    manifest = store.manifest(snapshot)
    require_of_project(project, manifest)
    with open_environment(project_dir, manifest.environment) as target:
        facts = verify_snapshot(
            target, snapshot, Level(level), lambda note: click.echo(f"  {note}", err=True)
        )
    lines = [f"Snapshot {snapshot} of {manifest.environment} is good ({level}, {facts['seconds']} s):"]
    lines += [f"  {detail}" for detail in facts["details"]]
    show(facts, "\n".join(lines), as_json)
