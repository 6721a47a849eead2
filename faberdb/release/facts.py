"""What a release's ledger entries amount to for the world outside: a handful of facts, each once.

Owns the words for people. Refuses to know how they travel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec import Struct

from faberdb.ledger import Entry, Kind
from faberdb.plan import ApprovalLevel
from faberdb.release.approval import Decision, Verdict
from faberdb.release.record import Outcome, Release
from faberdb.risk import CONFIRMATION_PHRASE

_ROLLBACK: Final = "/rollback"


class What(StrEnum):
    """What happened to a release."""

    OPENED = "opened"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    STARTED = "started"  # the first effect is intended
    RELEASED = "released"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"  # the undo failed: a person has to look


TOLD_TO_PEOPLE: Final = frozenset(What) - {What.OPENED, What.STARTED, What.EXPIRED}

_ENDS: Final = {
    Outcome.RELEASED: What.RELEASED,
    Outcome.ROLLED_BACK: What.ROLLED_BACK,
    Outcome.ABORTED: What.ROLLED_BACK,
    Outcome.REJECTED: What.REJECTED,
    Outcome.EXPIRED: What.EXPIRED,
    Outcome.FAILED: What.FAILED,
}


class Fact(Struct, frozen=True, kw_only=True):
    """One of them, and when."""

    what: What
    about: str  # the release's id; with "/rollback" where it is about a person's wish to take it back
    at: datetime
    seq: int  # the ledger entry that says so
    outcome: str = ""  # how the release ended, "" while it has not

    @property
    def id(self) -> UUID:
        """The same fact has the same id, whoever tells it and however often."""
        which = f".{self.seq}" if self.about.endswith(_ROLLBACK) else ""  # one may be asked again after a no
        return uuid5(NAMESPACE_URL, f"faber-db.release.{self.about}.{self.what.value}{which}")


def facts_of(entries: Sequence[Entry], verdict: Verdict | None = None) -> tuple[Fact, ...]:
    """The facts in the order in which they happened. The first entry counts, except for wishes to take back.

    Args:
        entries: everything filed under a release, in order of `seq`.
        verdict: what its votes amount to now; None where nobody has to be asked.
    """
    found: dict[UUID, Fact] = {}
    for entry in entries:
        for what in _facts_in(entry):
            outcome = str(entry.body.get("outcome", "")) if entry.kind is Kind.RELEASE_CLOSED else ""
            fact = Fact(what=what, about=entry.release, at=entry.at, seq=entry.seq, outcome=outcome)
            found.setdefault(fact.id, fact)
    if verdict is Verdict.APPROVED:
        votes = [e for e in entries if _approves(e) and not e.release.endswith(_ROLLBACK)]
        for vote in votes[-1:]:
            fact = Fact(what=What.APPROVED, about=vote.release, at=vote.at, seq=vote.seq)
            found[fact.id] = fact
    return tuple(sorted(found.values(), key=lambda f: f.seq))


def tells(entry: Entry) -> bool:
    """Whether an entry may be, or complete, a fact."""
    return entry.kind is Kind.VOTE_CAST or any(_facts_in(entry))


def _facts_in(entry: Entry) -> Iterator[What]:
    if entry.kind is Kind.RELEASE_OPENED:
        yield What.OPENED
    elif entry.kind is Kind.APPROVAL_ASKED:
        yield What.WAITING
    elif entry.kind is Kind.STEP_INTENDED and entry.body["step"] in {"apply", "swap"}:
        yield What.STARTED  # a restoration applies nothing, and begins with the exchange of names
    elif entry.kind is Kind.RELEASE_CLOSED and (end := _ENDS.get(Outcome(entry.body["outcome"]))):
        yield end


def _approves(entry: Entry) -> bool:
    return entry.kind is Kind.VOTE_CAST and entry.body["decision"] == Decision.APPROVE.value


def message(release: Release, fact: Fact, run_url: str) -> tuple[str, str]:
    """Subject and body for people: what, where, and what to type or where to click next. No SQL, no causes."""
    undo = fact.about.endswith(_ROLLBACK)
    change = release.plan.change.split(":", maxsplit=1)[0] or release.id
    subject = f"{release.environment}: {change} {_SAID[fact.what, undo]}"
    lines = [
        f"{subject}.",
        "",
        f"Release:     {release.id}",
        f"Environment: {release.environment}",
        f"Change:      {release.plan.change or 'none given'}",
        f"Asked by:    {release.requester or 'not given'}",
    ]
    if fact.what is What.WAITING and not undo:
        lines.append(f"Risk:        {release.plan.risk.value}")
    lines += ["", f"Next: {_next(release, fact, undo)}"]
    if run_url:
        lines.append(f"{'Or decide' if fact.what is What.WAITING else 'The run'} in Prefect: {run_url}")
    return subject, "\n".join(lines) + "\n"


_SAID: Final = {
    (What.WAITING, False): "waits for approval",
    (What.WAITING, True): "is to be taken back, and that waits for approval",
    (What.APPROVED, False): "is approved",
    (What.REJECTED, False): "was rejected; nothing was changed",
    (What.RELEASED, False): "is released",
    (What.ROLLED_BACK, False): "was taken back; everything is as it was before",
    (What.FAILED, False): "failed and could not be taken back; a person has to look",
}


def _next(release: Release, fact: Fact, undo: bool) -> str:
    if fact.what is What.WAITING:
        phrase = ""
        if release.plan.approval is ApprovalLevel.ENHANCED and not undo:
            phrase = f" --phrase {CONFIRMATION_PHRASE}"
        return f"faber-db approve {release.id}{' --rollback' if undo else ''} --as NAME{phrase}"
    if fact.what is What.RELEASED:
        return f"faber-db status {release.environment}"
    if fact.what is What.FAILED:
        return f"faber-db rollback {release.environment} --release {release.id}"
    return f"faber-db ledger --release {release.id}"
