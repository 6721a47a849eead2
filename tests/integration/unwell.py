"""A server of the health tests' own: with pg_stat_statements, and where nobody vacuums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.embedded import start_server, stop_server


@contextmanager
def unwell_server(folder: Path) -> Iterator[Dsn]:
    folder.mkdir(exist_ok=True)
    with connect(start_server(folder), purpose="test") as conn:
        conn.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        conn.execute("ALTER SYSTEM SET autovacuum = off")
        conn.execute("ALTER SYSTEM SET fsync = off")
    stop_server(folder)
    yield start_server(folder)
    stop_server(folder)
