"""How fast the server answers, and whether others can read along."""

from __future__ import annotations

import statistics
import time

from faberdb.connection import Connection
from faberdb.health.asking import row
from faberdb.health.report import CheckResult, HealthState, finding, judge
from faberdb.health.thresholds import Thresholds

_ROUND_TRIPS = 3

# Kerberos encrypts too. A server behind a Unix socket or the loopback interface sends nothing over a network.
_TLS = """
SELECT s.ssl, coalesce(s.version, ''), coalesce(s.cipher, ''),
  coalesce((SELECT g.encrypted FROM pg_stat_gssapi g WHERE g.pid = s.pid), false),
  coalesce(inet_client_addr() << '127.0.0.0/8' OR inet_client_addr() = '::1', true)
FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()
"""


def latency(conn: Connection, thresholds: Thresholds, connected_ms: float) -> CheckResult:
    """The median of a few round trips; opening the session is told beside it and not judged."""
    figure = statistics.median(_round_trip_ms(conn) for _ in range(_ROUND_TRIPS))
    return judge_latency(figure, connected_ms, thresholds)


def judge_latency(figure_ms: float, connected_ms: float, thresholds: Thresholds) -> CheckResult:
    """The finding on a measured round trip."""
    return finding(
        "connectivity",
        "latency",
        judge(figure_ms, degraded=thresholds.latency_warn_ms, unhealthy=thresholds.latency_unhealthy_ms),
        f"{figure_ms:.1f} ms a round trip, {connected_ms:.0f} ms to connect",
        threshold=f"degraded from {thresholds.latency_warn_ms:g} ms,"
        f" unhealthy from {thresholds.latency_unhealthy_ms:g} ms",
        why="Every statement of a migration waits this long at least",
        next_step="look at the network and the server's load, or run nearer to the server",
        value=figure_ms,
        bound=thresholds.latency_warn_ms,
    )


def tls(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """How this session is encrypted."""
    encrypted, version, cipher, gss, local = row(conn, _TLS)
    how = f"{version}, {cipher}" if encrypted else "Kerberos" if gss else ""
    return judge_tls(how, local=local, required=thresholds.tls_required)


def judge_tls(how: str, *, local: bool, required: bool) -> CheckResult:
    """The finding on a session.

    Args:
        how: its protocol and cipher, "" where it is not encrypted.
        local: it leaves no machine.
        required: the configuration asks for it.
    """
    return finding(
        "connectivity",
        "tls",
        HealthState.HEALTHY if how or local or not required else HealthState.DEGRADED,
        how or f"not encrypted, {'on this machine' if local else 'over a network'}",
        threshold="degraded over a network without" if required else "not required",
        why="Whoever is on the way reads the data and can change it",
        next_step="add sslmode=verify-full to the environment's URL, and ssl = on to postgresql.conf",
    )


def _round_trip_ms(conn: Connection) -> float:
    began = time.perf_counter()
    conn.execute("SELECT 1")
    return (time.perf_counter() - began) * 1000
