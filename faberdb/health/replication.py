"""Whether standbys keep up, and whether a slot keeps WAL that nobody fetches."""

from __future__ import annotations

from faberdb.connection import Connection
from faberdb.health.asking import row, rows
from faberdb.health.report import CheckResult, HealthState, finding, listed, size
from faberdb.health.thresholds import Thresholds

_MB = 1024 * 1024

# A standby that has replayed all it received is not late, however long ago the last transaction was; unless
# nothing comes any more. One that replayed nothing since it started does not say when the last one was.
_STANDBY = """
SELECT pg_is_in_recovery(), coalesce(CASE
    WHEN NOT pg_is_in_recovery() THEN 0
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT 1 FROM pg_stat_wal_receiver) THEN 0
    ELSE extract(epoch FROM clock_timestamp()
      - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END, 0)::float,
  coalesce(CASE WHEN pg_is_in_recovery()
    THEN pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) END, 0)::float
"""
_SENDERS = """
SELECT format('%%s (%%s)', coalesce(nullif(application_name, ''), pid::text), coalesce(state, '?')),
  coalesce(extract(epoch FROM replay_lag), 0)::float,
  coalesce(pg_wal_lsn_diff(w.now_at, replay_lsn), 0)::float,
  state IS NULL
FROM pg_stat_replication CROSS JOIN
  (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS now_at) w
WHERE state IS DISTINCT FROM 'backup' ORDER BY 2 DESC, 3 DESC
"""
_SLOTS = """
SELECT slot_name, active, coalesce(wal_status, ''),
  coalesce(pg_wal_lsn_diff(w.now_at, restart_lsn), 0)::float, restart_lsn IS NOT NULL,
  coalesce(to_jsonb(s) ->> 'inactive_since', '')
FROM pg_replication_slots s CROSS JOIN
  (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS now_at) w
ORDER BY 4 DESC, 1
"""


def replication_lag(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """How far standbys are behind; on a standby, how far it is behind itself."""
    is_standby, late, unreplayed = row(conn, _STANDBY)
    senders = rows(conn, _SENDERS)
    seconds = max([late, *(s[1] for s in senders)])
    behind = max([unreplayed, *(s[2] for s in senders)])
    late_by = thresholds.replication_lag_warn_seconds
    bad = [
        f"{who} {lag:.0f} s, {size(octets)}"
        for who, lag, octets, _ in senders
        if lag >= late_by or octets >= thresholds.replication_lag_warn_mb * _MB
    ]
    why = f"What was committed is not on the standbys yet, and a failover would lose it: {listed(bad)}"
    if is_standby and late >= late_by:
        bad, why = ["this"], "This standby shows an old state of the primary"
    next_step = "look at the network and the standby's disk; long queries there hold replay up"
    hidden = sum(s[3] for s in senders)
    if hidden and not bad:
        bad, why = ["?"], f"The role may not see how far {hidden} standbys are"
        next_step = "GRANT pg_monitor TO the role"
    if senders or is_standby:
        figure = f"{seconds:.0f} s, {size(behind)}" + (f", {len(senders)} standbys" if senders else "")
    else:
        figure = "no standby"
    return finding(
        "safety",
        "replication lag",
        HealthState.DEGRADED if bad else HealthState.HEALTHY,
        figure,
        threshold=f"degraded from {late_by:g} s or {thresholds.replication_lag_warn_mb:g} MB",
        why=why,
        next_step=next_step,
        value=seconds,
        bound=late_by,
    )


def replication_slots(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """Slots that hold WAL back: for nobody, or too much of it."""
    slots = rows(conn, _SLOTS)
    held = max([0.0, *(s[3] for s in slots)])
    bad = [
        f"{name} holds {size(octets)}"
        + ("" if active else f", inactive{' since ' + since[:19] if since else ''}")
        + (f", {status}" if status in {"unreserved", "lost"} else "")
        for name, active, status, octets, reserved, since in slots
        if (reserved and not active)
        or octets >= thresholds.slot_warn_mb * _MB
        or status in {"unreserved", "lost"}
    ]
    return finding(
        "safety",
        "replication slots",
        HealthState.DEGRADED if bad else HealthState.HEALTHY,
        f"{len(slots)}, holding up to {size(held)} of WAL" if slots else "none",
        threshold=f"degraded when one is inactive, lost, or holds {thresholds.slot_warn_mb:g} MB",
        why=f"WAL is kept for it until the disk is full: {listed(bad)}",
        next_step="start its reader again, or SELECT pg_drop_replication_slot(name); set max_slot_wal_keep_size",
        value=held / _MB,
        bound=thresholds.slot_warn_mb,
    )
