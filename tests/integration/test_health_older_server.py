"""The whole look at an older PostgreSQL: one with TLS, and with a standby that is late."""

from __future__ import annotations

import socket
import time

import pytest
from msgspec.structs import replace

from deployments.stack import free_port
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.health import CheckResult, HealthState, Thresholds
from faberdb.health.examination import check_health
from tests.older_server import OlderServer


def look(dsn: Dsn, name: str, thresholds: Thresholds | None = None) -> CheckResult:
    report = check_health(
        dsn, tool=None, expected=None, checks=(name,), thresholds=thresholds or Thresholds()
    )
    (result,) = report.results
    return result


def test_every_check_is_read(older: OlderServer) -> None:
    report = check_health(older.dsn, tool=None, expected=None)

    assert report.overall is HealthState.HEALTHY, report.summary()
    assert "not read" not in {r.figure for r in report.results}


def test_an_index_that_is_there_twice_is_named(older: OlderServer) -> None:
    with connect(older.dsn, purpose="test") as conn:
        conn.execute("CREATE TABLE orders (note text, kind int)")
        conn.execute("CREATE INDEX lowered ON orders (lower(note)) WHERE kind > 0")
        conn.execute("CREATE INDEX  lowered_again ON  orders  ( lower( note ))  WHERE  kind  >  0")
        conn.execute("CREATE INDEX other ON orders (lower(note)) WHERE kind > 1")
        result = look(older.dsn, "duplicate indexes")
        conn.execute("DROP TABLE orders")

    assert result.why == "Every write pays twice: lowered_again is lowered"


def test_a_session_over_the_network_is_told_by_its_cipher_or_warned_of(older: OlderServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; the system only chooses an address of its own
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    over_network = replace(older.dsn, host=own)

    encrypted = look(replace(over_network, parameters={"sslmode": "require"}), "tls")
    bare = look(replace(over_network, parameters={"sslmode": "disable"}), "tls")

    assert encrypted.state is HealthState.HEALTHY
    assert encrypted.figure.startswith("TLSv1.3, TLS_")
    assert bare.state is HealthState.DEGRADED


def test_a_standby_that_is_late_is_told_on_both_sides(older: OlderServer) -> None:
    port = free_port()
    older.run(
        *(older.programs / "pg_basebackup", "-D", older.folder / "standby", "-R", "-c", "fast"),
        *("-h", older.folder, "-p", older.port),
    )
    older.start("standby", f"-p {port} -c listen_addresses='' -c recovery_min_apply_delay=1h")
    standby = replace(older.dsn, port=port)
    bound = replace(Thresholds(), replication_lag_warn_seconds=0.2)
    try:
        with connect(older.dsn, purpose="test") as conn:
            conn.execute("CREATE TABLE late AS SELECT 1")
            deadline = time.monotonic() + 10
            primarys = standbys = look(older.dsn, "replication lag", bound)
            while time.monotonic() < deadline and HealthState.HEALTHY in {primarys.state, standbys.state}:
                conn.execute(
                    "INSERT INTO late VALUES (2)"
                )  # the standby tells its lag when it hears something
                time.sleep(0.1)
                primarys = look(older.dsn, "replication lag", bound)
                standbys = look(standby, "replication lag", bound)
        whole = check_health(standby, tool=None, expected=None)
    finally:
        older.stop("standby")

    assert primarys.state is HealthState.DEGRADED
    assert "walreceiver (streaming)" in primarys.why
    assert standbys.state is HealthState.DEGRADED
    assert standbys.why == "This standby shows an old state of the primary"
    assert "not read" not in {r.figure for r in whole.results}
