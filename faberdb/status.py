"""What every environment is now, read in parallel: revisions, last release, last snapshot, what waits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from msgspec import Struct

from faberdb.credentials import ledger_dsn
from faberdb.errors import FaberError
from faberdb.framing import EnvironmentState
from faberdb.given import Given
from faberdb.health.history import HealthHistory, PastLook
from faberdb.ledger import Kind, Ledger
from faberdb.look import EnvironmentLook, Looking
from faberdb.project import Environment, Project
from faberdb.proofs import Proven, last_proof
from faberdb.release.approval import Decision, vote_from_json
from faberdb.release.record import (
    WAITING,
    Release,
    comparable_fingerprint,
    newest_release,
    read_release,
    rollback_asked,
)
from faberdb.snapshot.manifest import Manifest
from faberdb.target import open_project_ledger, store_of


class Waiting(Struct, frozen=True, kw_only=True):
    """A question to people that is open."""

    release: str
    rollback: bool  # it is asked whether to take the release back
    since: datetime

    @property
    def command(self) -> str:
        """What says yes."""
        return f"faber-db approve {self.release}{' --rollback' if self.rollback else ''} --as NAME"


class EnvironmentStatus(Struct, frozen=True, kw_only=True):
    """One environment on one screen."""

    environment: str
    protected: bool
    hosting: str
    address: str  # where it comes from: a block, a variable, the embedded server
    state: EnvironmentState
    size: str  # as PostgreSQL prints it, "" where there is no database
    tables: int
    drifted: bool | None  # against what the last release left; None where nothing was released yet
    release: Release | None  # the last that does not wait for a person
    waiting: tuple[Waiting, ...]  # open approvals
    snapshot: Manifest | None  # the newest
    snapshot_problem: str  # why nobody knows, "" where it is known
    proof: Proven | None  # the newest
    health: PastLook | None  # the last look at everything
    next_step: str

    @property
    def approvers(self) -> list[str]:
        """Who said yes to the last release."""
        votes = self.release.votes if self.release is not None else ()
        return [v.approver for v in votes if v.decision is Decision.APPROVE]

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
            else {
                "id": release.id,
                "state": release.state,
                "by": release.requester,
                "approved_by": self.approvers,
                "at": release.opened_at,
            },
            "waiting": [
                {"release": w.release, "rollback": w.rollback, "since": w.since} for w in self.waiting
            ],
            "snapshot": None
            if self.snapshot is None
            else {"id": self.snapshot.id, "at": self.snapshot.created_at},
            "snapshot_problem": self.snapshot_problem,
            "proof": None if self.proof is None else {"snapshot": self.proof.snapshot, "at": self.proof.at},
            "health": None
            if self.health is None
            else {"state": self.health.state, "at": self.health.at, "unwell": self.health.unwell},
            "next": self.next_step,
        }


def read_status(project: Project, looks: Sequence[Looking]) -> list[EnvironmentStatus]:
    """What the ledger and the snapshots say of environments, beside what their databases are.

    Args:
        project: whose.
        looks: at which, as `begin_looks` began them.
    """
    chosen = [look.environment for look in looks]
    with open_project_ledger(project) as ledger, ThreadPoolExecutor(max_workers=1) as pool:
        kept = pool.submit(_all_snapshots, project, looks[0].given)
        releases = {e.name: _releases(ledger, e) for e in chosen}
        proofs = {e.name: last_proof(ledger, e.name) for e in chosen}
        health = {e.name: _last_look(ledger, project, e.name) for e in chosen}
        snapshots, problem = kept.result()
        return [
            _status(
                e,
                look,
                *releases[e.name],
                _drifted(ledger, project, e.name, look),
                next((m for m in snapshots if m.environment == e.name), None),
                problem,
                proofs[e.name],
                health[e.name],
            )
            for e, look in ((looking.environment, looking.seen.result()) for looking in looks)
        ]


def _drifted(ledger: Ledger, project: Project, environment: str, look: EnvironmentLook) -> bool | None:
    if look.schema is None:
        return None
    ignore = project.config.drift.ignore
    expected = comparable_fingerprint(ledger, environment, found=look.schema, ignore=ignore)
    return look.schema.fingerprint != expected if expected else None


def _all_snapshots(project: Project, given: Given) -> tuple[tuple[Manifest, ...], str]:
    """Newest first, and why they are not known; a bucket that is away hides nothing else."""
    try:
        return store_of(project, given).list(project.name), ""
    except FaberError as error:
        return (), error.reason


def _releases(ledger: Ledger, environment: Environment) -> tuple[Release | None, tuple[Waiting, ...]]:
    """The last release that does not wait for a person, and what waits for one."""
    newest = newest_release(ledger, environment.name)
    if newest is None or newest.asked_at is None or newest.state != WAITING:
        undo = _undo_waiting(ledger, environment, newest)
        return newest, (undo,) if undo else ()
    waiting = (Waiting(release=newest.id, rollback=False, since=newest.asked_at),)
    opened = ledger.newest_first(Kind.RELEASE_OPENED, environment=environment.name)
    before = next(islice(opened, 1, None), None)
    return (read_release(ledger, before.release) if before else None), waiting


def _undo_waiting(ledger: Ledger, environment: Environment, release: Release | None) -> Waiting | None:
    """Whether people are asked to take the last release back, and nobody has refused or let it expire."""
    if release is None or release.rollback_opened:
        return None
    asked = rollback_asked(ledger, release)
    patience = timedelta(seconds=environment.policy.approval_timeout_s("standard"))
    if asked is None or datetime.now(UTC) - asked.at > patience:
        return None
    votes = ledger.entries(release=asked.release, kind=Kind.VOTE_CAST, after=asked.seq)
    refused = any(vote_from_json(e.body).decision is Decision.REJECT for e in votes)
    return None if refused else Waiting(release=release.id, rollback=True, since=asked.at)


def _last_look(ledger: Ledger, project: Project, environment: str) -> PastLook | None:
    looks = HealthHistory(
        conn=ledger.conn, address=ledger_dsn(project), project=project.name, environment=environment
    ).looks(1)
    return looks[0] if looks else None


def _status(
    environment: Environment,
    look: EnvironmentLook,
    release: Release | None,
    waiting: tuple[Waiting, ...],
    drifted: bool | None,
    snapshot: Manifest | None,
    snapshot_problem: str,
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
        waiting=waiting,
        snapshot=snapshot,
        snapshot_problem=snapshot_problem,
        proof=proof,
        health=health,
        next_step=_next(environment.name, look.state, release, waiting),
    )


def _next(name: str, state: EnvironmentState, release: Release | None, waiting: tuple[Waiting, ...]) -> str:
    if waiting:
        return waiting[0].command
    if release is not None and release.open:
        return f"faber-db migrate {name}   (continues {release.id})"
    if state.problem:
        return f"faber-db health-check {name}"
    if not state.exists:
        return f"faber-db db-create {name}"
    return f"faber-db migrate {name}" if state.pending else "nothing to do"
