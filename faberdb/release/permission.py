"""Whether a release may go on: people are asked, their votes go into the ledger, and the ledger is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from faberdb.canonical import digest_of
from faberdb.errors import ApprovalPending, NotApproved, Refused
from faberdb.ledger import Kind
from faberdb.plan import ApprovalLevel
from faberdb.policy import Autonomy, asks
from faberdb.release.approval import Decision, Verdict, Vote, check_vote, tally, vote_from_json
from faberdb.release.opening import close_release
from faberdb.release.record import Outcome, Release, rollback_asked, rollback_key
from faberdb.target import Target


def needs_person(target: Target, release: Release, autonomy: Autonomy) -> bool:
    """Whether this release waits for a vote at this level of autonomy."""
    return asks(target.environment.policy, autonomy)


def require_requester(requester: str, what: str) -> None:
    """Refuse to ask people about something that nobody is named as having asked for.

    Raises:
        Refused: the approver could not be told apart from the requester; nothing was opened.
    """
    if not requester.strip():
        raise Refused(
            f"{what} asks for a person other than the requester, and no requester is named.",
            next_step="start it again with the requester's name (parameter requester, or --as NAME)",
        )


def ask_approval(target: Target, release: Release, run: str) -> None:
    """Write that a person was asked, and which run waits for the answer; once for each run."""
    waits = release.run != run and permission(target, release) is Verdict.WAITING
    if release.asked_at is None or waits:
        target.ledger.append(
            Kind.APPROVAL_ASKED,
            release=release.id,
            environment=release.environment,
            body={"digest": release.digest, "level": release.plan.approval.value, "run": run},
        )


def cast_vote(target: Target, release: Release, vote: Vote, *, repeated: bool = True) -> None:
    """Write a person's decision into the ledger.

    Args:
        target: the environment.
        release: what is decided about.
        vote: the decision.
        repeated: the same vote again is no error; it counts once.

    Raises:
        NotApproved: the vote breaks a rule; nothing is written.
    """
    if not release.open:
        raise NotApproved(
            f"Release {release.id} has ended: {release.state}.",
            next_step="faber-db status shows what is open",
        )
    if release.touched and not release.restores:
        raise NotApproved(
            f"Release {release.id} has begun; there is nothing left to decide.",
            next_step=f"to take it back: faber-db rollback {release.environment} --release {release.id}",
        )
    check_vote(
        vote,
        digest=release.digest,
        requester=release.requester,
        level=release.plan.approval,
        approvers=target.environment.policy.approvers,
        before=release.votes,
        repeated=repeated,
        command=f"faber-db approve {release.id}",
    )
    if vote in release.votes:
        return
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
        needed=target.environment.policy.approvals,
    )


def close_expired(target: Target, release: Release) -> bool:
    """End a release that nobody answered in time, so that another may be asked for; whether it did."""
    if release.touched or release.asked_at is None or permission(target, release) is not Verdict.EXPIRED:
        return False
    close_release(target, release, Outcome.EXPIRED)
    return True


def require_permission(target: Target, release: Release) -> None:
    """Pass only with an approval of exactly this digest; end the release on a no and on silence.

    Raises:
        ApprovalPending: nobody decided yet.
        NotApproved: rejected or expired; the release is closed so.
        Refused: it is a restoration, which the release flow may finish and not begin.
    """
    if release.restores:
        _require_restoring(target, release)
        return
    verdict = permission(target, release)
    if verdict is Verdict.APPROVED:
        return
    if verdict is Verdict.WAITING:
        raise ApprovalPending(
            f"Release {release.id} waits for approval.",
            why=f"{release.environment} asks for {_people(target)} other than"
            f" {release.requester or 'the requester'}; {_said_yes(release.votes, release.digest)}.",
            next_step=f"faber-db approve {release.id} --as NAME",
        )
    if release.touched:
        raise NotApproved(
            f"Release {release.id} has begun, and its approval holds no longer: {verdict.value}.",
            why="The policy of the environment became stricter after it began.",
            next_step=f"faber-db rollback {release.environment} --release {release.id}",
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
    close_expired(target, release)
    raise NotApproved(
        f"Release {release.id} expired: nobody decided in time; nothing was changed.",
        next_step=f"to ask again: {again}",
    )


def _require_restoring(target: Target, release: Release) -> None:
    require_rollback_permission(target, release)
    if not release.rollback_opened:
        raise Refused(
            f"{release.id} was asked for first and comes first: {release.plan.change}.",
            next_step=f"faber-db restore {release.environment} --from {release.restores}",
        )


def standing_of_votes(target: Target, votes: Sequence[Vote], digest: str) -> str:
    """How far the votes have come, for the people who are asked; "" where one yes is enough."""
    if target.environment.policy.approvals == 1:
        return ""
    return f"{_people(target)[0].upper()}{_people(target)[1:]} have to approve; {_said_yes(votes, digest)}."


def _people(target: Target) -> str:
    needed = target.environment.policy.approvals
    return "a person" if needed == 1 else f"{needed} people"


def _said_yes(votes: Sequence[Vote], digest: str) -> str:
    yes = [v.approver for v in votes if v.digest == digest and v.decision is Decision.APPROVE]
    return f"{', '.join(yes)} said yes" if yes else "nobody has said yes"


def rollback_digest(release: Release) -> str:
    """What people vote on when they agree to take a release back."""
    return digest_of({"take back": release.id, "digest": release.digest, "way": release.plan.undo.way.value})


def rollback_needs_person(target: Target, release: Release) -> bool:
    """Taking back a finished release, or restoring a snapshot, is a change of its own.

    The undo of a release that failed was approved with its plan.
    """
    own_change = release.outcome is Outcome.RELEASED or bool(release.restores)
    return target.environment.policy.approval and own_change


def ask_rollback(target: Target, release: Release, *, requester: str, cause: str, run: str = "") -> bool:
    """Ask a person whether a finished release may be taken back; whether nobody has answered yet."""
    if not rollback_needs_person(target, release):
        return False
    require_requester(requester, f"Taking back {release.id}")
    verdict = rollback_verdict(target, release)
    if verdict in {None, Verdict.REJECTED, Verdict.EXPIRED}:
        target.ledger.append(
            Kind.APPROVAL_ASKED,
            release=rollback_key(release),
            environment=release.environment,
            actor=requester or "faber-db",
            body={"digest": rollback_digest(release), "requester": requester, "cause": cause, "run": run},
        )
        return True
    return verdict is Verdict.WAITING


def rollback_run(target: Target, release: Release) -> str:
    """The key of the run that waits for an answer on taking a release back, "" for none."""
    asked = rollback_asked(target.ledger, release)
    return str(asked.body["run"]) if asked else ""


def cast_rollback_vote(target: Target, release: Release, vote: Vote, *, repeated: bool = True) -> None:
    """Write a person's decision on taking a release back; the arguments are those of `cast_vote`.

    Raises:
        NotApproved: the vote breaks a rule; nothing is written.
    """
    asked = rollback_asked(target.ledger, release)
    if asked is None:
        raise NotApproved(
            f"Nobody asked to take {release.id} back.",
            next_step=f"faber-db rollback {release.environment} --release {release.id}",
        )
    before = rollback_votes(target, release)
    check_vote(
        vote,
        digest=rollback_digest(release),
        requester=asked.body["requester"],
        level=ApprovalLevel.STANDARD,
        approvers=target.environment.policy.approvers,
        before=before,
        repeated=repeated,
        command=f"faber-db approve {release.id} --rollback",
    )
    if vote in before:
        return
    target.ledger.append(
        Kind.VOTE_CAST,
        release=rollback_key(release),
        environment=release.environment,
        actor=vote.approver,
        body=vote.to_json(),
    )


def rollback_votes(target: Target, release: Release) -> list[Vote]:
    """The votes since people were last asked about taking a release back."""
    asked = rollback_asked(target.ledger, release)
    if asked is None:
        return []
    since = target.ledger.entries(release=rollback_key(release), kind=Kind.VOTE_CAST, after=asked.seq)
    return [vote_from_json(e.body) for e in since]


def require_rollback_permission(target: Target, release: Release) -> None:
    """Pass only with an approval of taking back this release, where one is needed.

    Raises:
        ApprovalPending: nobody decided, or too few.
        NotApproved: somebody said no, or it expired; a restoration that did not begin is closed so.
    """
    if not rollback_needs_person(target, release):
        return
    verdict = rollback_verdict(target, release)
    if verdict is Verdict.APPROVED:
        return
    if verdict in {None, Verdict.WAITING}:
        raise ApprovalPending(
            f"Taking back {release.id} waits for approval.",
            why=f"{release.environment} asks for {_people(target)};"
            f" {_said_yes(rollback_votes(target, release), rollback_digest(release))}.",
            next_step=f"faber-db approve {release.id} --rollback --as NAME",
        )
    if release.restores and release.open and not release.rollback_opened:
        # Left open it would stand before every later release.
        close_release(target, release, Outcome.REJECTED if verdict is Verdict.REJECTED else Outcome.EXPIRED)
    raise NotApproved(f"Taking back {release.id} was not approved: {verdict}; nothing was changed.")


def rollback_verdict(target: Target, release: Release) -> Verdict | None:
    """What the votes on taking a release back amount to; None where nobody was asked."""
    asked = rollback_asked(target.ledger, release)
    if asked is None:
        return None
    return tally(
        rollback_votes(target, release),
        digest=rollback_digest(release),
        asked_at=asked.at,
        now=datetime.now(UTC),
        timeout=timedelta(seconds=target.environment.policy.approval_timeout_s("standard")),
        needed=target.environment.policy.approvals,
    )
