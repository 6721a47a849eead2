"""Rescuing what the undo of one release set aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faberdb.databases import database_exists
from faberdb.errors import Refused
from faberdb.progress import Progress
from faberdb.release.record import read_release
from faberdb.rescue import require_output, rescue
from faberdb.rescue_files import Format, RescueFiles
from faberdb.target import Target


def rescue_release(
    target: Target, release: str, folder: Path, form: Format, progress: Progress
) -> dict[str, Any]:
    """Write the rows of the database that was set aside when a release was taken back.

    Returns:
        The tables with something to tell, and the files.

    Raises:
        Refused: nothing was set aside, it is gone, or the folder is in use.
    """
    record = read_release(target.ledger, release)
    swapped, in_place = record.done("swap") or {}, record.done("undo in place") or {}
    aside = str(swapped.get("aside") or in_place.get("aside") or "")
    if not aside:
        raise Refused(
            f"Release {release} set nothing aside.",
            why=f"It is {record.state}" + (", in place, and every row stayed." if in_place else "."),
            next_step=f"faber-db ledger --release {release}",
        )
    if not database_exists(target.dsn.with_database(aside)):
        raise Refused(
            f"The database {aside!r} that {release} set aside is gone.",
            why="Its retention ended and it was pruned, or somebody dropped it.",
            next_step=f"faber-db snapshots {target.name}; a safety snapshot may hold the rows",
        )
    require_output(folder)
    files = RescueFiles(folder=folder, format=form)
    found = rescue(
        target.dsn.with_database(aside),
        target.dsn,
        files,
        leave_out=target.tool.tracking_tables,
        partial=not swapped,
        progress=progress,
    )
    return {
        "release": release,
        "aside": aside,
        "tables": [t.to_json() for t in found],
        "files": [str(path) for path in files.written],
    }
