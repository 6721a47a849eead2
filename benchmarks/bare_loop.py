"""The least that applies revisions and remembers them: psycopg, a loop, and a transaction a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg

TRACKING_TABLE = "bare_loop_applied"


def deploy(url: str, folder: Path) -> None:
    """Apply all that is pending. No lock, no time-outs, no checksums, no record of a failure."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE TABLE IF NOT EXISTS {TRACKING_TABLE} (name text PRIMARY KEY, at timestamptz)")
        applied = {name for (name,) in conn.execute(f"SELECT name FROM {TRACKING_TABLE}")}
        for file in sorted(folder.glob("*/migration.sql")):
            if file.parent.name in applied:
                continue
            with conn.transaction():
                conn.execute(file.read_bytes())
                conn.execute(f"INSERT INTO {TRACKING_TABLE} VALUES (%s, now())", (file.parent.name,))


if __name__ == "__main__":
    deploy(os.environ["DATABASE_URL"], Path(sys.argv[1]))
