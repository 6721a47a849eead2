"""One line of the ledger, and the arithmetic that chains it to the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self, cast

from msgspec import Struct, json

GENESIS = "0" * 64


class Kind(StrEnum):
    """What an entry says happened."""

    PLAN_FROZEN = "plan.frozen"
    EVIDENCE_FOUND = "evidence.found"
    RELEASE_OPENED = "release.opened"
    APPROVAL_ASKED = "approval.asked"
    VOTE_CAST = "vote.cast"
    STEP_INTENDED = "step.intended"
    STEP_NOTED = "step.noted"
    STEP_DONE = "step.done"
    STEP_FAILED = "step.failed"
    ROLLBACK_OPENED = "rollback.opened"
    RELEASE_CLOSED = "release.closed"
    SNAPSHOT_TAKEN = "snapshot.taken"
    SNAPSHOT_VERIFIED = "snapshot.verified"
    ENVIRONMENT_SEEDED = "environment.seeded"
    PRUNED = "pruned"
    RECOVERY_DECIDED = "recovery.decided"
    DRIFT_FOUND = "drift.found"
    REVISIONS_REPLAYED = "revisions.replayed"
    PHASE_BEGUN = "phase.begun"
    PHASE_ENDED = "phase.ended"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """A kind that a newer version writes, or a forger, is read as it is; nobody asks for it."""
        if not isinstance(value, str):
            return None
        kind = str.__new__(cls, value)
        kind._name_, kind._value_ = "UNKNOWN", value
        return kind


class Entry(Struct, frozen=True, kw_only=True):
    """What the ledger holds about one moment. `seq` has no gaps; `hash` covers every other field."""

    seq: int
    at: datetime
    project: str
    environment: str  # "" where it concerns none
    release: str  # the release's id, or the plan's digest, or the run's key: what the entry is filed under
    kind: Kind
    actor: str
    body_text: str  # canonical JSON
    previous_hash: str
    hash: str

    @property
    def body(self) -> Mapping[str, Any]:
        """What the text says; read each time it is asked for, since most entries are passed over."""
        return cast("Mapping[str, Any]", json.decode(self.body_text))


def hash_of(entry: Entry) -> str:
    """What the entry's hash must be; the database computes the same in `schema.sql`."""
    at = entry.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fields = (
        entry.previous_hash,
        str(entry.seq),
        at,
        entry.project,
        entry.environment,
        entry.release,
        entry.kind.value,
        entry.actor,
        entry.body_text,
    )
    return hashlib.sha256("\n".join(fields).encode()).hexdigest()


class ChainReport(Struct, frozen=True, kw_only=True):
    """The outcome of walking the chain."""

    entries: int
    broken_at: int | None  # seq of the first entry that does not fit, None for a whole chain
    reason: str = ""


def check_chain(entries: Iterable[Entry]) -> ChainReport:
    """Walk the chain from its first entry."""
    previous, count = GENESIS, 0
    for entry in entries:
        count += 1
        if entry.seq != count:
            return ChainReport(entries=count, broken_at=entry.seq, reason=f"entry {count} is missing")
        if entry.previous_hash != previous:
            return ChainReport(entries=count, broken_at=entry.seq, reason="it does not follow the one before")
        if entry.hash != hash_of(entry):
            return ChainReport(entries=count, broken_at=entry.seq, reason="its text was changed")
        previous = entry.hash
    return ChainReport(entries=count, broken_at=None)
