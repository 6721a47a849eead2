"""Which snapshots of an environment were restored and compared, and when, as the ledger has it.

A rehearsal that begins with a restore is a proof, and so is the restore of an undo and `faber-db verify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from faberdb.ledger import Entry, Kind, Ledger

_KINDS: Final = (Kind.SNAPSHOT_VERIFIED, Kind.EVIDENCE_FOUND, Kind.STEP_DONE)
_LOOKED_AT: Final = 3000  # entries, the newest
_NEAR: Final = 110  # about twenty-five releases


class Proven(Struct, frozen=True, kw_only=True):
    """The last time that a snapshot was restored and found equal to its manifest."""

    snapshot: str
    at: datetime


def proven_snapshots(ledger: Ledger, environment: str | None = None) -> Mapping[str, Proven]:
    """The last proof of each snapshot, by its id, the newest first."""
    found: dict[str, Proven] = {}
    for proven in _proofs(ledger, environment):
        found.setdefault(proven.snapshot, proven)
    return found


def last_proof(ledger: Ledger, environment: str) -> Proven | None:
    """The newest proof of any of an environment's snapshots; of one that many releases came after, none."""
    return next(_proofs(ledger, environment, at_most=_NEAR), None)


def refuted_snapshots(ledger: Ledger, environment: str | None = None) -> Mapping[str, str]:
    """Why a snapshot cannot be used, by its id, where the last look at it on purpose said so."""
    newest = islice(ledger.newest_first(Kind.SNAPSHOT_VERIFIED, environment=environment), _LOOKED_AT)
    last = {e.body["snapshot"]: e.body for e in reversed(list(newest))}
    return {id_: str(body["unusable"]) for id_, body in last.items() if "unusable" in body}


def _proofs(ledger: Ledger, environment: str | None, *, at_most: int = _LOOKED_AT) -> Iterator[Proven]:
    """The newest first."""
    newest = islice(ledger.newest_first(*_KINDS, environment=environment), at_most)
    return filter(None, map(_proven, newest))


def _proven(entry: Entry) -> Proven | None:
    told: Mapping[str, Any] = entry.body
    if entry.kind is Kind.STEP_DONE:
        told = entry.body.get("outcome") or {}
    # A rehearsal has no other copy with rows than a restored and compared one.
    compared = entry.kind is Kind.EVIDENCE_FOUND or told.get("fingerprint_equal")
    snapshot = told.get("snapshot")
    return Proven(snapshot=str(snapshot), at=entry.at) if snapshot and compared else None
