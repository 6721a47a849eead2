"""Evidence: what a rehearsal of a plan showed, kept in the ledger under the plan's digest.

Owns the value and its place. Refuses to know how it is gathered (`faberdb.release.rehearsal`).
"""

from __future__ import annotations

from msgspec import Struct, convert, to_builtins

from faberdb.ledger import Kind
from faberdb.plan import Plan, UndoWay, plan_to_json
from faberdb.release.copying import CopyKind
from faberdb.target import Target
from faberdb.witness import Witnessed


class Evidence(Struct, frozen=True, kw_only=True):
    """What a rehearsal of one digest showed. What has a default is not in the evidence of older versions."""

    digest: str
    ok: bool
    message: str  # what failed, "" when it went through
    snapshot: str  # the snapshot that was restored and compared, "" for a copy without rows
    restore_s: float  # how long the copy took to make; with rows, an undo by restoring should take as long
    step_s: tuple[tuple[str, float], ...]  # revision and its seconds
    fingerprint_after: str  # of the schema when every step ran, "" when one failed or it cannot be compared
    copy: str = CopyKind.DATA.value
    server: str = "same"  # as it; "embedded", or the variable that names another
    witness: str = ""  # by what means it was watched, "" where it was not
    witnessed: tuple[Witnessed, ...] = ()  # also of what ran before a failure
    scan_rows: int = 10_000  # reading so many rows is worth telling
    undo_s: float | None = None  # how long taking it back took, None where that was not rehearsed
    undo_ok: bool | None = None  # whether the schema came back
    undo_way: str = UndoWay.RESTORE_AND_SWAP.value  # by which way, where it was rehearsed
    undo_script: tuple[str, ...] = ()  # the statements of a way in place
    undo_refuted: str = ""  # why the plan's way in place did not lead back on the copy, "" where it did
    notes: tuple[str, ...] = ()  # what the rehearsal could not show, and why


def find_evidence(target: Target, digest: str) -> Evidence | None:
    """The newest rehearsal of a digest, or None."""
    found = target.ledger.newest(Kind.EVIDENCE_FOUND, release=digest)
    return convert(found.body, Evidence) if found else None


def count_evidence(target: Target, digest: str) -> int:
    """How often a digest was rehearsed to an end."""
    return len(target.ledger.entries(release=digest, kind=Kind.EVIDENCE_FOUND))


def keep_evidence(target: Target, plan: Plan, evidence: Evidence) -> None:
    """Write what a rehearsal showed into the ledger, with the plan that it was of."""
    target.ledger.append(
        Kind.PLAN_FROZEN, release=plan.digest, environment=target.name, body=plan_to_json(plan)
    )
    target.ledger.append(
        Kind.EVIDENCE_FOUND, release=plan.digest, environment=target.name, body=to_builtins(evidence)
    )
