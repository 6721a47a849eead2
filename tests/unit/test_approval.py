from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from faberdb.errors import NotApproved
from faberdb.plan import ApprovalLevel
from faberdb.release.approval import Decision, Verdict, Vote, check_vote, tally, vote_from_json
from faberdb.risk import CONFIRMATION_PHRASE

DIGEST = "a" * 64
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def vote(**given: object) -> Vote:
    facts: dict[str, object] = {"digest": DIGEST, "decision": Decision.APPROVE, "approver": "Morgan"}
    return Vote(**{**facts, **given})  # type: ignore[arg-type]


def test_someone_else_may_approve() -> None:
    check_vote(vote(), digest=DIGEST, requester="Priya", level=ApprovalLevel.STANDARD)


@pytest.mark.parametrize("name", ["Priya Nair", "priya nair", "  PRIYA NAIR "])
def test_the_requester_may_not_approve(name: str) -> None:
    with pytest.raises(NotApproved, match="cannot approve"):
        check_vote(vote(approver=name), digest=DIGEST, requester="Priya Nair", level=ApprovalLevel.STANDARD)


def test_the_requester_may_reject() -> None:
    check_vote(
        vote(approver="Priya", decision=Decision.REJECT),
        digest=DIGEST,
        requester="Priya",
        level=ApprovalLevel.STANDARD,
    )


def test_a_vote_on_another_digest_is_refused() -> None:
    with pytest.raises(NotApproved, match="another plan"):
        check_vote(vote(digest="b" * 64), digest=DIGEST, requester="P", level=ApprovalLevel.STANDARD)


def test_a_vote_without_a_name_is_refused() -> None:
    with pytest.raises(NotApproved, match="name"):
        check_vote(vote(approver="  "), digest=DIGEST, requester="P", level=ApprovalLevel.STANDARD)


def test_high_risk_needs_the_phrase() -> None:
    with pytest.raises(NotApproved, match="confirmation phrase"):
        check_vote(vote(phrase="yes"), digest=DIGEST, requester="P", level=ApprovalLevel.ENHANCED)
    check_vote(vote(phrase=CONFIRMATION_PHRASE), digest=DIGEST, requester="P", level=ApprovalLevel.ENHANCED)


@pytest.mark.parametrize(
    ("votes", "after", "verdict"),
    [
        ([], timedelta(minutes=59), Verdict.WAITING),
        ([], timedelta(minutes=61), Verdict.EXPIRED),
        ([vote()], timedelta(days=9), Verdict.APPROVED),
        ([vote(), vote(decision=Decision.REJECT, approver="Ana")], timedelta(0), Verdict.REJECTED),
        ([vote(digest="b" * 64)], timedelta(0), Verdict.WAITING),
    ],
)
def test_votes_amount_to_a_verdict(votes: list[Vote], after: timedelta, verdict: Verdict) -> None:
    assert tally(votes, digest=DIGEST, asked_at=NOON, now=NOON + after, timeout=timedelta(hours=1)) is verdict


def test_a_vote_survives_the_ledger() -> None:
    cast = vote(comment="fine", phrase=CONFIRMATION_PHRASE)
    assert vote_from_json(cast.to_json()) == cast
