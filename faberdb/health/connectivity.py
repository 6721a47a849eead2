"""How fast the server answers."""

from __future__ import annotations

import statistics
import time

from faberdb.connection import Connection
from faberdb.health.report import CheckResult, HealthState, Thresholds, judge

_ROUND_TRIPS = 3


def connectivity(conn: Connection, thresholds: Thresholds, connected_ms: float) -> tuple[CheckResult, ...]:
    """The median of a few round trips; opening the session is told beside it and not judged."""
    figure = statistics.median(_round_trip_ms(conn) for _ in range(_ROUND_TRIPS))
    return (judge_latency(figure, connected_ms, thresholds),)


def judge_latency(figure_ms: float, connected_ms: float, thresholds: Thresholds) -> CheckResult:
    """The finding on a measured round trip."""
    state = judge(
        figure_ms, degraded=thresholds.latency_degraded_ms, unhealthy=thresholds.latency_unhealthy_ms
    )
    well = state is HealthState.HEALTHY
    return CheckResult(
        area="connectivity",
        name="latency",
        state=state,
        figure=f"{figure_ms:.1f} ms a round trip, {connected_ms:.0f} ms to connect",
        threshold=f"degraded from {thresholds.latency_degraded_ms:g} ms,"
        f" unhealthy from {thresholds.latency_unhealthy_ms:g} ms",
        why="" if well else "Every statement of a migration waits this long at least",
        next_step="" if well else "look at the network and the server's load, or run nearer to the server",
    )


def _round_trip_ms(conn: Connection) -> float:
    began = time.perf_counter()
    conn.execute("SELECT 1")
    return (time.perf_counter() - began) * 1000
