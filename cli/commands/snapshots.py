"""`faber-db snapshots`: what there is to restore."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("snapshots")
@click.argument("environment", metavar="[ENV]", required=False)
@project_option
@json_option
def command(environment: str | None, project_dir: Path | None, as_json: bool) -> None:
    """List snapshots, newest first."""
    from cli.opening import given_to
    from cli.output import show
    from faberdb.project import load_project
    from faberdb.target import store_of

    project = load_project(project_dir)
    first = project.environments[0]  # the store is the project's
    found = store_of(project, given_to(project, [first])[first.name]).list(project.name, environment)
    rows = [
        {
            "id": m.id,
            "environment": m.environment,
            "at": m.created_at,
            "bytes": m.bytes,
            "rows": sum(m.row_counts.values()),
            "label": m.label,
            "reason": m.reason,
        }
        for m in found
    ]
    lines = [
        f"{r['id']}  {r['rows']:>10,} rows  {r['bytes']:>12,} bytes  {r['label'] or r['reason']}"
        for r in rows
    ]
    show({"snapshots": rows}, "\n".join(lines) or "No snapshots yet.", as_json)
