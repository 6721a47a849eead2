"""One bounded look at a database: every check in turn, and none that can take the others down with it."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import psycopg

from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import FaberError, Transient
from faberdb.health.catalogue import Check, chosen, every_check
from faberdb.health.report import CheckResult, HealthReport, HealthState, not_run
from faberdb.health.statements import Baseline
from faberdb.health.structure import Expected
from faberdb.health.thresholds import Thresholds
from faberdb.tools.protocol import MigrationTool

_LOCK_TIMEOUT_S = 3  # one locked table must not cost the whole look
_PIPELINES = psycopg.Pipeline.is_supported()  # not with a libpq before 14


@dataclass(slots=True, kw_only=True)
class _Limit:
    """When the whole look has to be over."""

    timeout_s: float
    began: float = field(default_factory=time.monotonic)
    connected_ms: float = 0  # once the session is open

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
    expected: Expected | None,
    thresholds: Thresholds | None = None,
    checks: Collection[str] | None = None,
    timeout_s: float = 30,
    baseline: Baseline | None = None,
    column_order: bool = False,
) -> HealthReport:
    """Look at a database; writes nothing, and a database that is away is a finding.

    Args:
        dsn: where.
        tool: whose revisions are compared and whose own tables are no part of the schema; None where the
            project has none.
        expected: tells the fingerprint that the schema should have; None where there was no release.
        thresholds: from where on a figure is bad; the defaults where None.
        checks: areas of `AREAS`, or names of single checks; all where None. Connecting is always judged.
        timeout_s: of the whole. Opening the session may take up to two seconds more: libpq counts so.
        baseline: what the statements took before the last release; None where nobody noted it.
        column_order: whether the order of columns is part of the schema.

    Raises:
        Refused: `checks` names what there is not.
    """
    limit = _Limit(timeout_s=timeout_s)
    every = every_check(
        tool=tool,
        expected=expected,
        thresholds=thresholds or Thresholds(),
        baseline=baseline,
        connected_ms=lambda: limit.connected_ms,
        column_order=column_order,
    )
    wanted = chosen(tuple(every), checks)
    results: list[CheckResult] = []
    looked = 0
    try:
        with _session(dsn, limit) as conn:
            limit.connected_ms = limit.took_ms
            for check in wanted:
                results.append(_look(conn, check, limit))
                looked += 1
                if conn.broken:
                    results.insert(0, _away("The session was lost", results[-1].why))
                    break
    except FaberError as error:
        results.insert(0, _away(error.what, error.why, error.next_step))
    missed = dict.fromkeys(c.area for c in wanted[looked:])
    done = {r.area for r in results}
    results += [not_run(area, "the database could not be asked") for area in missed if area not in done]
    return HealthReport(database=str(dsn), results=tuple(results), took_ms=round(limit.took_ms, 1))


@contextlib.contextmanager
def _session(dsn: Dsn, limit: _Limit) -> Iterator[Connection]:
    bound = max(math.ceil(limit.timeout_s), 1)
    with (
        connect(
            dsn,
            purpose="health",
            statement_timeout_s=limit.timeout_s,
            lock_timeout_s=min(max(limit.timeout_s / 2, 0.1), _LOCK_TIMEOUT_S),
            connect_timeout_s=bound,
        ) as conn,
        _cut_off(conn, limit),
    ):
        conn.prepare_threshold = None  # a pooler may give the next statement to a session that knows no other
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


def _look(conn: Connection, check: Check, limit: _Limit) -> CheckResult:
    if limit.left_s <= 0:
        return not_run(check.area, f"no time was left of {limit.timeout_s:g} s", name=check.name)
    try:
        with conn.pipeline() if check.quick and _PIPELINES else contextlib.nullcontext():
            conn.execute(
                "SELECT set_config('statement_timeout', %s, false)",
                (str(max(int(limit.left_s * 1000), 1)),),
            )
            return check.look(conn)
    except psycopg.Error as error:
        return _refused_by_server(check, error)
    except FaberError as error:
        # Nothing can be said of the area while it moves; anything else is the project's own trouble.
        state = HealthState.DEGRADED if isinstance(error, Transient) else HealthState.UNHEALTHY
        return _unread(check, state, f"{error.what} {error.why}".strip(), error.next_step)


def _refused_by_server(check: Check, error: psycopg.Error) -> CheckResult:
    said, next_step = _said(error), "look at the server's log"
    if isinstance(
        error, psycopg.errors.FeatureNotSupported
    ):  # as Aurora says of what PostgreSQL keeps in files
        return not_run(check.area, f"the server does not tell: {said}", name=check.name, figure="not known")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        said, next_step = f"The role may not see it: {said}", "GRANT pg_monitor TO the role, or SELECT"
    elif isinstance(error, (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)):
        said, next_step = f"It could not be read in time: {said}", "look for locks"
    return _unread(check, HealthState.DEGRADED, said, next_step)


def _said(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _unread(check: Check, state: HealthState, why: str, next_step: str) -> CheckResult:
    return CheckResult(
        area=check.area, name=check.name, state=state, figure="not read", why=why, next_step=next_step
    )


def _away(what: str, why: str, next_step: str = "") -> CheckResult:
    return CheckResult(
        area="connectivity",
        name="connection",
        state=HealthState.UNHEALTHY,
        figure="none",
        why=f"{what} {why}".strip(),
        next_step=next_step or "check that the server runs, then try again",
    )
