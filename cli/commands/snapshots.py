"""`faber-db snapshots`: what there is to restore, how old it is, until when it is kept, and what is proven."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, field

from cli.options import json_option, project_option

if TYPE_CHECKING:
    from faberdb.project import Project
    from faberdb.proofs import Proven
    from faberdb.snapshot.manifest import Manifest
    from faberdb.snapshot.store import Unfinished


@click.command("snapshots")
@click.argument("environment", metavar="[ENV]", required=False)
@project_option
@json_option
def command(environment: str | None, project_dir: Path | None, as_json: bool) -> None:
    """List the snapshots of ENV, or of every environment, newest first."""
    from cli.opening import open_store
    from cli.output import show

    project, store = open_store(project_dir)
    chosen = project.environment(environment).name if environment else None
    every = store.list(project.name)
    manifests = tuple(m for m in every if chosen in {None, m.environment})
    whole = {m.id for m in every}
    left = [u for u in store.unfinished() if u.id not in whole]
    proofs = _proofs(project)
    value = {
        "snapshots": [_facts(m, proofs) for m in manifests],
        "unfinished": [{"id": u.id, "at": u.at, "resumable": u.resumable} for u in left],
        "proofs_known": proofs.known,
    }
    show(value, "\n".join([_table(manifests, proofs), *map(_unfinished_line, left)]), as_json)


class _Proofs(Struct, frozen=True, kw_only=True):
    """What the ledger has of snapshots, by their ids."""

    known: bool = True
    proven: Mapping[str, Proven] = field(default_factory=dict)
    refuted: Mapping[str, str] = field(default_factory=dict)

    def told(self, id_: str) -> str:
        from faberdb.status_page import ago

        if id_ in self.refuted:
            return "UNUSABLE"
        never = "never" if self.known else "unknown"
        return ago(self.proven[id_].at) if id_ in self.proven else never


def _proofs(project: Project) -> _Proofs:
    """What is known also where the ledger is away: on such a day the list is wanted most."""
    from faberdb.errors import FaberError
    from faberdb.proofs import proven_snapshots, refuted_snapshots
    from faberdb.target import open_project_ledger

    try:
        with open_project_ledger(project) as ledger:
            return _Proofs(proven=proven_snapshots(ledger), refuted=refuted_snapshots(ledger))
    except FaberError as error:
        click.echo(f"  What is proven is not known: {error.reason}", err=True)
        return _Proofs(known=False)


def _facts(manifest: Manifest, proofs: _Proofs) -> dict[str, Any]:
    from datetime import UTC, datetime

    proven = proofs.proven.get(manifest.id)
    return {
        "id": manifest.id,
        "environment": manifest.environment,
        "at": manifest.created_at,
        "age_s": round((datetime.now(UTC) - manifest.created_at).total_seconds()),
        "bytes": manifest.bytes,
        "rows": sum(manifest.row_counts.values()),
        "label": manifest.label,
        "reason": manifest.reason,
        "release": manifest.release_id,
        "retention_days": manifest.retention_days,
        "kept_until": manifest.kept_until,
        "proven_at": proven.at if proven else None,
        "unusable": proofs.refuted.get(manifest.id),
    }


def _table(manifests: tuple[Manifest, ...], proofs: _Proofs) -> str:
    from faberdb.snapshot.store.transfer import mib
    from faberdb.status_page import ago

    head = ("SNAPSHOT", "AGE", "SIZE", "ROWS", "KEPT UNTIL", "RESTORED AND COMPARED", "WHAT FOR")
    rows = [
        (
            m.id,
            ago(m.created_at).removesuffix(" ago"),
            mib(m.bytes),
            f"{sum(m.row_counts.values()):,}",
            f"{m.kept_until:%Y-%m-%d}",
            proofs.told(m.id),
            ": ".join(filter(None, (m.label, m.reason))),
        )
        for m in manifests
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(r, widths, strict=True)).rstrip() for r in (head, *rows)
    ]
    return "\n".join(lines) if rows else "No snapshots yet."


def _unfinished_line(left: Unfinished) -> str:
    from faberdb.status_page import ago

    after = (
        f"faber-db backup ENV --resume {left.id} goes on with it"
        if left.resumable
        else "faber-db prune removes it when nothing was written for seven days"
    )
    return f"Not finished: {left.id}, last written {ago(left.at)}; {after}"
