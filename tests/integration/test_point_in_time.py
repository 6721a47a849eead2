"""A server that archives its WAL: the plan says that the moment will be named, and the release names it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.embedded import start_server, stop_server
from faberdb.point_in_time import recoverable


@pytest.fixture
def archiving(tmp_path: Path) -> Iterator[Dsn]:
    """A server of the test's own; its archive takes nothing at first."""
    home = tmp_path / "home"
    dsn = start_server(home)
    with connect(dsn, purpose="test") as conn:
        conn.execute("ALTER SYSTEM SET archive_mode = on")
        conn.execute("ALTER SYSTEM SET archive_command = 'false'")
    stop_server(home)
    yield start_server(home)
    stop_server(home)
    shutil.rmtree(home, ignore_errors=True)


def test_archiving_is_seen_and_so_is_that_it_does_not_work(archiving: Dsn) -> None:
    with connect(archiving, purpose="test") as conn:
        assert recoverable(conn, "postgres").startswith("the server archives its WAL (nothing so far")
        conn.execute("ALTER SYSTEM SET archive_command = ''")
        conn.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 10
        while recoverable(conn, "postgres") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert recoverable(conn, "postgres") == "", "with neither a command nor a library it archives nothing"
