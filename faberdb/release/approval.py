"""Who may say yes to what, and what a set of votes amounts to.

A vote is bound to a digest: it says nothing about any other plan. Proof of who the voter is belongs in
`Vote.proof`; until something can give one, it is empty and the ledger says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct

from faberdb.errors import NotApproved
from faberdb.plan import ApprovalLevel
from faberdb.risk import CONFIRMATION_PHRASE


class Decision(StrEnum):
    """What a person decided."""

    APPROVE = "approve"
    REJECT = "reject"


class Vote(Struct, frozen=True, kw_only=True):
    """A named person's decision on a digest."""

    digest: str
    decision: Decision
    approver: str
    comment: str = ""
    phrase: str = ""  # the confirmation phrase, where the plan's risk asks for it
    proof: str = ""  # evidence of the approver's identity, "" while none was given

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {
            "digest": self.digest,
            "decision": self.decision.value,
            "approver": self.approver,
            "comment": self.comment,
            "phrase": self.phrase,
            "proof": self.proof,
        }


def vote_from_json(body: Mapping[str, Any]) -> Vote:
    """The vote that `Vote.to_json` wrote."""
    return Vote(**{**body, "decision": Decision(body["decision"])})


class Verdict(StrEnum):
    """What the votes amount to."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


def check_vote(
    vote: Vote,
    *,
    digest: str,
    requester: str,
    level: ApprovalLevel,
    approvers: Sequence[str] = (),
    before: Sequence[Vote] = (),
    command: str,
    repeated: bool = False,
) -> None:
    """Refuse a vote that must not count.

    Args:
        vote: the vote.
        digest: of what is voted on.
        requester: who asked for it.
        level: what the plan's risk asks of the approver.
        approvers: who may approve; empty for anybody but the requester.
        before: the votes that were cast on the same question.
        command: what an approver types; told to whom is refused.
        repeated: whether exactly the same vote may come twice, as from a command that is run again.

    Raises:
        NotApproved: says which rule it breaks.
    """
    if vote.digest != digest:
        raise NotApproved(
            "This vote is for another plan.",
            why=f"It names {vote.digest[:12]}, and the release runs {digest[:12]}: the plan changed since.",
            next_step=f"read the new plan, then: {command}",
        )
    if not vote.approver.strip():
        raise NotApproved("A vote needs the approver's name.", next_step=f"{command} --as NAME")
    if vote.decision is Decision.REJECT:
        return
    _check_person(vote.approver, requester, approvers, command)
    known = repeated and vote in before
    if not known and vote.approver.strip().casefold() in approving(before, digest):
        raise NotApproved(
            f"{vote.approver} approved this already, and counts once.",
            next_step=f"have someone else run: {command}",
        )
    if level is ApprovalLevel.ENHANCED and vote.phrase != CONFIRMATION_PHRASE:
        raise NotApproved(
            "This plan destroys something, and the approval lacks the confirmation phrase.",
            why=f"The phrase is {CONFIRMATION_PHRASE!r}, to be typed by the approver.",
            next_step=f"{command} --phrase {CONFIRMATION_PHRASE}",
        )


def _check_person(approver: str, requester: str, approvers: Sequence[str], command: str) -> None:
    """Whether somebody may say yes at all."""
    if not requester.strip():
        raise NotApproved(
            "Nobody is named as the one who asked, so nobody can be told apart from them.",
            next_step="reject it, and ask again with the requester's name",
        )
    if _same_person(approver, requester):
        raise NotApproved(
            f"{approver} asked for this release and cannot approve it.",
            why="A protected environment takes two people.",
            next_step=f"have someone else run: {command}",
        )
    if approvers and not any(_same_person(approver, a) for a in approvers):
        raise NotApproved(
            f"{approver} may not approve releases of this environment.",
            why=f"Its policy names: {', '.join(approvers)}.",
            next_step=f"have one of them run: {command}",
        )


def approving(votes: Sequence[Vote], digest: str) -> frozenset[str]:
    """The people who said yes to a digest, each once, in lower case."""
    yes = (v for v in votes if v.digest == digest and v.decision is Decision.APPROVE)
    return frozenset(v.approver.strip().casefold() for v in yes)


def tally(
    votes: Sequence[Vote],
    *,
    digest: str,
    asked_at: datetime,
    now: datetime,
    timeout: timedelta,
    needed: int = 1,
) -> Verdict:
    """What the valid votes on a digest amount to: a rejection outweighs, silence expires.

    Args:
        votes: all that were cast.
        digest: of what is voted on.
        asked_at: when people were first asked.
        now: the moment of the question.
        timeout: how long the last of them may take.
        needed: how many different people have to say yes.
    """
    relevant = [v for v in votes if v.digest == digest]
    if any(v.decision is Decision.REJECT for v in relevant):
        return Verdict.REJECTED
    if len(approving(relevant, digest)) >= needed:
        return Verdict.APPROVED
    return Verdict.EXPIRED if now - asked_at > timeout else Verdict.WAITING


def _same_person(a: str, b: str) -> bool:
    return a.strip().casefold() == b.strip().casefold()
