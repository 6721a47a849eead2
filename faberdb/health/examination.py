"""One bounded look at a database: every area in turn, and none that can take the others down with it."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import psycopg

from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import FaberError, Refused, Transient
from faberdb.health.connectivity import connectivity
from faberdb.health.migrations import migrations
from faberdb.health.performance import performance
from faberdb.health.report import AREAS, CheckResult, HealthReport, HealthState, Thresholds, not_run
from faberdb.health.structure import structure
from faberdb.tools.protocol import MigrationTool

_Look = Callable[[Connection], tuple[CheckResult, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """When the whole look has to be over."""

    timeout_s: float
    began: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        return self.began + self.timeout_s - time.monotonic()

    @property
    def took_ms(self) -> float:
        return (time.monotonic() - self.began) * 1000


def check_health(
    dsn: Dsn,
    *,
    tool: MigrationTool | None,
    expected_fingerprint: str | None,
    thresholds: Thresholds | None = None,
    checks: Collection[str] | None = None,
    timeout_s: float = 30,
) -> HealthReport:
    """Look at a database; writes nothing, and a database that is away is a finding.

    Args:
        dsn: where.
        tool: whose revisions are compared and whose own tables are no part of the schema; None where the
            project has none.
        expected_fingerprint: of the schema as the last release left it; None where there was none.
        thresholds: from where on a figure is bad; the defaults where None.
        checks: the areas to look at, of `AREAS`; all where None. Connecting is always judged.
        timeout_s: of the whole. Opening the session may take up to two seconds more: libpq counts so.

    Raises:
        Refused: `checks` names an area that there is not.
    """
    wanted = _wanted(checks)
    limit = _Limit(timeout_s=timeout_s)
    bounds = thresholds or Thresholds()
    leave_out = tool.tracking_tables if tool else ()
    looks: dict[str, _Look] = {
        "migrations": lambda conn: migrations(conn, tool) if tool else (_no_tool(),),
        "schema": lambda conn: structure(
            conn, expected_fingerprint=expected_fingerprint, leave_out=leave_out
        ),
        "performance": lambda conn: performance(conn, bounds),
    }
    results: list[CheckResult] = []
    try:
        with _session(dsn, limit) as conn:
            connected_ms = limit.took_ms
            looks["connectivity"] = lambda conn: connectivity(conn, bounds, connected_ms)
            for area in wanted:
                results += _look(conn, area, looks[area], limit)
                if conn.broken:
                    results.insert(0, _away("The session was lost", results[-1].why))
                    break
    except FaberError as error:
        results.insert(0, _away(error.what, error.why, error.next_step))
    done = {r.area for r in results}
    results += [not_run(area, "the database could not be asked") for area in wanted if area not in done]
    return HealthReport(database=str(dsn), results=tuple(results), took_ms=round(limit.took_ms, 1))


def _wanted(checks: Collection[str] | None) -> tuple[str, ...]:
    unknown = sorted(set(checks or ()) - set(AREAS))
    if unknown:
        raise Refused(
            f"There is no health check {unknown[0]!r}.", next_step=f"choose among {', '.join(AREAS)}"
        )
    return tuple(a for a in AREAS if checks is None or a in checks)


@contextlib.contextmanager
def _session(dsn: Dsn, limit: _Limit) -> Iterator[Connection]:
    bound = max(math.ceil(limit.timeout_s), 1)
    with (
        connect(
            dsn,
            purpose="health",
            statement_timeout_s=limit.timeout_s,
            lock_timeout_s=max(limit.timeout_s / 2, 0.1),
            connect_timeout_s=bound,
        ) as conn,
        _cut_off(conn, limit),
    ):
        yield conn


@contextlib.contextmanager
def _cut_off(conn: Connection, limit: _Limit) -> Iterator[None]:
    """End a session whose server does not even keep its own statement time-out, as a stopped one."""
    theirs = socket.socket(fileno=os.dup(conn.fileno()))
    timer = threading.Timer(max(limit.left_s, 0) + 0.2, lambda: theirs.shutdown(socket.SHUT_RDWR))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        theirs.close()


def _look(conn: Connection, area: str, look: _Look, limit: _Limit) -> tuple[CheckResult, ...]:
    if limit.left_s <= 0:
        return (not_run(area, f"no time was left of {limit.timeout_s:g} s"),)
    try:
        conn.execute(
            "SELECT set_config('statement_timeout', %s, false)", (str(max(int(limit.left_s * 1000), 1)),)
        )
        return look(conn)
    except psycopg.errors.InsufficientPrivilege as error:
        return (
            _degraded(
                area, f"The role may not see it: {_said(error)}", "GRANT pg_monitor TO the role, or SELECT"
            ),
        )
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable) as error:
        return (_degraded(area, f"It could not be read in time: {_said(error)}", "look for locks"),)
    except psycopg.Error as error:
        return (_degraded(area, _said(error), "look at the server's log"),)
    except FaberError as error:
        # Nothing can be said of the area while it moves; anything else is the project's own trouble.
        state = HealthState.DEGRADED if isinstance(error, Transient) else HealthState.UNHEALTHY
        return (_unread(area, state, f"{error.what} {error.why}".strip(), error.next_step),)


def _said(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _degraded(area: str, why: str, next_step: str) -> CheckResult:
    return _unread(area, HealthState.DEGRADED, why, next_step)


def _unread(area: str, state: HealthState, why: str, next_step: str) -> CheckResult:
    return CheckResult(area=area, name=area, state=state, figure="not read", why=why, next_step=next_step)


def _away(what: str, why: str, next_step: str = "") -> CheckResult:
    return CheckResult(
        area="connectivity",
        name="connection",
        state=HealthState.UNHEALTHY,
        figure="none",
        why=f"{what} {why}".strip(),
        next_step=next_step or "check that the server runs, then try again",
    )


def _no_tool() -> CheckResult:
    return not_run("migrations", "the project names no migration tool")
