"""What is called well, in words of `faber-db.toml`; the bounds are those of `faberdb.health.thresholds`."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from faberdb.config.section import Seconds, Section

_PAIRS = ("latency_{}_ms", "connections_{}_percent", "query_{}_ms", "wraparound_{}_percent")


class HealthSection(Section):
    """What is called well."""

    latency_warn_ms: Seconds = Field(default=100, description="Above: degraded.")
    latency_unhealthy_ms: Seconds = Field(default=500, description="Above: unhealthy.")
    tls_required: bool = Field(default=True, description="A session over a network without TLS is degraded.")
    connections_warn_percent: float = Field(default=80, gt=0, le=100, description="Above: degraded.")
    connections_unhealthy_percent: float = Field(default=95, gt=0, le=100, description="Above: unhealthy.")
    transaction_warn_seconds: Seconds = Field(default=300, description="An older transaction is degraded.")
    idle_in_transaction_warn_seconds: Seconds = Field(
        default=60, description="A session that does nothing in its transaction for longer is degraded."
    )
    blocked_warn_seconds: Seconds = Field(default=5, description="A longer wait for a lock is degraded.")
    lock_waits_warn: int = Field(default=5, ge=1, description="So many waits at once are degraded.")
    query_warn_ms: Seconds = Field(default=250, description="Above, for a query on the catalogue: degraded.")
    query_unhealthy_ms: Seconds = Field(default=2000, description="Above: unhealthy.")
    cache_hit_warn_percent: float = Field(default=90, ge=0, le=100, description="Below: degraded.")
    cache_min_reads: int = Field(
        default=1_000_000, ge=0, description="Blocks read before the cache is judged."
    )
    slow_statement_ms: Seconds = Field(
        default=1000, description="Above, as a mean in pg_stat_statements: degraded."
    )
    statement_min_calls: int = Field(default=10, ge=1, description="Calls before a statement is judged.")
    slower_factor: float = Field(
        default=10, gt=1, description="A statement so many times slower since a release is degraded."
    )
    replication_lag_warn_seconds: Seconds = Field(default=60, description="Above: degraded.")
    replication_lag_warn_mb: float = Field(default=1024, gt=0, description="Above: degraded.")
    slot_warn_mb: float = Field(default=1024, gt=0, description="A slot that holds more WAL is degraded.")
    wraparound_warn_percent: float = Field(
        default=50, gt=0, le=100, description="Of 2^31 ids, or twice autovacuum's own bound: degraded."
    )
    wraparound_unhealthy_percent: float = Field(default=90, gt=0, le=100, description="Above: unhealthy.")
    sequence_warn_percent: float = Field(
        default=75, gt=0, le=100, description="Above, of a sequence or its column: degraded."
    )
    disk_free_warn_percent: float = Field(
        default=10, ge=0, le=100, description="Below, where it can be known: degraded."
    )
    dead_rows_warn_percent: float = Field(default=20, gt=0, le=100, description="Above: degraded.")
    dead_rows_min: int = Field(default=10_000, ge=1, description="Fewer dead rows are never degraded.")
    bloat_warn_percent: float = Field(default=40, gt=0, le=100, description="Above: degraded.")
    bloat_min_mb: float = Field(default=100, gt=0, description="Less bloat is never degraded.")
    vacuum_min_rows: int = Field(
        default=100_000, ge=1, description="A table with so many, never vacuumed or analyzed, is degraded."
    )
    unused_index_days: float = Field(
        default=30, ge=0, description="Days of statistics before an index counts as unused."
    )
    unused_index_min_mb: float = Field(default=10, ge=0, description="Smaller ones are never told.")
    history_days: float = Field(default=90, gt=0, description="Looks are kept so long beside the ledger.")
    timeout_seconds: Seconds = Field(default=30, description="Bound on the whole look.")

    def impossible_bounds(self) -> Iterator[str]:
        """Warnings that would come after the alarm."""
        for pair in _PAIRS:
            warn, unhealthy = pair.format("warn"), pair.format("unhealthy")
            if getattr(self, warn) > getattr(self, unhealthy):
                yield f"health.{warn} is above health.{unhealthy}"
