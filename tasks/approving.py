"""Opening a release and hearing what people decide about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from prefect import task
from prefect.input import RunInput
from pydantic import Field

from faberdb.policy import Autonomy, asks
from faberdb.project import load_project
from faberdb.release import opening, permission, restoration, rollback
from faberdb.release.approval import Decision, Verdict, Vote
from faberdb.release.record import Outcome, Release, read_release
from faberdb.release.rehearsal import find_evidence
from faberdb.report import plan_markdown, release_markdown
from faberdb.target import Target
from faberdb.workitem import title_of
from tasks.announcing import announced
from tasks.policies import IDEMPOTENT, ONCE, READ
from tasks.resolving import environment_of, release_of


class ApprovalForm(RunInput):
    """What the approver fills in. No field that decides has a default: resuming around it fails."""

    decision: Literal["approve", "reject"] = Field(title="Decision")
    approver: str = Field(title="Your name", description="Someone other than the requester.")
    comment: str = Field(default="", title="Comment")
    phrase: str = Field(
        default="",
        title="Confirmation phrase",
        description="Only where the plan asks for it: proceed-with-destructive-changes",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Where a wish to release stands."""

    release: str  # "" when there is nothing to release
    waiting: bool  # a person has to decide
    question: str  # Markdown for the person
    timeout_s: int

    @property
    def key(self) -> str:
        """Names the suspension: stable over replays, and of the characters that Prefect's inputs take."""
        return re.sub(r"[^a-z0-9]+", "-", f"approval-{self.release}".lower())


NOTHING = Asked(release="", waiting=False, question="", timeout_s=0)


@task(**READ)
def asks_person(project: str, environment: str, autonomy: Autonomy) -> bool:
    """Whether releases of this environment wait for a vote at this level of autonomy."""
    return asks(load_project(project).environment(environment).policy, autonomy)


@task(**IDEMPOTENT)
def ask_for_release(
    project: str,
    environment: str,
    work_item: str,
    requester: str,
    autonomy: Autonomy,
    run: str,
    skip_backup: bool,
) -> Asked:
    """Freeze the plan and open its release, or find the one that is open."""
    with environment_of(project, environment) as target, announced(target):
        unfinished = opening.unfinished_release(target)
        if unfinished is not None:
            return _asked(target, unfinished, waiting=False)
        change = title_of(target.project.root, work_item)
        plan = opening.plan_target(target, change=change, requester=requester, skip_backup=skip_backup)
        if plan.empty:
            return NOTHING
        release = opening.open_release(target, plan, run=run)
        if not permission.needs_person(target, release, autonomy):
            return _asked(target, release, waiting=False)
        permission.ask_approval(target, release)
        release = read_release(target.ledger, release.id)
        return _asked(target, release, waiting=permission.permission(target, release) is Verdict.WAITING)


@task(**IDEMPOTENT)
def ask_for_rollback(
    project: str, environment: str, release: str, snapshot: str, requester: str, cause: str, run: str
) -> Asked:
    """Find the release to take back, or open the restoration of a snapshot; does a person have to agree?"""
    with environment_of(project, environment) as target, announced(target):
        if snapshot:
            record = restoration.open_restoration(target, snapshot, requester=requester, run=run)
        else:
            record = rollback.find_release(target, release)
        rollback.check_can_roll_back(target, record)
        waiting = permission.ask_rollback(target, record, requester=requester, cause=cause, run=run)
        return Asked(
            release=record.id,
            waiting=waiting,
            question=f"# Take back {record.id}?\n\n{cause}\n\n{release_markdown(record)}",
            timeout_s=_timeout(target, record),
        )


@task(**ONCE)
def record_decision(project: str, environment: str, release: str, answer: dict[str, str]) -> None:
    """Write the answer of the form into the ledger as a vote on the release's digest."""
    with release_of(project, environment, release) as (target, record):
        permission.cast_vote(target, record, vote_of(record.digest, answer))


@task(**ONCE)
def record_rollback_decision(project: str, environment: str, release: str, answer: dict[str, str]) -> None:
    """Write the answer of the form into the ledger as a vote on taking the release back."""
    with release_of(project, environment, release) as (target, record):
        permission.cast_rollback_vote(target, record, vote_of(permission.rollback_digest(record), answer))


@task(**ONCE)
def require_permission(project: str, environment: str, release: str, autonomy: Autonomy) -> str:
    """Pass only with the approval that this release needs; returns its id."""
    with release_of(project, environment, release) as (target, record):
        if record.outcome is None and permission.needs_person(target, record, autonomy):
            permission.require_permission(target, record)
        return record.id


@task(**ONCE)
def require_rollback_permission(project: str, environment: str, release: str) -> str:
    """Pass only with the approval that taking this release back needs; returns its id."""
    with release_of(project, environment, release) as (target, record):
        permission.require_rollback_permission(target, record)
        return record.id


def vote_of(digest: str, answer: dict[str, str]) -> Vote:
    """A form's answer as a vote."""
    return Vote(
        digest=digest,
        decision=Decision(answer["decision"]),
        approver=answer["approver"],
        comment=answer.get("comment", ""),
        phrase=answer.get("phrase", ""),
    )


def _asked(target: Target, release: Release, *, waiting: bool) -> Asked:
    evidence = find_evidence(target, release.digest)
    return Asked(
        release="" if release.outcome is Outcome.RELEASED else release.id,
        waiting=waiting,
        question=f"# Release to {release.environment}?\n\n{plan_markdown(release.plan, evidence)}",
        timeout_s=_timeout(target, release),
    )


def _timeout(target: Target, release: Release) -> int:
    return int(target.environment.policy.approval_timeout_s(release.plan.approval.value))
