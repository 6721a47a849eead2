"""From a wish to an open release with a frozen plan, and from votes to permission."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from faberdb.errors import ApprovalPending, BlockedByPolicy, EnvironmentBusy, NotApproved
from faberdb.history import pending
from faberdb.ledger import Kind
from faberdb.observation import observe
from faberdb.plan import ApprovalLevel, Plan, plan_to_json
from faberdb.planner import make_plan, touched_relations
from faberdb.release.approval import Decision, Verdict, Vote, check_vote, tally
from faberdb.release.lock import lock_holder
from faberdb.release.record import Outcome, Release, newest_release, read_release
from faberdb.statements import parse_script
from faberdb.target import Target


def plan_target(target: Target, *, change: str = "", requester: str = "") -> Plan:
    """What would run in the environment now. Writes nothing, neither there nor in the ledger."""
    revisions = target.tool.revisions()
    seen = observe(target.dsn, target.tool)
    scripts = {r.name: parse_script(r.script, source=r.name) for r in pending(revisions, seen.tracked)}
    touched = touched_relations(scripts)
    if touched:
        seen = observe(target.dsn, target.tool, count=touched)
    return make_plan(
        project=target.project.name,
        environment=target.name,
        database=target.dsn.database,
        tool=target.tool.name,
        policy=target.environment.policy,
        revisions=revisions,
        observed=seen,
        checks=[c.name for c in target.project.checks_for(target.name)],
        change=change,
        requester=requester,
        commit=target.project.commit(),
    )


def unfinished_release(target: Target) -> Release | None:
    """The environment's release that began to change the database and has not ended, if there is one."""
    newest = newest_release(target.ledger, target.name)
    return newest if newest is not None and newest.open and newest.touched else None


def open_release(target: Target, plan: Plan, *, run: str = "") -> Release:
    """Write the intention to release a plan, or find the release that already carries it.

    A release that began to change the database is continued, whatever plan is offered: it has to end
    before another may start. One that did nothing yet is continued if it has the same digest and replaced
    otherwise.

    Raises:
        BlockedByPolicy: the plan has a statement that the safety policy forbids.
        EnvironmentBusy: another release of this environment is at work.
    """
    if plan.blocked:
        reasons = "; ".join(f.message for f in plan.blocked)
        raise BlockedByPolicy(
            f"The safety policy forbids this plan in {plan.environment}.",
            why=reasons,
            next_step="change the revision, or the policy in faber-db.toml under [safety]",
        )
    ledger = target.ledger
    with ledger.conn.transaction():
        ledger.conn.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", (f"{plan.project}/{plan.environment}",)
        )
        newest = newest_release(ledger, target.name)
        if newest is not None and newest.open:
            if newest.touched or newest.digest == plan.digest:
                return newest
            _supersede(target, newest, plan)
        return _open(target, plan, run)


def _open(target: Target, plan: Plan, run: str) -> Release:
    now = datetime.now(UTC)
    id_ = f"rel-{plan.environment}-{now:%Y%m%dT%H%M%S}-{plan.digest[:6]}{secrets.token_hex(2)}"
    target.ledger.append(
        Kind.RELEASE_OPENED,
        release=id_,
        environment=plan.environment,
        actor=plan.requester or "faber-db",
        body={
            "plan": plan_to_json(plan),
            "digest": plan.digest,
            "requester": plan.requester,
            "run": run,
        },
    )
    return read_release(target.ledger, id_)


def _supersede(target: Target, older: Release, plan: Plan) -> None:
    holder = lock_holder(target.dsn)
    if holder:
        raise EnvironmentBusy(
            f"Release {older.id} is at work on {older.environment}.",
            why=f"The release lock is held by {holder}.",
            next_step="wait for it to end, then run the same command again",
        )
    close_release(target, older, Outcome.SUPERSEDED, reason=f"replaced by a plan {plan.digest[:12]}")


def close_release(target: Target, release: Release, outcome: Outcome, **facts: object) -> None:
    """Write the end of a release; a closed one stays as it is."""
    if read_release(target.ledger, release.id).open:
        target.ledger.append(
            Kind.RELEASE_CLOSED,
            release=release.id,
            environment=release.environment,
            body={"outcome": outcome.value, **facts},
        )


def ask_approval(target: Target, release: Release) -> None:
    """Write that a person was asked, once."""
    if release.asked_at is None:
        target.ledger.append(
            Kind.APPROVAL_ASKED,
            release=release.id,
            environment=release.environment,
            body={"digest": release.digest, "level": release.plan.approval.value},
        )


def cast_vote(target: Target, release: Release, vote: Vote) -> None:
    """Write a person's decision into the ledger.

    Raises:
        NotApproved: the vote breaks a rule; nothing is written.
    """
    if not release.open:
        raise NotApproved(
            f"Release {release.id} has ended: {release.state}.",
            next_step="faber-db status shows what is open",
        )
    level = max(release.plan.approval, ApprovalLevel.STANDARD, key=list(ApprovalLevel).index)
    check_vote(vote, digest=release.digest, requester=release.requester, level=level)
    target.ledger.append(
        Kind.VOTE_CAST,
        release=release.id,
        environment=release.environment,
        actor=vote.approver,
        body=vote.to_json(),
    )


def permission(target: Target, release: Release) -> Verdict:
    """What the ledger's votes amount to now for a release that needs a person."""
    now = datetime.now(UTC)
    seconds = target.environment.policy.approval_timeout_s(release.plan.approval.value)
    return tally(
        release.votes,
        digest=release.digest,
        asked_at=release.asked_at or now,
        now=now,
        timeout=timedelta(seconds=seconds),
    )


def require_permission(target: Target, release: Release) -> None:
    """Pass only with an approval of exactly this digest; end the release on a no and on silence.

    Raises:
        ApprovalPending: nobody decided yet.
        NotApproved: rejected or expired; the release is closed so.
    """
    verdict = permission(target, release)
    if verdict is Verdict.APPROVED:
        return
    if verdict is Verdict.WAITING:
        raise ApprovalPending(
            f"Release {release.id} waits for approval.",
            why=f"{release.environment} asks for a person other than {release.requester or 'the requester'}.",
            next_step=f"faber-db approve {release.id} --as NAME",
        )
    again = f"faber-db migrate {release.environment}"
    if verdict is Verdict.REJECTED:
        no = next(v for v in release.votes if v.decision is Decision.REJECT)
        close_release(target, release, Outcome.REJECTED, approver=no.approver, comment=no.comment)
        raise NotApproved(
            f"{no.approver} rejected release {release.id}; nothing was changed.",
            why=no.comment,
            next_step=f"to ask again: {again}",
        )
    close_release(target, release, Outcome.EXPIRED)
    raise NotApproved(
        f"Release {release.id} expired: nobody decided in time; nothing was changed.",
        next_step=f"to ask again: {again}",
    )
