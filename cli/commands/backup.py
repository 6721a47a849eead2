"""`faber-db backup`: a snapshot of an environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import environment_argument, json_option, project_option

if TYPE_CHECKING:
    from faberdb.snapshot.store import SnapshotStore


@click.command("backup")
@environment_argument
@click.option("--label", default="", help="A word to find it by.")
@click.option("--reason", default="by hand", help="Why it was taken.")
@click.option("--retention", type=int, default=None, metavar="DAYS", help="Default from the configuration.")
@click.option(
    "--resume", "left", default="", metavar="SNAPSHOT", help="Go on with one whose upload was cut off."
)
@click.option(
    "--format",
    type=click.Choice(["directory"]),
    default="directory",
    help="pg_dump's compressed directory format, which restores in parallel; there is no other.",
)
@project_option
@json_option
def command(
    environment: str,
    label: str,
    reason: str,
    retention: int | None,
    left: str,
    format: str,  # noqa: A002  # the option's name
    project_dir: Path | None,
    as_json: bool,
) -> None:
    """Take a snapshot of ENV with a manifest: checksums, schema fingerprint, rows of every table."""
    from datetime import UTC, datetime

    from cli.opening import open_environment
    from cli.output import show
    from faberdb.release.execution import take_environment_snapshot
    from faberdb.snapshot.store import new_snapshot_id

    with open_environment(project_dir, environment) as target:
        if left:
            _require_resumable(target.store, environment, left)
        id_ = left or new_snapshot_id(environment, datetime.now(UTC))
        with _resumed_by_id(target.store, environment, id_):
            facts = take_environment_snapshot(
                target,
                id_,
                label=label,
                reason=reason,
                retention_days=retention,
                note=lambda note: click.echo(f"  {note}", err=True),
            )
    text = (
        f"Snapshot {facts['snapshot']}: {facts['rows']:,} rows, {facts['bytes']:,} bytes.\n"
        f"To prove it: faber-db verify {facts['snapshot']} --level restore\n"
        f"To restore it beside: faber-db restore {environment} --from {facts['snapshot']} --as NAME"
    )
    show(facts, text, as_json)


def _require_resumable(store: SnapshotStore, environment: str, id_: str) -> None:
    from faberdb.errors import Refused

    if not store.resumable(id_):
        raise Refused(
            f"There is nothing of {id_!r} here to go on with.",
            why="It is complete, or was taken on another machine, or its dump had not ended.",
            next_step=f"faber-db snapshots {environment}, or faber-db backup {environment}",
        )


@contextmanager
def _resumed_by_id(store: SnapshotStore, environment: str, id_: str) -> Iterator[None]:
    """The same command again would take another snapshot; its dump is here already."""
    from faberdb.errors import Transient

    try:
        yield
    except Transient as error:
        if store.resumable(id_):
            error.next_step = f"faber-db backup {environment} --resume {id_}"
        raise
