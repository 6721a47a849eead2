"""From which figure on a check is not well; the names are the keys of `[health]` in the configuration."""

from __future__ import annotations

from msgspec import Struct


class Thresholds(Struct, frozen=True, kw_only=True):
    """Warnings are `degraded` and stop nothing; only what is called unhealthy does."""

    latency_warn_ms: float = 100
    latency_unhealthy_ms: float = 500
    tls_required: bool = True  # over a network
    connections_warn_percent: float = 80  # of max_connections
    connections_unhealthy_percent: float = 95
    transaction_warn_seconds: float = 300
    idle_in_transaction_warn_seconds: float = 60
    blocked_warn_seconds: float = 5  # waiting for a lock this long counts as blocked
    lock_waits_warn: int = 5  # locks waited for at once
    query_warn_ms: float = 250  # of a query on the system catalogue
    query_unhealthy_ms: float = 2000
    cache_hit_warn_percent: float = 90  # below
    cache_min_reads: int = 1_000_000  # blocks; fewer say nothing
    slow_statement_ms: float = 1000  # mean
    statement_min_calls: int = 10  # fewer say nothing
    slower_factor: float = 10  # against the mean before the last release
    replication_lag_warn_seconds: float = 60
    replication_lag_warn_mb: float = 1024
    slot_warn_mb: float = 1024  # of WAL held
    wraparound_warn_percent: float = 50  # of 2^31
    wraparound_unhealthy_percent: float = 90
    sequence_warn_percent: float = 75  # of what it, or its column, can count to
    disk_free_warn_percent: float = 10  # below
    dead_rows_warn_percent: float = 20
    dead_rows_min: int = 10_000  # fewer are nothing
    bloat_warn_percent: float = 40
    bloat_min_mb: float = 100  # fewer wasted are nothing
    vacuum_min_rows: int = 100_000  # of a table that has to have been vacuumed and analyzed once
    unused_index_days: float = 30  # of statistics, before an index counts as unused
    unused_index_min_mb: float = 10
