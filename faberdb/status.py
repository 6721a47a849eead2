"""What every environment is now, read in parallel: revisions, last release, last snapshot, what waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from faberdb.catalog import Schema, read_schema
from faberdb.connection import Connection
from faberdb.credentials import address_source, ledger_dsn
from faberdb.errors import FaberError
from faberdb.framing import EnvironmentState, environment_state
from faberdb.given import NOTHING_GIVEN, Given
from faberdb.health.history import HealthHistory, PastLook
from faberdb.ledger import Ledger
from faberdb.project import Environment, Project
from faberdb.release.proving import Proven, proven_by_restore
from faberdb.release.record import Release, comparable_fingerprint, newest_release
from faberdb.snapshot.manifest import Manifest
from faberdb.target import open_project_ledger, store_of
from faberdb.tools.protocol import MigrationTool


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStatus:
    """One environment on one screen."""

    environment: str
    protected: bool
    hosting: str
    address: str  # where it comes from: a block, a variable, the embedded server
    state: EnvironmentState
    size: str  # as PostgreSQL prints it, "" where there is no database
    tables: int
    drifted: bool | None  # against what the last release left; None where nothing was released yet
    release: Release | None
    snapshot: Manifest | None  # the newest
    proof: Proven | None  # of the newest snapshot that was restored and found usable
    health: PastLook | None  # the last look at everything
    next_step: str

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        release = self.release
        return {
            "environment": self.environment,
            "protected": self.protected,
            "hosting": self.hosting,
            "address": self.address,
            "database": self.state.database,
            "exists": self.state.exists,
            "size": self.size,
            "tables": self.tables,
            "applied": self.state.applied,
            "pending": list(self.state.pending),
            "problem": self.state.problem,
            "drifted": self.drifted,
            "release": None
            if release is None
            else {"id": release.id, "state": release.state, "by": release.requester, "at": release.opened_at},
            "snapshot": None
            if self.snapshot is None
            else {"id": self.snapshot.id, "at": self.snapshot.created_at},
            "proof": None if self.proof is None else {"snapshot": self.proof.snapshot, "at": self.proof.at},
            "health": None
            if self.health is None
            else {"state": self.health.state, "at": self.health.at, "unwell": self.health.unwell},
            "next": self.next_step,
        }

    def text(self) -> str:
        """For people."""
        where = f"{self.state.database} ({self.hosting}{', protected' if self.protected else ''})"
        lines = [f"{self.environment:<12} {where}"]
        lines.append(f"  address      {self.address}")
        if not self.state.exists:
            lines.append(f"  database     none{': ' + self.state.problem if self.state.problem else ''}")
        else:
            lines.append(f"  database     {self.size}, {self.tables} tables")
            waiting = f", {len(self.state.pending)} pending: {', '.join(self.state.pending[:3])}"
            lines.append(
                f"  revisions    {self.state.applied} applied{waiting if self.state.pending else ', none pending'}"
            )
        if self.state.problem and self.state.exists:
            lines.append(f"  problem      {self.state.problem}")
        if self.drifted:
            lines.append(f"  drift        not what the last release left: faber-db drift {self.environment}")
        if self.release is not None:
            by = f" by {self.release.requester}" if self.release.requester else ""
            at = f"{self.release.opened_at:%Y-%m-%d %H:%M}"
            lines.append(f"  last release {self.release.id}: {self.release.state}, {at}{by}")
        lines.append(f"  snapshot     {self._snapshot_text()}")
        if self.health is not None:
            unwell = f": {'; '.join(self.health.unwell[:3])}" if self.health.unwell else ""
            lines.append(f"  health       {self.health.state}, {ago(self.health.at)}{unwell}")
        lines.append(f"  next         {self.next_step}")
        return "\n".join(lines) + "\n"

    def _snapshot_text(self) -> str:
        if self.snapshot is None:
            return "none"
        text = f"{self.snapshot.id}, {ago(self.snapshot.created_at)}"
        if self.proof is None:
            return f"{text}, never proven by a restore"
        other = "" if self.proof.snapshot == self.snapshot.id else f" ({self.proof.snapshot})"
        return f"{text}; proven by a restore {ago(self.proof.at)}{other}"


def ago(moment: datetime) -> str:
    """How long ago, in the largest unit that says enough, such as "5 min ago"."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, size in (("days", 172_800), ("h", 7_200), ("min", 120)):
        if seconds >= size:
            return f"{seconds // _UNITS_S[unit]:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


