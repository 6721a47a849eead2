"""What lies on the server's disk, and how much room is left where that can be known.

PostgreSQL tells sizes and never what is free. Where its files are on this very machine, the file system tells.
"""

from __future__ import annotations

import os
from pathlib import Path

from faberdb.connection import Connection
from faberdb.health.asking import row
from faberdb.health.report import CheckResult, HealthState, finding, not_run, size
from faberdb.health.thresholds import Thresholds

_SIZES = """
SELECT pg_database_size(current_database()),
  (SELECT string_agg(format('tablespace %%s %%s', t.spcname, pg_size_pretty(pg_tablespace_size(t.oid))), ', '
     ORDER BY t.spcname) FROM pg_tablespace t
   WHERE has_tablespace_privilege(t.oid, 'CREATE') OR pg_has_role('pg_read_all_stats', 'USAGE')),
  (SELECT sum(w.size) FROM pg_ls_waldir() w)
"""
_WITHOUT_WAL = _SIZES.replace("(SELECT sum(w.size) FROM pg_ls_waldir() w)", "NULL")
_MAY_LIST = "SELECT has_function_privilege('pg_ls_waldir()', 'EXECUTE')"
_FOLDER = """
SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') ELSE '' END,
  extract(epoch FROM pg_postmaster_start_time())::bigint
"""


def disk_use(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """What the database, the tablespaces and the WAL take; told, never judged."""
    (may_list,) = row(conn, _MAY_LIST)
    octets, tablespaces, wal = row(conn, _SIZES if may_list else _WITHOUT_WAL)
    parts = [f"database {size(octets)}", tablespaces, f"WAL {size(float(wal))}" if wal is not None else ""]
    return CheckResult(
        area="safety",
        name="disk use",
        state=HealthState.HEALTHY,
        figure=", ".join(p for p in parts if p),
        value=octets,
        bound=octets,
    )


def free_disk(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """The free share of the file system that holds the data."""
    folder, started = row(conn, _FOLDER)
    if not folder or not _is_here(Path(folder), started):
        return not_run(
            "safety",
            "the server does not tell",
            name="free disk",
            figure="not known",
            next_step="watch it where the server runs, or in the cloud's own metrics",
        )
    found = os.statvfs(folder)
    return judge_free(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, thresholds)


def judge_free(free: int, whole: int, thresholds: Thresholds) -> CheckResult:
    """The finding on a file system's free bytes."""
    percent = 100 * free / whole if whole else 0.0
    bound = thresholds.disk_free_warn_percent
    return finding(
        "safety",
        "free disk",
        HealthState.DEGRADED if percent < bound else HealthState.HEALTHY,
        f"{size(free)}, {percent:.0f} % of {size(whole)}",
        threshold=f"degraded below {bound:g} %",
        why="On a full disk the server stops; a snapshot and a rewritten table need room too",
        next_step="make room: faber-db snapshots ENV shows what old ones take",
        value=100 - percent,
        bound=100 - bound,
    )


def _is_here(folder: Path, started: int) -> bool:
    """Whether the folder on this machine is that server's, and not one of the same name behind a tunnel."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
        return abs(int(lines[2]) - started) <= 1
    except (OSError, ValueError, IndexError):
        return False
