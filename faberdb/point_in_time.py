"""Whether a server could be brought back to a moment, and which moment: for an administrator, when all else fails.

Taking base backups and recovering is not ours; to name the moment exactly is, for afterwards nobody can tell it.
"""

from __future__ import annotations

from typing import Any, Final

from faberdb.connection import Connection

MANAGED: Final = {"aws-rds": "Amazon RDS", "aws-aurora": "Amazon Aurora"}


def recoverable(conn: Connection, hosting: str) -> str:
    """By what the server could be recovered to a moment, in words; "" where nothing of the kind is seen.

    Args:
        conn: any login.
        hosting: the environment's, as configured: a managed one keeps its WAL out of sight.
    """
    if hosting in MANAGED:
        return f"{MANAGED[hosting]} recovers to a moment within its retention"
    row = conn.execute(_ARCHIVER).fetchone()
    if row is None:
        return ""
    last, failing, failed_at = row
    seen = f"last {last:%Y-%m-%d %H:%M:%S %Z}" if last else "nothing so far"
    failing_now = f", **and fails since {failed_at:%Y-%m-%d %H:%M:%S %Z}**" if failing else ""
    return f"the server archives its WAL ({seen}{failing_now})"


def this_moment(conn: Connection) -> dict[str, Any]:
    """The server's time, its position in the WAL and its timeline, as an administrator would name them."""
    row = conn.execute(_MOMENT).fetchone()
    assert row is not None
    at, lsn, timeline = row
    return {"time": f"{at:%Y-%m-%d %H:%M:%S.%f} UTC", "lsn": lsn, "timeline": timeline}


# PostgreSQL 15 brought archive_library; either may be empty, but not both.
_ARCHIVER: Final = """
SELECT a.last_archived_time, coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false),
  a.last_failed_time
FROM pg_stat_archiver a
WHERE current_setting('archive_mode') IN ('on', 'always')
  AND (coalesce(current_setting('archive_command', true), '') NOT IN ('', '(disabled)')
       OR coalesce(current_setting('archive_library', true), '') <> '')
"""
_MOMENT: Final = """
SELECT clock_timestamp() AT TIME ZONE 'UTC', pg_current_wal_insert_lsn()::text,
  ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
"""
