"""Restore: bring a snapshot back, beside the live database or in its place."""

from __future__ import annotations

from typing import Any

from prefect import flow

from faberdb.release.going_back import Part
from flows.code import checked_out
from flows.rollback import take_back_part
from flows.settings import FLOW
from tasks.snapshots import restore_beside


@flow(name="restore", **FLOW)
def restore(
    project: str, environment: str, snapshot: str, beside: str = "", requester: str = "", ref: str = ""
) -> dict[str, Any]:
    """Restore a snapshot of an environment and prove it; the live database is kept under another name.

    1. Beside: restore into a new database, compare it with the manifest, and that is the end.
    2. In its place: wait for a person where one is asked for.
    3. Restore beside, exchange the names, count the rows that came after, verify.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        environment: Name of the environment in faber-db.toml.
        snapshot: Id of the snapshot; `faber-db snapshots` lists them.
        beside: Name of a new database to restore into; empty to take the live database's place.
        requester: Who asks; never the one who approves.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        if beside:
            return restore_beside(project, environment, snapshot, beside)
        return take_back_part(project, environment, Part(snapshot=snapshot), requester, "")