_UNITS_S: Final = {"days": 86_400, "h": 3_600, "min": 60}


def read_status(
    project: Project, environments: Sequence[Environment], given: Mapping[str, Given]
) -> list[EnvironmentStatus]:
    """Look at environments side by side.

    Args:
        project: whose.
        environments: which.
        given: what blocks say, by environment.
    """
    with open_project_ledger(project) as ledger, ThreadPoolExecutor(max_workers=8) as pool:
        looks = [pool.submit(_look, project, e, given.get(e.name, NOTHING_GIVEN)) for e in environments]
        releases = {e.name: newest_release(ledger, e.name) for e in environments}
        proofs = {e.name: next(proven_by_restore(ledger, e.name), None) for e in environments}
        health = {e.name: _last_look(ledger, project, e.name) for e in environments}
        snapshots = {
            e.name: _newest_snapshot(project, e.name, given.get(e.name, NOTHING_GIVEN)) for e in environments
        }
        return [
            _status(
                e,
                look.result(),
                releases[e.name],
                _drifted(ledger, project, e.name, look.result()),
                snapshots[e.name],
                proofs[e.name],
                health[e.name],
            )
            for e, look in zip(environments, looks, strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    state: EnvironmentState
    address: str
    size: str = ""
    tables: int = 0
    schema: Schema | None = None


def _look(project: Project, environment: Environment, given: Given) -> _Look:
    try:
        address = address_source(project, environment, given)
    except FaberError:  # the tool's schema is not readable; the state says so
        address = "unknown"
    seen: list[tuple[str, int, Schema]] = []
    ordered = project.config.drift.column_order
    state = environment_state(
        project,
        environment,
        given,
        also=lambda conn, tool: seen.append(_size_and_schema(conn, tool, ordered)),
    )
    if not seen:
        return _Look(state=state, address=address)
    size, tables, schema = seen[0]
    return _Look(state=state, address=address, size=size, tables=tables, schema=schema)


def _size_and_schema(conn: Connection, tool: MigrationTool, ordered: bool) -> tuple[str, int, Schema]:
    row = conn.execute(
        "SELECT pg_size_pretty(pg_database_size(current_database())), (SELECT count(*) FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema'))"
    ).fetchone()
    assert row is not None
    schema = read_schema(conn, leave_out=tool.tracking_tables, column_order=ordered)
    return row[0], row[1], schema


def _drifted(ledger: Ledger, project: Project, environment: str, look: _Look) -> bool | None:
    if look.schema is None:
        return None
    ignore = project.config.drift.ignore
    expected = comparable_fingerprint(ledger, environment, found=look.schema, ignore=ignore)
    return look.schema.fingerprint != expected if expected else None


def _newest_snapshot(project: Project, environment: str, given: Given) -> Manifest | None:
    found = store_of(project, given).list(project.name, environment)
    return max(found, key=lambda m: m.created_at, default=None)


def _last_look(ledger: Ledger, project: Project, environment: str) -> PastLook | None:
    looks = HealthHistory(
        conn=ledger.conn, address=ledger_dsn(project), project=project.name, environment=environment
    ).looks(1)
    return looks[0] if looks else None


def _status(
    environment: Environment,
    look: _Look,
    release: Release | None,
    drifted: bool | None,
    snapshot: Manifest | None,
    proof: Proven | None,
    health: PastLook | None,
) -> EnvironmentStatus:
    return EnvironmentStatus(
        environment=environment.name,
        protected=environment.policy.protected,
        hosting=environment.hosting.value,
        address=look.address,
        state=look.state,
        size=look.size,
        tables=look.tables,
        drifted=drifted,
        release=release,
        snapshot=snapshot,
        proof=proof,
        health=health,
        next_step=_next(environment.name, look.state, release),
    )


def _next(name: str, state: EnvironmentState, release: Release | None) -> str:
    if release is not None and release.open:
        if release.state == "waiting for approval":
            return f"faber-db approve {release.id} --as NAME"
        return f"faber-db migrate {name}   (continues {release.id})"
    if state.problem:
        return f"faber-db health-check {name}"
    if not state.exists:
        return f"faber-db db-create {name}"
    return f"faber-db migrate {name}" if state.pending else "nothing to do"
