"""The steps of a release: prove the plan still holds, snapshot, apply, verify. Each is an ensure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from faberdb.connection import connect, flushed_together
from faberdb.errors import PlanStale, Refused, SnapshotUnusable, VerificationFailed
from faberdb.history import read_history
from faberdb.ledger import Kind
from faberdb.ledger.schemas import has_schema
from faberdb.plan import Plan, StepKind
from faberdb.point_in_time import recoverable, this_moment
from faberdb.progress import Kept, Progress
from faberdb.release.evidence import find_evidence
from faberdb.release.journal import Journal
from faberdb.release.leftovers import APPLYING, hold_tool
from faberdb.release.lock import require_lock
from faberdb.release.opening import close_release, plan_target
from faberdb.release.permission import require_permission
from faberdb.release.proving import STEP as PROVE
from faberdb.release.proving import prove_snapshot, require_proven
from faberdb.release.record import Outcome, Release
from faberdb.release.stepping import Stepping
from faberdb.revision import Standing
from faberdb.snapshot.request import SnapshotRequest
from faberdb.snapshot.store import snapshot_id_of_release
from faberdb.snapshot.take import take_snapshot
from faberdb.snapshot.template import take_template
from faberdb.target import Target


def journal_of(target: Target, release: Release) -> Journal:
    """The release's journal."""
    return Journal(ledger=target.ledger, release=release.id, environment=release.environment)


def check_plan(target: Target, release: Release) -> dict[str, Any]:
    """Recompute the digest from what is about to run and from the database's schema (law 1).

    Raises:
        PlanStale: either moved since the plan was made; nothing was changed.
        NotApproved, ApprovalPending: the environment's policy asks for a person, whoever runs this.
        Refused: it ended while its lock was waited for.
    """
    _refuse_ended(release)
    if target.environment.policy.insists:
        require_permission(target, release)

    def look(progress: Progress) -> Mapping[str, Any]:
        now = plan_target(
            target,
            change=release.plan.change,
            requester=release.requester,
            skip_backup=not release.plan.snapshot,
        )
        if now.digest != release.digest:
            raise PlanStale(
                f"The plan {release.digest[:12]} no longer holds for {release.environment}; nothing was run.",
                why=what_moved(release.plan, now),
                next_step=f"faber-db plan {release.environment}, and have the new plan approved",
            )
        if not has_schema(target.ledger, now.fingerprint):
            target.record_schema()
        return {"digest": now.digest}

    return journal_of(target, release).ensure("check plan", look)


def what_moved(planned: Plan, now: Plan) -> str:
    """Why two plans' digests differ, in words."""
    if planned.fingerprint != now.fingerprint:
        return "The database's schema changed since the plan was made."
    if planned.applied != now.applied:
        return "Revisions were applied or resolved since the plan was made."
    before = {(s.revision, s.checksum) for s in planned.steps}
    after = {(s.revision, s.checksum) for s in now.steps}
    if before != after:
        names = sorted({name for name, _ in before ^ after})
        return f"The revisions to run changed: {', '.join(names)}."
    return "The policy, the budgets or the way of undoing changed since the plan was made."


def snapshot_release(target: Target, release: Release) -> dict[str, Any]:
    """Take the release's snapshot, once; a finished one is found and checked again.

    Returns:
        `{"snapshot": id}`, with an empty id where the plan takes none.
    """
    if not release.plan.snapshot:
        return {"snapshot": ""}

    def take(progress: Progress) -> Mapping[str, Any]:
        id_ = snapshot_id_of_release(release.id)
        return take_environment_snapshot(
            target, id_, reason="before release", release=release.id, note=progress
        )

    return journal_of(target, release).ensure("snapshot", take)


