"""What a release does with the Prisma tool to bring a database up to date; as a process of its own too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from faberdb.budget import Budget
from faberdb.connection import connect, flushed_together
from faberdb.dsn import parse_dsn
from faberdb.history import pending
from faberdb.progress import silent
from faberdb.tools import open_tool


def deploy(url: str, folder: Path) -> None:
    """Apply all that is pending: the body of `faberdb.release.execution.apply_release`, without the ledger."""
    tool = open_tool("prisma", directory=folder, schema_file=None)
    revisions = tool.revisions()
    with connect(parse_dsn(url, source="DATABASE_URL"), purpose="benchmark") as conn:
        tool.ensure_tracking(conn)
        with tool.hold_lock(conn, timeout_s=15), flushed_together(conn):
            for revision in pending(revisions, tool.tracked(conn)):
                tool.apply(conn, revision, Budget(), silent)


if __name__ == "__main__":
    deploy(os.environ["DATABASE_URL"], Path(sys.argv[1]))
