"""Opening a release and hearing what people decide about it."""

from __future__ import annotations

import re
from typing import Any, Literal

from msgspec import Struct
from prefect import task
from prefect.input import RunInput
from pydantic import Field

from faberdb.markdown import code
from faberdb.plan import ApprovalLevel
from faberdb.policy import Autonomy, asks
from faberdb.question import approval_question
from faberdb.release import opening, permission, restoration, rollback
from faberdb.release.approval import Decision, Verdict, Vote, approving
from faberdb.release.evidence import find_evidence
from faberdb.release.record import Outcome, Release, read_release
from faberdb.release.undo_preview import preview_undo
from faberdb.report import release_markdown
from faberdb.risk import CONFIRMATION_PHRASE
from faberdb.target import Target
from faberdb.workitem import title_of
from tasks.announcing import announced
from tasks.policies import IDEMPOTENT, ONCE, READ
from tasks.resolving import environment_of, policy_of, release_of


class ApprovalForm(RunInput):
    """What the approver fills in. No field that decides has a default: resuming around it fails."""

    decision: Literal["approve", "reject"] = Field(title="Decision")
    approver: str = Field(title="Your name", description="Someone other than the requester.")
    comment: str = Field(default="", title="Comment", description="Kept in the ledger with your decision.")


class DestructiveApprovalForm(ApprovalForm):
    """The same for a plan that destroys something."""

    phrase: str = Field(
        default="",
        title="Confirmation phrase",
        description=f"This plan destroys something. To approve it, type: {CONFIRMATION_PHRASE}",
    )


class Asked(Struct, frozen=True, kw_only=True):
    """Where a wish to release stands."""

    release: str  # "" when there is nothing to release
    waiting: bool  # a person has to decide
    question: str  # Markdown for the person
    timeout_s: int
    votes: int = 0  # how many people said yes
    destructive: bool = False  # the approver has to type the phrase

    @property
    def key(self) -> str:
        """Names the suspension: stable over replays, and of the characters that Prefect's inputs take."""
        return re.sub(r"[^a-z0-9]+", "-", f"approval-{self.release}-{self.votes}".lower())

    @property
    def form(self) -> type[ApprovalForm]:
        """What the person fills in."""
        return DestructiveApprovalForm if self.destructive else ApprovalForm


NOTHING = Asked(release="", waiting=False, question="", timeout_s=0)


@task(**READ)
def asks_person(project: str, environment: str, autonomy: Autonomy) -> bool:
    """Whether releases of this environment wait for a vote at this level of autonomy."""
    return asks(policy_of(project, environment), autonomy)


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
        change = title_of(target.project.root, work_item)
        plan = opening.find_or_plan(target, change=change, requester=requester, skip_backup=skip_backup)
        if isinstance(plan, Release):
            return _asked(target, plan, waiting=False)
        if plan.empty:
            return NOTHING
        if asks(target.environment.policy, autonomy):
            permission.require_requester(plan.requester, f"A release to {environment}")
        release = opening.open_release(target, plan, run=run)
        if release.touched or not permission.needs_person(target, release, autonomy):
            return _asked(target, release, waiting=False)
        if release.run != run and permission.close_expired(target, release):
            release = opening.open_release(target, plan, run=run)
        permission.ask_approval(target, release, run)
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
        votes, digest = permission.rollback_votes(target, record), permission.rollback_digest(record)
        return Asked(
            release=record.id,
            waiting=waiting,
            question=_text(
                f"# Take back {record.id}?",
                cause,
                permission.standing_of_votes(target, votes, digest),
                _would_do(preview_undo(target, record)) if waiting else "",
                release_markdown(record),
            ),
            timeout_s=int(target.environment.policy.approval_timeout_s("standard")),
            votes=len(approving(votes, digest)),
        )


@task(**ONCE)
def record_decision(project: str, environment: str, release: str, answer: dict[str, str]) -> bool:
    """Write the answer of the form into the ledger as a vote on the release's digest.

    Returns:
        Whether more people have to decide.
    """
    with release_of(project, environment, release) as (target, record):
        permission.cast_vote(target, record, vote_of(record.digest, answer), repeated=False)
        now = read_release(target.ledger, release)
        return permission.permission(target, now) is Verdict.WAITING


@task(**ONCE)
def record_rollback_decision(project: str, environment: str, release: str, answer: dict[str, str]) -> bool:
    """Write the answer of the form into the ledger as a vote on taking the release back.

    Returns:
        Whether more people have to decide.
    """
    with release_of(project, environment, release) as (target, record):
        vote = vote_of(permission.rollback_digest(record), answer)
        permission.cast_rollback_vote(target, record, vote, repeated=False)
        return permission.rollback_verdict(target, record) is Verdict.WAITING


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
    return Asked(
        release="" if release.outcome is Outcome.RELEASED else release.id,
        waiting=waiting,
        question=approval_question(
            release.plan,
            find_evidence(target, release.digest),
            standing=permission.standing_of_votes(target, release.votes, release.digest),
        ),
        timeout_s=int(target.environment.policy.approval_timeout_s(release.plan.approval.value)),
        votes=len(approving(release.votes, release.digest)),
        destructive=release.plan.approval is ApprovalLevel.ENHANCED,
    )


def _would_do(facts: dict[str, Any]) -> str:
    lines = []
    for key, value in facts.items():
        told = [code(v, 200) for v in value] if key == "statements" else value
        told = ", ".join(told) if isinstance(told, list) else told
        told = "; ".join(f"{k}: {v}" for k, v in told.items()) if isinstance(told, dict) else told
        lines.append(f"- **{key.replace('_', ' ')}:** {told or 'none'}")
    return "\n".join(lines)


def _text(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
