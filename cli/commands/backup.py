"""`faber-db backup`: a snapshot of an environment."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import environment_argument, json_option, project_option


@click.command("backup")
@environment_argument
@click.option("--label", default="", help="A word to find it by.")
@click.option("--reason", default="by hand", help="Why it was taken.")
@click.option("--retention", type=int, default=None, metavar="DAYS", help="Default from the configuration.")
@project_option
@json_option
def command(
    environment: str, label: str, reason: str, retention: int | None, project_dir: Path | None, as_json: bool
) -> None:
    """Take a snapshot of ENV with a manifest: checksums, schema fingerprint, rows of every table."""
    from datetime import UTC, datetime

    from cli.opening import open_environment
    from cli.output import show
    from faberdb.release.execution import take_environment_snapshot
    from faberdb.snapshot.store import new_snapshot_id

    with open_environment(project_dir, environment) as target:
        facts = take_environment_snapshot(
            target,
            new_snapshot_id(environment, datetime.now(UTC)),
            label=label,
            reason=reason,
            retention_days=retention,
            note=lambda note: click.echo(f"  {note}", err=True),
        )
    text = (
        f"Snapshot {facts['snapshot']}: {facts['rows']:,} rows, {facts['bytes']:,} bytes.\n"
        f"To restore it beside: faber-db restore {environment} --from {facts['snapshot']} --as NAME"
    )
    show(facts, text, as_json)
