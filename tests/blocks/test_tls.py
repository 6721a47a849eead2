"""What a block's TLS mode is worth on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blocks.loading import dsn_of
from blocks.postgres_environment import PostgresEnvironment, Tls
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import CommandFailed, FaberError
from faberdb.snapshot.clients import embedded_clients
from faberdb.snapshot.programs import dump, restore
from tests.blocks.authority import Authority, make_authority, tls_front


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def port(server: Dsn, authority: Authority) -> Iterator[int]:
    with tls_front(server, authority) as found:
        yield found


@pytest.fixture
def address(server: Dsn, port: int, tmp_path: Path) -> Callable[..., Dsn]:
    def made(**given: object) -> Dsn:
        facts = {"host": "localhost", "port": port, "database": server.database, "user": server.user}
        return dsn_of(PostgresEnvironment.model_validate({**facts, **given}), tmp_path)

    return made


def encrypted(dsn: Dsn) -> bool:
    with connect(dsn, purpose="tests", connect_timeout_s=5) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
        return bool(conn.pgconn.ssl_in_use)


def test_tls_is_used_unless_it_is_turned_off(address: Callable[..., Dsn]) -> None:
    assert encrypted(address())
    assert not encrypted(address(tls=Tls.DISABLE))


def test_verify_full_takes_the_server_that_the_authority_signed(
    address: Callable[..., Dsn], authority: Authority
) -> None:
    assert encrypted(address(tls=Tls.VERIFY_FULL, root_certificate=authority.certificate))


def test_verify_full_refuses_another_name_and_verify_ca_does_not(
    address: Callable[..., Dsn], authority: Authority
) -> None:
    given = {"host": "127.0.0.1", "root_certificate": authority.certificate}
    assert encrypted(address(tls=Tls.VERIFY_CA, **given))
    with pytest.raises(FaberError):
        encrypted(address(tls=Tls.VERIFY_FULL, **given))


def test_another_authority_is_refused(address: Callable[..., Dsn], tmp_path: Path) -> None:
    other = make_authority(tmp_path)
    with pytest.raises(FaberError):
        encrypted(address(tls=Tls.VERIFY_CA, root_certificate=other.certificate))


def test_a_snapshot_crosses_the_wire_by_tls_too(
    address: Callable[..., Dsn], authority: Authority, fresh_database: Dsn, tmp_path: Path
) -> None:
    """The embedded pg_dump and pg_restore are built without TLS."""
    with connect(fresh_database, purpose="tests") as conn:
        conn.execute("CREATE TABLE note AS SELECT generate_series(1, 1000) AS id")
    given = {"tls": Tls.VERIFY_FULL, "root_certificate": authority.certificate}
    there = address(database=fresh_database.database, **given)
    with connect(there, purpose="tests") as conn, conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        (snapshot,) = conn.execute("SELECT pg_export_snapshot()").fetchone()  # type: ignore[misc]
        dump(there, tmp_path / "dump", clients=embedded_clients(), snapshot=snapshot, timeout_s=60)
    with connect(there, purpose="tests") as conn:
        conn.execute("DROP TABLE note")
    restore(tmp_path / "dump", there, server_version=180000, with_roles=True, timeout_s=60)
    with connect(there, purpose="tests") as conn:
        assert conn.execute("SELECT count(*) FROM note").fetchone() == (1000,)
    other = make_authority(tmp_path)
    stranger = address(database=there.database, tls=Tls.VERIFY_CA, root_certificate=other.certificate)
    with pytest.raises(CommandFailed, match="certificate verify failed"):
        restore(tmp_path / "dump", stranger, server_version=180000, with_roles=True, timeout_s=60)


def test_a_server_without_tls_is_not_spoken_to_in_clear(server: Dsn, address: Callable[..., Dsn]) -> None:
    with tls_front(server, None) as plain:
        with pytest.raises(FaberError):
            encrypted(address(port=plain))
        assert not encrypted(address(port=plain, tls=Tls.PREFER))
