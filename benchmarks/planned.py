"""What a plan holds of each revision: the locks that it needs. A release finds it, and makes it not itself."""

from __future__ import annotations

from pathlib import Path

from faberdb.release.stepping import wanted_locks
from faberdb.statements import parse_script
from faberdb.tools import open_tool


def plan_locks(folder: Path) -> dict[str, dict[str, str]]:
    """Of each revision in Prisma's folder: relations, and the mode in which each is locked."""
    revisions = open_tool("prisma", directory=folder, schema_file=None).revisions()
    return {r.name: wanted_locks(parse_script(r.script, source=r.name)) for r in revisions}
