"""The steps of a release, one task each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import task

from faberdb.policy import refuse_skips as check_skips
from faberdb.release import execution, proving, verification
from faberdb.release.lock import hold_environment
from faberdb.release.opening import close_release
from faberdb.release.record import Outcome
from tasks.policies import IDEMPOTENT, ONCE, READ
from tasks.progressing import PROOF, SNAPSHOT, progress_shown, revisions_done
from tasks.resolving import environment_of, policy_of, release_of


@contextmanager
def exclusive(project: str, environment: str, release: str) -> Iterator[None]:
    """Hold the environment's release lock for the steps inside; not a task, because it spans them."""
    with environment_of(project, environment) as target:
        dsn = target.dsn
    with hold_environment(dsn, release):
        yield


@task(**READ)
def unfinished_undo(project: str, environment: str, release: str) -> str:
    """Why the release is being taken back, when a run died while it did that; "" when nothing is."""
    with release_of(project, environment, release) as (_, record):
        return record.cause if record.open and record.rollback_opened else ""


@task(**READ)
def refuse_skips(project: str, environment: str, backup: bool, health: bool) -> None:
    """Refuse to skip what the environment's policy requires."""
    check_skips(policy_of(project, environment), environment, backup=backup, health=health)


@task(**READ)
def check_plan(project: str, environment: str, release: str) -> dict[str, Any]:
    """Refuse if the plan or the database moved since the approval."""
    with release_of(project, environment, release) as (target, record):
        return execution.check_plan(target, record)


@task(**READ)
def check_health_before(project: str, environment: str, release: str, skip: bool) -> dict[str, Any]:
    """Refuse to start on an unhealthy database."""
    with release_of(project, environment, release) as (target, record):
        return verification.health_before(target, record, skip=skip)


@task(**IDEMPOTENT)
def take_snapshot(project: str, environment: str, release: str) -> dict[str, Any]:
    """Take the release's one snapshot."""
    with (
        release_of(project, environment, release) as (target, record),
        progress_shown(record, "snapshot", SNAPSHOT),
    ):
        return execution.snapshot_release(target, record)


@task(**IDEMPOTENT)
def prove_snapshot(project: str, environment: str, release: str) -> dict[str, Any]:
    """Prove the release's snapshot as the plan says."""
    with (
        release_of(project, environment, release) as (target, record),
        progress_shown(record, proving.STEP, PROOF),
    ):
        return execution.prove_release_snapshot(target, record)


@task(**IDEMPOTENT)
def apply_plan(project: str, environment: str, release: str) -> dict[str, Any]:
    """Apply exactly the plan's revisions, in order."""
    with (
        release_of(project, environment, release) as (target, record),
        progress_shown(record, "apply", revisions_done(record)),
    ):
        return execution.apply_release(target, record)


@task(**READ)
def verify_revisions(project: str, environment: str, release: str) -> dict[str, Any]:
    """Everything is applied and the schema is as rehearsed."""
    with release_of(project, environment, release) as (target, record):
        return execution.verify_revisions(target, record)


@task(**READ)
def check_health_after(project: str, environment: str, release: str, skip: bool) -> dict[str, Any]:
    """The database is well and the project's checks hold."""
    with release_of(project, environment, release) as (target, record):
        return verification.health_after(target, record, skip=skip)


@task(**ONCE)
def close_released(project: str, environment: str, release: str) -> dict[str, Any]:
    """Write the good end."""
    with release_of(project, environment, release) as (target, record):
        fingerprint = (record.done("verify revisions") or {}).get("fingerprint", "")
        close_release(target, record, Outcome.RELEASED, fingerprint=fingerprint)
        return {"release": release, "outcome": Outcome.RELEASED.value, "fingerprint": fingerprint}
