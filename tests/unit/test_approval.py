from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from faberdb.errors import NotApproved
from faberdb.plan import ApprovalLevel
from faberdb.release.approval import Decision, Verdict, Vote, check_vote, tally, vote_from_json
from faberdb.risk import CONFIRMATION_PHRASE

DIGEST = "a" * 64
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
check = partial(check_vote, command="faber-db approve rel-1")


def vote(**given: object) -> Vote:
    facts: dict[str, object] = {"digest": DIGEST, "decision": Decision.APPROVE, "approver": "Morgan"}
    return Vote(**{**facts, **given})  # type: ignore[arg-type]


def test_someone_else_may_approve() -> None:
    check(vote(), digest=DIGEST, requester="Priya", level=ApprovalLevel.STANDARD)


@pytest.mark.parametrize("name", ["Priya Nair", "priya nair", "  PRIYA NAIR "])
def test_the_requester_may_not_approve(name: str) -> None:
    with pytest.raises(NotApproved, match="cannot approve"):
        check(vote(approver=name), digest=DIGEST, requester="Priya Nair", level=ApprovalLevel.STANDARD)


def test_the_requester_may_reject() -> None:
    check(
        vote(approver="Priya", decision=Decision.REJECT),
        digest=DIGEST,
        requester="Priya",
        level=ApprovalLevel.STANDARD,
    )


def test_a_vote_on_another_digest_is_refused() -> None:
    with pytest.raises(NotApproved, match="another plan"):
        check(vote(digest="b" * 64), digest=DIGEST, requester="P", level=ApprovalLevel.STANDARD)


def test_a_vote_without_a_name_is_refused() -> None:
    with pytest.raises(NotApproved, match="name"):
        check(vote(approver="  "), digest=DIGEST, requester="P", level=ApprovalLevel.STANDARD)


def test_high_risk_needs_the_phrase() -> None:
    with pytest.raises(NotApproved, match="confirmation phrase"):
        check(vote(phrase="yes"), digest=DIGEST, requester="P", level=ApprovalLevel.ENHANCED)
    check(vote(phrase=CONFIRMATION_PHRASE), digest=DIGEST, requester="P", level=ApprovalLevel.ENHANCED)


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


def verdict_of(*votes: Vote, needed: int) -> Verdict:
    return tally(votes, digest=DIGEST, asked_at=NOON, now=NOON, timeout=timedelta(hours=1), needed=needed)


def test_where_two_are_needed_one_yes_waits_and_two_pass() -> None:
    assert verdict_of(vote(), needed=2) is Verdict.WAITING
    assert verdict_of(vote(), vote(approver="Ana"), needed=2) is Verdict.APPROVED


@pytest.mark.parametrize("name", ["Morgan", " MORGAN "])
def test_the_same_person_twice_counts_once(name: str) -> None:
    assert verdict_of(vote(), vote(approver=name, comment="again"), needed=2) is Verdict.WAITING


def test_one_no_outweighs_every_yes() -> None:
    no = vote(approver="Kim", decision=Decision.REJECT)
    assert verdict_of(vote(), vote(approver="Ana"), no, needed=2) is Verdict.REJECTED


def test_a_yes_to_another_plan_fills_no_quorum() -> None:
    assert verdict_of(vote(), vote(approver="Ana", digest="b" * 64), needed=2) is Verdict.WAITING


def test_one_of_two_is_too_few_when_the_time_is_over() -> None:
    late = NOON + timedelta(hours=2)
    hour = timedelta(hours=1)
    assert tally([vote()], digest=DIGEST, asked_at=NOON, now=late, timeout=hour, needed=2) is Verdict.EXPIRED


def cast_after(before: list[Vote], cast: Vote, *, repeated: bool = False) -> None:
    check(cast, digest=DIGEST, requester="P", level=ApprovalLevel.STANDARD, before=before, repeated=repeated)


@pytest.mark.parametrize("again", [vote(), vote(comment="really"), vote(approver="morgan ")])
def test_who_approved_already_is_told(again: Vote) -> None:
    with pytest.raises(NotApproved, match="approved this already"):
        cast_after([vote()], again)


def test_a_command_that_is_run_again_brings_the_same_vote_without_an_error() -> None:
    cast_after([vote()], vote(), repeated=True)
    with pytest.raises(NotApproved, match="approved this already"):
        cast_after([vote()], vote(comment="another"), repeated=True)


def test_who_approved_may_still_say_no() -> None:
    cast_after([vote()], vote(decision=Decision.REJECT))


def test_a_yes_to_the_plan_before_does_not_hinder_one_to_this() -> None:
    cast_after([vote(digest="b" * 64)], vote())


@pytest.mark.parametrize(("name", "may"), [("Ana", True), (" ana ", True), ("Morgan", False)])
def test_where_approvers_are_named_only_they_approve(name: str, may: bool) -> None:
    def cast(decision: Decision) -> None:
        check(
            vote(approver=name, decision=decision),
            digest=DIGEST,
            requester="P",
            level=ApprovalLevel.STANDARD,
            approvers=("Ana", "Kim"),
        )

    cast(Decision.REJECT)  # anybody may stop it
    if may:
        cast(Decision.APPROVE)
    else:
        with pytest.raises(NotApproved, match="names: Ana, Kim"):
            cast(Decision.APPROVE)


def test_a_named_approver_who_asked_may_not_approve() -> None:
    with pytest.raises(NotApproved, match="cannot approve"):
        check(
            vote(approver="Ana"),
            digest=DIGEST,
            requester="ana",
            level=ApprovalLevel.STANDARD,
            approvers=("Ana",),
        )
