"""A release as the ledger tells it: folded from its entries, never kept anywhere else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from faberdb.catalog import Schema, on_common_ground
from faberdb.errors import Refused, Transient
from faberdb.ledger import Entry, Kind, Ledger
from faberdb.ledger.schemas import kept_schema
from faberdb.plan import Plan, plan_from_json
from faberdb.release.approval import Vote, vote_from_json

WAITING: Final = "waiting for approval"  # a release's state


class Outcome(StrEnum):
    """How a release ended."""

    RELEASED = "released"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"  # it failed and nothing of it had taken effect
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"  # another plan was released instead, before this one did anything
    FAILED = "failed"  # it failed and could not be taken back by itself


class StepRecord(Struct, frozen=True, kw_only=True):
    """One step's last word in the ledger."""

    step: str
    kind: Kind
    at: datetime
    outcome: Mapping[str, Any]
    error: str = ""
    transient: bool = False  # it failed because something was away: to be tried again, not taken back


class Release(Struct, frozen=True, kw_only=True):
    """One execution of one plan."""

    id: str
    environment: str
    plan: Plan
    digest: str
    requester: str
    run: str  # the key of the Prefect run that asked for it, or asked people last; "" for none
    opened_at: datetime
    asked_at: datetime | None  # when a person was first asked
    votes: tuple[Vote, ...]
    steps: Mapping[str, StepRecord]
    rollback_opened: bool
    cause: str  # why it is being taken back, "" while it is not
    restores: str  # the snapshot that is brought back, "" for a release of revisions
    outcome: Outcome | None
    closed_at: datetime | None

    @property
    def open(self) -> bool:
        """Whether it still has to end."""
        return self.outcome is None

    @property
    def snapshot(self) -> str:
        """The one that it took before its first step, "" where it took none."""
        return str((self.done("snapshot") or {}).get("snapshot", ""))

    @property
    def touched(self) -> bool:
        """Whether a step that changes the database may have begun."""
        refused = self.outcome in {Outcome.REJECTED, Outcome.EXPIRED}
        return "apply" in self.steps or (bool(self.restores) and not refused)

    @property
    def state(self) -> str:
        """One or two words for people."""
        if self.outcome is not None:
            return self.outcome.value
        if self.rollback_opened:
            return "rolling back"
        if self.steps:
            return "running"
        return WAITING if self.asked_at else "opened"

    def done(self, step: str) -> Mapping[str, Any] | None:
        """A finished step's outcome, or None."""
        record = self.steps.get(step)
        return record.outcome if record is not None and record.kind is Kind.STEP_DONE else None


def read_release(ledger: Ledger, release: str) -> Release:
    """Fold a release from the ledger.

    Raises:
        Refused: the ledger knows no such release.
    """
    entries = ledger.entries(release=release)
    opened = next((e for e in entries if e.kind is Kind.RELEASE_OPENED), None)
    if opened is None:
        raise Refused(
            f"The ledger knows no release {release!r}.",
            why="The id is mistyped, or it belongs to another project.",
            next_step="faber-db ledger --kind release.opened",
        )
    return _fold(opened, entries)


def newest_release(ledger: Ledger, environment: str) -> Release | None:
    """The release that was opened last in an environment."""
    found = ledger.newest(Kind.RELEASE_OPENED, environment=environment)
    return read_release(ledger, found.release) if found else None


def newest_touching(ledger: Ledger, environment: str) -> Release | None:
    """The newest release that changed the environment and was not taken back."""
    return next(touching(ledger, environment), None)


def touching(ledger: Ledger, environment: str) -> Iterator[Release]:
    """The releases that changed the environment and were not taken back, newest first."""
    for entry in ledger.newest_first(Kind.RELEASE_OPENED, environment=environment):
        release = read_release(ledger, entry.release)
        if release.restores and release.outcome is Outcome.ROLLED_BACK:
            return  # a snapshot took the place of all that came before it
        if release.touched and release.outcome not in {Outcome.ROLLED_BACK, Outcome.ABORTED}:
            yield release


