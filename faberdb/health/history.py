"""What was seen of an environment's health before: looks, and what statements took before a release.

In tables of their own in the ledger's database, pruned as they grow. They are no record that a release
depends on: what cannot be kept or read is said, and never stands in anybody's way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg.types.json import Jsonb

from faberdb.connection import Connection, connect, run
from faberdb.credentials import LedgerAddress
from faberdb.errors import FaberError
from faberdb.health.report import CheckResult, HealthReport, StatementTime
from faberdb.health.statements import Baseline

_KEPT: Final = ("area", "name", "state", "figure", "value", "bound")
_WATCHED_DAYS: Final = 7  # a query that is slow later than so is not the release's doing


class PastLook(Struct, frozen=True, kw_only=True):
    """What a look saw."""

    at: datetime
    state: str
    took_ms: float
    results: tuple[Mapping[str, Any], ...]  # the `_KEPT` fields of each check

    @property
    def unwell(self) -> list[str]:
        """The checks that were not well, each with its figure."""
        return [
            f"{r['name']}: {r['figure']}" for r in self.results if r["state"] in {"degraded", "unhealthy"}
        ]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "state": self.state,
            "took_ms": self.took_ms,
            "results": [dict(r) for r in self.results],
        }


class HealthHistory(Struct, frozen=True, kw_only=True):
    """One environment's past; `conn` is a session of the ledger."""

    conn: Connection
    address: LedgerAddress
    project: str
    environment: str

    def keep(self, report: HealthReport, *, days: float) -> str:
        """Keep a look and forget those that are older than `days`; why it was not kept, "" when it was."""
        kept = [{k: getattr(r, k) for k in _KEPT} for r in report.results]
        return self._write(
            "INSERT INTO faber_health.look (project, environment, state, took_ms, results)"
            " VALUES (%s, %s, %s, %s, %s)",
            (report.overall.value, report.took_ms, Jsonb(kept)),
            "DELETE FROM faber_health.look WHERE project = %s AND environment = %s"
            " AND at < clock_timestamp() - make_interval(secs => %s)",
            days,
        )

    def looks(self, limit: int) -> list[PastLook]:
        """The newest looks, newest first."""
        found = self._read(
            "SELECT at, state, took_ms, results FROM faber_health.look"
            " WHERE project = %s AND environment = %s ORDER BY at DESC LIMIT %s",
            limit,
        )
        return [PastLook(at=at, state=s, took_ms=ms, results=tuple(r)) for at, s, ms, r in found]

    def keep_baseline(self, release: str, times: Mapping[int, StatementTime], *, days: float) -> str:
        """Keep what the statements took before a release; why it was not kept, "" when it was."""
        body = {str(q): [t.calls, round(t.total_ms, 3)] for q, t in times.items()}
        return self._write(
            "INSERT INTO faber_health.baseline (project, environment, release, times) VALUES (%s, %s, %s, %s)",
            (release, Jsonb(body)),
            "DELETE FROM faber_health.baseline WHERE project = %s AND environment = %s"
            " AND at < clock_timestamp() - make_interval(secs => %s)",
            days,
        )

    def baseline(self) -> Baseline | None:
        """From before the newest release of the last days, if there was one."""
        found = self._read(
            "SELECT release, times FROM faber_health.baseline WHERE project = %s AND environment = %s"
            " AND at > clock_timestamp() - make_interval(days => %s) ORDER BY at DESC LIMIT 1",
            _WATCHED_DAYS,
        )
        if not found:
            return None
        ((release, times),) = found
        return Baseline(
            release=release,
            times={int(q): StatementTime(calls=c, total_ms=ms) for q, (c, ms) in times.items()},
        )

    def _write(self, insert: str, values: tuple[object, ...], prune: str, days: float) -> str:
        whose = (self.project, self.environment)

        try:
            if not self._set_up_already():
                _set_up(self.address)
            with self.conn.transaction():
                self.conn.execute(insert.encode(), (*whose, *values))
                self.conn.execute(prune.encode(), (*whose, days * 86400))
        except (psycopg.Error, FaberError) as error:
            return str(error).strip().splitlines()[0]
        return ""

    def _read(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        try:
            if not self._set_up_already():
                return []
            return self.conn.execute(query.encode(), (self.project, self.environment, *parameters)).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            return []

    def _set_up_already(self) -> bool:
        row = self.conn.execute("SELECT to_regclass('faber_health.baseline') IS NOT NULL").fetchone()
        return bool(row and row[0])


def moved(before: PastLook, now: HealthReport) -> list[str]:
    """What is another state than at the look before, or whose figure went a quarter of the way to its bound."""
    was = {r["name"]: r for r in before.results}
    return [
        f"{result.name}: {was[result.name]['figure']} → {result.figure}"
        + (f" ({was[result.name]['state']} → {result.state.value})" if _changed(was, result) else "")
        for result in now.results
        if result.name in was and (_changed(was, result) or _figure_moved(was[result.name], result))
    ]


def _changed(was: Mapping[str, Mapping[str, Any]], result: CheckResult) -> bool:
    return bool(was[result.name]["state"] != result.state.value)


def _figure_moved(was: Mapping[str, Any], result: CheckResult) -> bool:
    value, bound = was.get("value"), result.bound
    if value is None or result.value is None or not bound:
        return False
    return bool(abs(result.value - value) >= abs(bound) / 4)


def _set_up(address: LedgerAddress) -> None:
    script = (resources.files("faberdb.health") / "history.sql").read_text()
    with connect(address.admin, purpose="history set-up") as conn, conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(7236529094)")  # two first looks at once
        conn.execute(script.encode())
        role = address.runs_as.user
        if role and role != address.admin.user:
            run(conn, "GRANT USAGE ON SCHEMA faber_health TO {role}", role=role)
            run(
                conn, "GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA faber_health TO {role}", role=role
            )
