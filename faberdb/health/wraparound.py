"""How near the server is to running out of transaction ids, where it stops writing."""

from __future__ import annotations

from faberdb.connection import Connection
from faberdb.health.asking import row
from faberdb.health.report import CheckResult, finding, judge
from faberdb.health.thresholds import Thresholds

_WRAP = 2**31
_BEHIND = 2  # times the age at which autovacuum freezes: it does not keep up

# Any database's age stops the whole server; tables are seen of this database only.
_IDS = """
SELECT (array_agg(datname ORDER BY age(datfrozenxid) DESC))[1], max(age(datfrozenxid))::bigint,
  current_setting('autovacuum_freeze_max_age')::bigint,
  (SELECT string_agg(format('%%s %%s', o.oid::regclass, o.age), ', ') FROM (
     SELECT c.oid, age(c.relfrozenxid) AS age FROM pg_class c
     WHERE c.relkind IN ('r', 'm', 't') ORDER BY 2 DESC LIMIT 3) o)
FROM pg_database
"""
_MULTIXACTS = """
SELECT (array_agg(datname ORDER BY mxid_age(datminmxid) DESC))[1], max(mxid_age(datminmxid))::bigint,
  current_setting('autovacuum_multixact_freeze_max_age')::bigint,
  (SELECT string_agg(format('%%s %%s', o.oid::regclass, o.age), ', ') FROM (
     SELECT c.oid, mxid_age(c.relminmxid) AS age FROM pg_class c
     WHERE c.relkind IN ('r', 'm', 't') ORDER BY 2 DESC LIMIT 3) o)
FROM pg_database
"""


def transaction_id_age(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """The age of the oldest transaction id that is not frozen."""
    database, age, freeze_at, tables = row(conn, _IDS)
    return judge_age("transaction id age", age, freeze_at, thresholds, where=database, tables=tables)


def multixact_age(conn: Connection, thresholds: Thresholds) -> CheckResult:
    """The same of multixacts, the ids of rows that several transactions lock."""
    database, age, freeze_at, tables = row(conn, _MULTIXACTS)
    return judge_age("multixact age", age, freeze_at, thresholds, where=database, tables=tables)


def judge_age(
    name: str, age: int, freeze_at: int, thresholds: Thresholds, *, where: str, tables: str
) -> CheckResult:
    """The finding on an age.

    Args:
        name: of the check.
        age: of the oldest, in ids.
        freeze_at: at which age autovacuum sets to work whatever else it has to do.
        thresholds: in percent of what there is.
        where: the database with the oldest.
        tables: of this database, the oldest.
    """
    bound = min(thresholds.wraparound_warn_percent / 100 * _WRAP, _BEHIND * freeze_at)
    emergency = thresholds.wraparound_unhealthy_percent / 100 * _WRAP
    return finding(
        "safety",
        name,
        judge(age, degraded=bound, unhealthy=emergency),
        f"{age:,} in {where}, {100 * age / _WRAP:.1f} % of all",
        threshold=f"autovacuum freezes at {freeze_at:,}, degraded from {bound:,.0f}, unhealthy from {emergency:,.0f}",
        why=f"At 2,147,483,648 the server refuses to write; vacuum does not keep up. Oldest here: {tables}",
        next_step=f"end old transactions, prepared ones and slots, then VACUUM (FREEZE) the oldest in {where}",
        value=age,
        bound=bound,
    )
