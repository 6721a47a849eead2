"""`faber-db ledger`: what happened, and whether the record is whole."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import click

from cli.options import json_option, project_option


@click.command("ledger")
@click.option("--release", default=None, metavar="ID", help="Only this release.")
@click.option("--environment", default=None, metavar="ENV", help="Only this environment.")
@click.option("--kind", default=None, help="Only entries of this kind, such as release.closed.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="The newest so many."
)
@click.option("--verify", is_flag=True, help="Walk the whole chain; exit code 1 if it is broken.")
@project_option
@json_option
def command(
    release: str | None,
    environment: str | None,
    kind: str | None,
    limit: int,
    verify: bool,
    project_dir: Path | None,
    as_json: bool,
) -> int:
    """Show the ledger's entries, oldest first."""
    from cli.output import show
    from faberdb.ledger import Kind
    from faberdb.project import load_project
    from faberdb.target import open_project_ledger

    if kind is not None and kind not in list(Kind):
        raise click.BadParameter(f"one of {', '.join(Kind)}", param_hint="--kind")
    with open_project_ledger(load_project(project_dir)) as ledger:
        if verify:
            report = ledger.verify()
            whole = report.broken_at is None
            text = f"{report.entries} entries, " + (
                "the chain is whole." if whole else "the chain is BROKEN "
            )
            text += "" if whole else f"at entry {report.broken_at}: {report.reason}."
            show(
                {"entries": report.entries, "broken_at": report.broken_at, "reason": report.reason},
                text,
                as_json,
            )
            return 0 if whole else 1
        kinds = (Kind(kind),) if kind else ()
        newest = ledger.newest_first(*kinds, release=release, environment=environment)
        found = list(islice(newest, limit))
    rows = [
        {"seq": e.seq, "at": e.at.isoformat(), "kind": e.kind.value, "release": e.release, "actor": e.actor}
        | {"environment": e.environment, "body": e.body, "hash": e.hash}
        for e in reversed(found)
    ]
    show({"entries": rows}, "\n".join(_line(r) for r in rows) or "The ledger is empty.", as_json)
    return 0


def _line(row: dict[str, Any]) -> str:
    body = row["body"]
    gist = body.get("step") or body.get("outcome") or body.get("decision") or body.get("phase") or ""
    more = body.get("what") or body.get("note") or body.get("cause") or ""
    return f"{row['seq']:>6}  {row['at'][:19]}  {row['kind']:<16} {row['release'][:44]:<44} {gist} {more}".rstrip()
