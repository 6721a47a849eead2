"""Running a plan on a restored copy before it runs for real, and keeping what was learnt as evidence.

The copy is made from a fresh snapshot of the environment, so a rehearsal also proves that the
environment's snapshots restore: the undo rests on that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from faberdb.catalog import read_schema
from faberdb.checks import run_checks
from faberdb.connection import connect, flushed_together
from faberdb.databases import drop_database, fitting_name
from faberdb.dsn import Dsn
from faberdb.errors import FaberError
from faberdb.ledger import Kind
from faberdb.ledger.schemas import keep_schema
from faberdb.plan import Plan, plan_to_json
from faberdb.progress import Progress
from faberdb.release.stepping import Stepping
from faberdb.snapshot.restore import restore_beside
from faberdb.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a rehearsal of one digest showed."""

    digest: str
    ok: bool
    message: str  # what failed, "" when it went through
    snapshot: str  # the snapshot that was restored and compared
    restore_s: float  # how long an undo by restoring should take
    step_s: tuple[tuple[str, float], ...]  # revision and its seconds
    fingerprint_after: str  # of the schema when every step ran, "" when one failed


_ADAPTER = TypeAdapter(Evidence)


def find_evidence(target: Target, digest: str) -> Evidence | None:
    """The newest rehearsal of a digest, or None."""
    found = target.ledger.entries(release=digest, kind=Kind.EVIDENCE_FOUND, newest_first=True, limit=1)
    return _ADAPTER.validate_python(found[0].body) if found else None


def rehearse(target: Target, plan: Plan, snapshot: str, progress: Progress) -> Evidence:
    """Restore a snapshot beside, run the plan there and write the evidence into the ledger.

    Returns:
        The evidence, also when the plan failed on the copy. Evidence that it works is not gathered twice.
    """
    known = find_evidence(target, plan.digest)
    if known is not None and known.ok:
        return known
    copy = target.dsn.with_database(_copy_name(plan))
    bound = target.project.config.backup.timeout_seconds
    progress(f"restoring a copy of {plan.database}")
    began = time.monotonic()
    restore_beside(target.store, snapshot, copy, live=target.dsn, progress=progress, timeout_s=bound)
    restored = time.monotonic() - began
    try:
        evidence = _run(target, plan, copy, snapshot, restored, progress)
    finally:
        drop_database(copy)
    target.ledger.append(
        Kind.PLAN_FROZEN, release=plan.digest, environment=target.name, body=plan_to_json(plan)
    )
    body: Mapping[str, Any] = _ADAPTER.dump_python(evidence, mode="json")
    target.ledger.append(Kind.EVIDENCE_FOUND, release=plan.digest, environment=target.name, body=body)
    return evidence


def _run(
    target: Target, plan: Plan, copy: Dsn, snapshot: str, restored: float, progress: Progress
) -> Evidence:
    on_disk = {r.name: r for r in target.tool.revisions()}
    timings: list[tuple[str, float]] = []
    message, fingerprint = "", ""
    try:
        with connect(copy, purpose="rehearse") as conn, flushed_together(conn):
            target.tool.ensure_tracking(conn)
            keep_schema(target.ledger, read_schema(conn, leave_out=target.tool.tracking_tables))
            steps = Stepping(target=target, conn=conn, plan=plan, on_disk=on_disk, progress=progress)
            for step in plan.steps:
                progress(f"rehearsing {step.revision}")
                began = time.monotonic()
                steps.run(step)
                timings.append((step.revision, round(time.monotonic() - began, 3)))
            after = read_schema(conn, leave_out=target.tool.tracking_tables)
            keep_schema(target.ledger, after)
            fingerprint = after.fingerprint
        message = _checks_message(target, copy, progress)
    except FaberError as error:
        message = error.reason
    return Evidence(
        digest=plan.digest,
        ok=not message,
        message=message,
        snapshot=snapshot,
        restore_s=round(restored, 3),
        step_s=tuple(timings),
        fingerprint_after=fingerprint if not message else "",
    )


def _checks_message(target: Target, copy: Dsn, progress: Progress) -> str:
    """The project's checks that hold everywhere must hold on the copy too."""
    outcomes = run_checks(copy, target.project.checks_for("rehearsal"), progress=progress)
    return "; ".join(f"the check {o.name!r} failed: {o.message}" for o in outcomes if not o.passed)


def _copy_name(plan: Plan) -> str:
    return fitting_name(plan.database, f"_rehearsal_{plan.digest[:8]}")