def prove_release_snapshot(target: Target, release: Release) -> dict[str, Any]:
    """Prove the release's snapshot as the plan says; one that does not hold ends the release before it ran anything.

    Raises:
        SnapshotUnusable: it does not hold. The next release takes another.
        Refused, CommandFailed, Transient: it could not be restored; nothing was run.
    """
    try:
        return prove_snapshot(target, release)
    except SnapshotUnusable as error:
        close_release(target, release, Outcome.ABORTED, cause=error.reason)
        raise SnapshotUnusable(
            error.what,
            why=f"{error.why} Nothing was run.".strip(),
            next_step=f"faber-db migrate {release.environment}, which asks anew and takes another snapshot",
        ) from error


def take_environment_snapshot(
    target: Target,
    id_: str,
    *,
    note: Progress,
    label: str = "",
    reason: str = "",
    release: str = "",
    retention_days: int | None = None,
) -> dict[str, Any]:
    """Take one snapshot of the environment and write it into the ledger.

    Raises:
        Refused: it would be kept for less than a day.
    """
    policy = target.environment.policy
    if retention_days is not None and retention_days < 1:
        raise Refused(
            f"A snapshot cannot be kept for {retention_days} days; none was taken.",
            next_step=f"faber-db backup {target.name} --retention DAYS, at least 1",
        )
    wanted = SnapshotRequest(
        id=id_,
        project=target.project.name,
        environment=target.name,
        label=label,
        reason=reason,
        retention_days=retention_days or policy.retention_days,
        revisions=_applied(target),
        tracking_tables=target.tool.tracking_tables,
        release_id=release or None,
        checksums=target.project.config.backup.checksums,
    )
    timeout_s = target.project.config.backup.timeout_seconds
    manifest = None
    if policy.templates:
        manifest = take_template(target.dsn, target.store, wanted, progress=note, timeout_s=timeout_s)
    if manifest is None:
        manifest = take_snapshot(target.dsn, target.store, wanted, progress=note, timeout_s=timeout_s)
    if target.ledger.newest(Kind.SNAPSHOT_TAKEN, release=id_) is None:
        target.ledger.append(
            Kind.SNAPSHOT_TAKEN,
            release=id_,
            environment=target.name,
            body={"snapshot": id_, "bytes": manifest.bytes, "fingerprint": manifest.schema_fingerprint},
        )
    return {"snapshot": id_, "bytes": manifest.bytes, "rows": sum(manifest.row_counts.values())}


def apply_release(target: Target, release: Release) -> dict[str, Any]:
    """Apply the plan's revisions in order, exactly those; what is applied already stays.

    Raises:
        SnapshotUnusable: the plan's undo needs a snapshot and there is none; nothing was run.
        RevisionFailed: a revision failed; earlier ones of this plan stay applied.
    """
    _refuse_ended(release)
    if target.environment.policy.insists:
        require_permission(target, release)  # law 2, however the call came here
    require_lock(target.dsn, release.id)
    if release.plan.snapshot and not release.snapshot:
        raise SnapshotUnusable(
            f"Release {release.id} has no snapshot, and its undo needs one; nothing was run.",
            next_step=f"faber-db migrate {release.environment}",
        )
    require_proven(release)

    if "apply" not in release.steps:
        _name_moment(target, release)

    def apply(progress: Progress) -> Mapping[str, Any]:
        on_disk = {r.name: r for r in target.tool.revisions()}
        with connect(target.dsn, purpose=f"{APPLYING} {release.id}") as conn:
            target.tool.ensure_tracking(conn)
            with hold_tool(target, conn, release.id, progress), flushed_together(conn):
                applied = {t.name for t in target.tool.tracked(conn) if t.standing is Standing.APPLIED}
                begun = not applied.isdisjoint(s.revision for s in release.plan.steps)
                if not begun:
                    _require_fresh_snapshot(target, release)
                steps = Stepping(
                    target=target, conn=conn, plan=release.plan, on_disk=on_disk, progress=progress
                )
                for step in release.plan.steps:
                    if step.revision in applied or (begun and step.kind is StepKind.REVERT):
                        continue
                    progress(f"applying {step.revision}")
                    with _said_if_interrupted(step.revision, progress):
                        steps.run(step)
                    progress(f"applied {step.revision}")
        return {"revisions": [s.revision for s in release.plan.steps]}

    return journal_of(target, release).ensure("apply", apply)


