"""What a release does with the Prisma tool to bring a database up to date; as a process of its own too."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from faberdb.budget import Budget
from faberdb.connection import connect, flushed_together
from faberdb.dsn import parse_dsn
from faberdb.history import pending
from faberdb.locking import Patience
from faberdb.progress import silent
from faberdb.tools import open_tool


def deploy(url: str, folder: Path, locks: Mapping[str, Mapping[str, str]]) -> None:
    """Apply all that is pending: the body of `faberdb.release.execution.apply_release`, without the ledger."""
    tool = open_tool("prisma", directory=folder, schema_file=None)
    revisions = tool.revisions()
    dsn, budget = parse_dsn(url, source="DATABASE_URL"), Budget()
    with connect(dsn, purpose="benchmark") as conn:
        tool.ensure_tracking(conn)
        patience = Patience(conn=conn, schema=dsn.schema, progress=silent)
        with tool.hold_lock(conn, timeout_s=15), flushed_together(conn):
            for revision in pending(revisions, tool.tracked(conn)):
                attempt = partial(tool.apply, conn, revision, budget, silent)
                patience.run(attempt, wanted=locks[revision.name], budget=budget)


if __name__ == "__main__":
    folder, plan = map(Path, sys.argv[1:])
    deploy(os.environ["DATABASE_URL"], folder, json.loads(plan.read_text()))
