"""What will run in one environment, statement by statement, and how it would be undone. Frozen.

The digest names what was approved: it covers everything that decides what runs and where, and leaves
out what only describes it (row counts, the git commit, the time). Owns no judgement: `faberdb.planner`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, convert, json

from faberdb.budget import Budget
from faberdb.canonical import digest_of
from faberdb.risk import Finding, Risk


class UndoWay(StrEnum):
    """How a release is taken back, least loss first."""

    ABORT = "abort"
    DOWN = "down"  # the revisions' own down scripts
    INVERSE = "inverse"  # what the change added is dropped again
    RESTORE_AND_SWAP = "restore-and-swap"
    NONE = "none"

    @property
    def in_place(self) -> bool:
        """Whether it works inside the live database, in one transaction that proves itself."""
        return self in {UndoWay.DOWN, UndoWay.INVERSE}


class ApprovalLevel(StrEnum):
    """What a person has to say before the plan may run."""

    NONE = "none"
    STANDARD = "standard"
    ENHANCED = "enhanced"  # with the confirmation phrase


OPAQUE: Final = ("DO", "CALL")  # verbs of statements that run code which cannot be judged from outside


class PlannedStatement(Struct, frozen=True, kw_only=True):
    """One statement of a step, as people read it before they approve."""

    text: str
    line: int  # in the revision's script
    verb: str
    objects: tuple[str, ...]
    lock: str  # the strongest lock it takes on relations that exist already, "" for none
    risk: Risk
    transactional: bool
    locks: tuple[tuple[str, str], ...] = ()  # relation and mode, on what was there before

    @property
    def lock_text(self) -> str:
        """For people: of code that runs unseen nobody knows before it ran."""
        return self.lock or ("not known" if self.verb in OPAQUE else "none")


class StepKind(StrEnum):
    """What is done with a step's script."""

    APPLY = "apply"  # the tool runs and records it
    RECORD = "record"  # the tool records it: it adopts what the database has already
    REVERT = "revert"  # it takes drift back; the tool knows nothing of it


class Step(Struct, frozen=True, kw_only=True):
    """One revision to apply, or a drift to settle."""

    kind: StepKind = StepKind.APPLY
    revision: str  # of a reversal: its name
    checksum: str
    statements: tuple[PlannedStatement, ...]
    atomic: bool  # all of it in one transaction: a failure or a crash leaves nothing of it
    budget: Budget
    undo: str  # how this step is taken back, in words
    down: str = ""  # the script that its revision brings to take it back, "" without one

    @property
    def bounds(self) -> str:
        """For people: what its statements may take, without an end mark."""
        return self.budget.text_for(concurrent=not all(s.transactional for s in self.statements))

    @property
    def how(self) -> str:
        """In words: is it run, and all of it or nothing?"""
        if self.kind is StepKind.RECORD:
            return "Not run: the database has it already, and it is only recorded as applied"
        whole = "One transaction" if self.atomic else "**Not in one transaction**"
        return f"{whole}, which takes drift back" if self.kind is StepKind.REVERT else whole


class Undo(Struct, frozen=True, kw_only=True):
    """How the whole plan is taken back, chosen before it runs."""

    way: UndoWay
    loses: str  # what would be lost, in words an approver can weigh
    why: str  # why this way and not one that loses less
    ends: str = ""  # which connections it ends
    fallback: UndoWay = UndoWay.NONE  # taken where a way in place does not lead back when it is needed


class Plan(Struct, frozen=True, kw_only=True):
    """What will run. `commit`, `requester`, `change`, `findings` and `notes` describe, and are no identity."""

    project: str
    environment: str
    database: str
    tool: str
    change: str  # the work item's id and title, "" without one
    requester: str
    commit: str  # the git commit the revisions were read at, "" outside a repository
    applied: tuple[tuple[str, str], ...]  # name and checksum of each revision already there
    fingerprint: str  # of the schema that the plan starts from
    steps: tuple[Step, ...]
    risk: Risk
    approval: ApprovalLevel
    snapshot: bool  # a snapshot is taken before the first step
    undo: Undo
    checks: tuple[str, ...]  # names of the project's checks that must pass afterwards
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    proof: str = (
        ""  # how the snapshot is proven before the first step (`SnapshotProof`); "" where none is taken
    )

    @property
    def digest(self) -> str:
        """64 hex digits; equal exactly when the same things would run on the same schema."""
        value = plan_to_json(self)
        return digest_of({k: v for k, v in value.items() if k not in _DESCRIPTION} | {"format": _FORMAT})

    @property
    def blocked(self) -> tuple[Finding, ...]:
        """The findings for which policy forbids the plan."""
        return tuple(f for f in self.findings if f.blocks)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to run."""
        return not self.steps


_FORMAT: Final = 1
_DESCRIPTION: Final = frozenset({"commit", "requester", "change", "findings", "notes"})


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values."""
    made: dict[str, Any] = json.decode(json.encode(plan))
    return made


def plan_from_json(value: Mapping[str, Any]) -> Plan:
    """The plan that `plan_to_json` wrote."""
    return convert(value, Plan)