def last_fingerprint(ledger: Ledger, environment: str) -> str | None:
    """The schema's fingerprint as the last release or seed left it, or None before the first."""
    leaves = (Kind.RELEASE_CLOSED, Kind.ENVIRONMENT_SEEDED)
    told = (e.body.get("fingerprint") for e in ledger.newest_first(*leaves, environment=environment))
    return next((str(fingerprint) for fingerprint in told if fingerprint), None)


def comparable_fingerprint(
    ledger: Ledger, environment: str, *, found: Schema, ignore: Collection[str]
) -> str:
    """The fingerprint that tells drift from none when it is held against that of `found`; "" where nothing can.

    A fingerprint whose schema is not on record tells nothing; a schema that differs only in what is ignored is
    as expected.
    """
    expected = last_fingerprint(ledger, environment) or ""
    if expected in {"", found.fingerprint}:
        return expected
    kept = kept_schema(ledger, expected)
    if kept is None:
        return ""
    was, now = on_common_ground(kept, found, ignore)
    return found.fingerprint if was == now else expected


def rollback_key(release: Release) -> str:
    """The ledger's id of the question whether to take a release back."""
    return f"{release.id}/rollback"


def rollback_asked(ledger: Ledger, release: Release) -> Entry | None:
    """When people were last asked to take a release back, or None."""
    return ledger.newest(Kind.APPROVAL_ASKED, release=rollback_key(release))


def left_by(ledger: Ledger, environment: str, release: str) -> tuple[Release, str]:
    """A release of the environment, and the schema's fingerprint after its revisions ran.

    Raises:
        Refused: the ledger has no such release, it is another environment's, or it left no schema.
    """
    record = read_release(ledger, release)
    if record.environment != environment:
        raise Refused(
            f"The release {release!r} is {record.environment}'s, not {environment}'s.",
            next_step=f"the same command for {record.environment}",
        )
    left = _fingerprint_after(ledger, record)
    if not left:
        raise Refused(
            f"The release {release!r} left no schema to compare with.",
            why=f"It is {record.state}.",
            next_step=f"faber-db ledger --environment {environment} --kind release.closed",
        )
    return record, left


def _fingerprint_after(ledger: Ledger, release: Release) -> str:
    verified = release.done("verify revisions")
    if verified is not None:
        return str(verified.get("fingerprint", ""))
    closed = ledger.newest(Kind.RELEASE_CLOSED, release=release.id)
    return str(closed.body.get("fingerprint", "")) if closed else ""


def _names_run(entry: Entry) -> bool:
    return entry.kind is Kind.APPROVAL_ASKED and bool(entry.body.get("run"))


_TRANSIENT: Final = {Transient.__name__, *(kind.__name__ for kind in Transient.__subclasses__())}


def _fold(opened: Entry, entries: Sequence[Entry]) -> Release:
    steps: dict[str, StepRecord] = {}
    for entry in entries:
        if entry.kind in {Kind.STEP_INTENDED, Kind.STEP_DONE, Kind.STEP_FAILED}:
            told = entry.body
            steps[told["step"]] = StepRecord(
                step=told["step"],
                kind=entry.kind,
                at=entry.at,
                outcome=told.get("outcome", {}),
                error=told.get("what", ""),
                transient=told.get("error") in _TRANSIENT,
            )
    wanted = opened.body
    closed = next((e for e in reversed(entries) if e.kind is Kind.RELEASE_CLOSED), None)
    rollback = next((e for e in entries if e.kind is Kind.ROLLBACK_OPENED), None)
    return Release(
        id=opened.release,
        environment=opened.environment,
        plan=plan_from_json(wanted["plan"]),
        digest=wanted["digest"],
        requester=wanted["requester"],
        run=str(next((e.body["run"] for e in reversed(entries) if _names_run(e)), wanted["run"])),
        opened_at=opened.at,
        asked_at=next((e.at for e in entries if e.kind is Kind.APPROVAL_ASKED), None),
        votes=tuple(vote_from_json(e.body) for e in entries if e.kind is Kind.VOTE_CAST),
        steps=steps,
        rollback_opened=rollback is not None,
        cause=rollback.body["cause"] if rollback else "",
        restores=wanted.get("restores", ""),
        outcome=Outcome(closed.body["outcome"]) if closed else None,
        closed_at=closed.at if closed else None,
    )
