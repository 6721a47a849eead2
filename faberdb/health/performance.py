"""Whether the server has room: connections, its catalogue's speed, its cache."""

from __future__ import annotations

import time

from faberdb.connection import Connection
from faberdb.health.asking import row
from faberdb.health.report import CheckResult, HealthState, finding, judge, not_run
from faberdb.health.thresholds import Thresholds

# A role without pg_read_all_stats sees other roles' sessions only as rows with nearly all columns empty;
# a client's row still tells its database.
_CONNECTIONS = """
SELECT count(*) FILTER (
    WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)),
  current_setting('max_connections')::int
FROM pg_stat_activity
"""
_CACHE = "SELECT blks_hit, blks_read FROM pg_stat_database WHERE datname = current_database()"


def connections(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Clients of the whole server against its limit."""
    used, limit = row(conn, _CONNECTIONS)
    return judge_connections(int(used), int(limit), thresholds)


def judge_connections(used: int, limit: int, thresholds: Thresholds) -> CheckResult:
    """The finding on a count of client connections."""
    percent = 100 * used / limit
    return finding(
        "performance",
        "connections",
        judge(
            percent,
            degraded=thresholds.connections_warn_percent,
            unhealthy=thresholds.connections_unhealthy_percent,
        ),
        f"{used} of {limit}",
        threshold=f"degraded from {thresholds.connections_warn_percent:g} %,"
        f" unhealthy from {thresholds.connections_unhealthy_percent:g} %",
        why="At the limit the server turns everyone away, a rollback too",
        next_step="close idle sessions, use a pooler, or raise max_connections",
        value=percent,
        bound=thresholds.connections_warn_percent,
    )


def query_time(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """How long a query on the catalogue takes."""
    began = time.perf_counter()
    conn.execute("SELECT count(*) FROM pg_class").fetchone()
    took = (time.perf_counter() - began) * 1000
    return finding(
        "performance",
        "query time",
        judge(took, degraded=thresholds.query_warn_ms, unhealthy=thresholds.query_unhealthy_ms),
        f"{took:.1f} ms",
        threshold=f"degraded from {thresholds.query_warn_ms:g} ms,"
        f" unhealthy from {thresholds.query_unhealthy_ms:g} ms",
        why="Counting the catalogue's relations takes a healthy server a few milliseconds",
        next_step="look at the server's CPU, memory and disk",
        value=took,
        bound=thresholds.query_warn_ms,
    )


def cache_hit_ratio(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """The share of blocks that were found in shared_buffers since the statistics were reset."""
    hit, read = row(conn, _CACHE)
    return judge_cache(int(hit), int(read), thresholds)


def judge_cache(hit: int, read: int, thresholds: Thresholds) -> CheckResult:
    """The finding on counts of blocks."""
    name, blocks = "cache hit ratio", hit + read
    if blocks < max(thresholds.cache_min_reads, 1):
        why = f"fewer than {thresholds.cache_min_reads:,} say nothing"
        return not_run("performance", why, name=name, figure=f"{blocks:,} blocks were read")
    percent = 100 * hit / blocks
    low = percent < thresholds.cache_hit_warn_percent
    return finding(
        "performance",
        name,
        HealthState.DEGRADED if low else HealthState.HEALTHY,
        f"{percent:.1f} % of {blocks:,} blocks",
        threshold=f"degraded below {thresholds.cache_hit_warn_percent:g} %",
        why="What is in use does not fit into memory, so queries wait for the disk",
        next_step="look for big sequential scans, or raise shared_buffers",
        value=100 - percent,
        bound=100 - thresholds.cache_hit_warn_percent,
    )