def _name_moment(target: Target, release: Release) -> None:
    """Write down the moment before the first effect, where the server could be recovered to it."""

    with connect(target.dsn, purpose=f"{APPLYING} {release.id}") as conn:
        by = recoverable(conn, target.environment.hosting)
        if by:
            journal_of(target, release).ensure(
                "point in time", lambda progress: {"by": by, **this_moment(conn)}
            )


@contextmanager
def _said_if_interrupted(revision: str, progress: Progress) -> Iterator[None]:
    try:
        yield
    except Exception:
        raise
    except BaseException:
        progress(
            Kept(f"the statement of {revision} that was running was cancelled; what came before it stays")
        )
        raise


def stale_snapshot(target: Target, release: Release) -> str:
    """How old the release's snapshot is, in words, where it holds too little of what an undo should bring back."""
    taken = release.steps.get("snapshot")
    minutes = (datetime.now(UTC) - taken.at).total_seconds() / 60 if taken else 0.0
    return f"{minutes:.0f} minutes" if minutes > target.project.config.backup.fresh_minutes else ""


def _require_fresh_snapshot(target: Target, release: Release) -> None:
    age = stale_snapshot(target, release)
    if not (release.plan.snapshot and age):
        return
    proven = (release.done(PROVE) or {}).get("seconds", 0.0)
    if proven > 60 * target.project.config.backup.fresh_minutes:
        raise SnapshotUnusable(
            f"The snapshot of {release.id} is {age} old; nothing was run.",
            why=f"Restoring it to prove it took {proven / 60:.0f} minutes, and the next would take as long.",
            next_step=f"raise backup.fresh_minutes, or set safety.snapshot_proof.{release.environment} to recent;"
            f" then: faber-db migrate {release.environment}",
        )
    raise SnapshotUnusable(
        f"The snapshot of {release.id} is {age} old; nothing was run.",
        why="Its run stopped between the snapshot and the first step, and the database was written to since.",
        next_step=f"faber-db migrate {release.environment}, which asks anew and takes a fresh one",
    )


def _refuse_ended(release: Release) -> None:
    if release.outcome not in {None, Outcome.RELEASED}:
        raise Refused(
            f"Release {release.id} has ended: {release.state}; nothing was run.",
            next_step=f"faber-db migrate {release.environment}",
        )


def verify_revisions(target: Target, release: Release) -> dict[str, Any]:
    """Everything applied, nothing left open, and the schema as it came out of the rehearsal.

    Raises:
        VerificationFailed: says what differs.
    """

    def look(progress: Progress) -> Mapping[str, Any]:
        with connect(target.dsn, purpose=f"verify {release.id}") as conn:
            history = read_history(target.tool.revisions(), target.tool.tracked(conn))
        fingerprint = target.record_schema()
        tracked = [s.revision for s in release.plan.steps if s.kind is not StepKind.REVERT]
        left = [name for name in tracked if name not in history.applied_names]
        if left:
            raise VerificationFailed(f"Revisions are not applied after the release: {', '.join(left)}.")
        evidence = find_evidence(target, release.digest)
        rehearsed = evidence.fingerprint_after if evidence is not None and evidence.ok else ""
        if rehearsed and rehearsed != fingerprint:  # "" from a copy whose schema cannot be compared
            raise VerificationFailed(
                "The schema is not as it came out of the rehearsal.",
                why=f"rehearsed {rehearsed[:12]}, now {fingerprint[:12]}: something else"
                " changed it meanwhile, or a revision depends on data",
            )
        return {"fingerprint": fingerprint, "rehearsed": evidence is not None}

    return journal_of(target, release).ensure("verify revisions", look)


def _applied(target: Target) -> tuple[str, ...]:
    with connect(target.dsn, purpose="read history") as conn:
        return tuple(t.name for t in target.tool.tracked(conn) if t.standing is Standing.APPLIED)
