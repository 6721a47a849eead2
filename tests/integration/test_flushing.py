"""A release waits for the disk once: what a server that dies before or after that remembers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from faberdb.connection import Connection, connect, flushed_together
from faberdb.dsn import Dsn
from faberdb.embedded import find_server, start_server, stop_server


@pytest.fixture
def mortal(home: Path) -> Iterator[Path]:
    """The folder of a server that flushes for real and may be killed, with a table `done(number)`."""
    folder = home / "mortal"
    with connect(start_server(folder), purpose="test") as conn:
        conn.execute("DROP TABLE IF EXISTS done; CREATE TABLE done (number int)")
    yield folder
    stop_server(folder)


def test_everything_is_on_disk_when_the_block_is_left(mortal: Path) -> None:
    with connect(start_server(mortal), purpose="test") as conn:
        with flushed_together(conn):
            for number in range(300):
                conn.execute("INSERT INTO done VALUES (%s)", (number,))
        _kill(mortal)
    assert _done(mortal) == list(range(300))


def test_a_failure_inside_the_block_leaves_on_disk_what_came_before(mortal: Path) -> None:
    with connect(start_server(mortal), purpose="test") as conn:
        with pytest.raises(psycopg.errors.DivisionByZero):
            _write(conn, "INSERT INTO done VALUES (0)", "SELECT 1 / 0")
        _kill(mortal)
    assert _done(mortal) == [0]


def test_a_server_that_dies_inside_the_block_forgets_a_tail_and_nothing_before_it(mortal: Path) -> None:
    with connect(start_server(mortal), purpose="test") as conn, pytest.raises(psycopg.OperationalError):
        _write_and_kill(conn, mortal)
    remembered = _done(mortal)
    assert remembered == list(range(len(remembered)))


def test_the_block_leaves_the_setting_as_it_was(server: Dsn) -> None:
    with connect(server, purpose="test") as conn:
        with flushed_together(conn):
            assert _setting(conn) == "off"
        assert _setting(conn) == "on"


def _write(conn: Connection, *statements: LiteralString) -> None:
    with flushed_together(conn):
        for statement in statements:
            conn.execute(statement)


def _write_and_kill(conn: Connection, folder: Path) -> None:
    with flushed_together(conn):
        for number in range(1_000_000):
            conn.execute("INSERT INTO done VALUES (%s)", (number,))
            if number == 2000:
                _kill(folder)


def _kill(folder: Path) -> None:
    """As a power cut for all but the disk: what the server kept in its own memory is gone."""
    postmaster = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    while find_server(folder) is not None:
        time.sleep(0.02)


def _done(folder: Path) -> list[int]:
    with connect(start_server(folder), purpose="test") as conn:
        return [n for (n,) in conn.execute("SELECT number FROM done ORDER BY number")]


def _setting(conn: Connection) -> object:
    row = conn.execute("SHOW synchronous_commit").fetchone()
    assert row is not None
    return row[0]
