from __future__ import annotations

from pathlib import Path

import pytest

from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.embedded import find_server, start_server, stop_server
from faberdb.errors import AuthenticationFailed, DatabaseMissing, ServerUnreachable


def test_starting_twice_finds_the_same_server(home: Path, server: Dsn) -> None:
    assert start_server(home) == server


def test_a_folder_without_a_server_has_none_to_find_or_stop(tmp_path: Path) -> None:
    assert find_server(tmp_path) is None
    assert stop_server(tmp_path) is False


def test_a_missing_database_is_named(server: Dsn) -> None:
    with (
        pytest.raises(DatabaseMissing, match="'nowhere'"),
        connect(server.with_database("nowhere"), purpose="test"),
    ):
        pass


def test_a_missing_server_is_told_from_a_missing_database(tmp_path: Path) -> None:
    gone = Dsn(host=str(tmp_path), database="x", user="y")
    with pytest.raises(ServerUnreachable, match="No PostgreSQL server answered"), connect(gone, purpose="t"):
        pass


def test_an_unknown_role_is_an_authentication_failure(server: Dsn) -> None:
    stranger = Dsn(host=server.host, port=server.port, user="nobody_here", database="postgres")
    with pytest.raises(AuthenticationFailed, match="turned the login"), connect(stranger, purpose="t"):
        pass


def test_a_stopped_server_starts_again_in_the_same_process(home: Path) -> None:
    folder = home / "again"
    for _ in range(2):
        started = start_server(folder)
        assert find_server(folder) == started
        assert stop_server(folder) is True
        assert find_server(folder) is None
