"""Which pending revisions have a lock-safe form, and whether a copy of the schema shows it to be equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from faberdb.budget import Budget
from faberdb.catalog import read_schema
from faberdb.catalog.difference import describe, differences
from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import FaberError
from faberdb.history import pending
from faberdb.progress import silent
from faberdb.reach import refuse_beyond
from faberdb.revision import Revision
from faberdb.safer.parts import safer_parts
from faberdb.schema_copy import schema_copies
from faberdb.target import Target
from faberdb.tools.protocol import MigrationTool

_SHOWN = 3


class Offer(Struct, frozen=True, kw_only=True):
    """What could take a revision's place."""

    revision: str
    checksum: str
    parts: tuple[Revision, ...]  # in order; their checksums are empty until they are written
    why: tuple[str, ...]  # what the revision as it is does to an application
    unequal: str = ""  # why it was not proven equal, "" where it was

    @property
    def equal(self) -> bool:
        """Whether the parts led to the same schema on a copy."""
        return not self.unequal

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "revision": self.revision,
            "why": list(self.why),
            "equal": self.equal,
            "unequal": self.unequal,
            "parts": [{"name": p.name, "script": p.script} for p in self.parts],
        }


def offers(target: Target) -> tuple[Offer, ...]:
    """The pending revisions that have a lock-safe form, each tried on two copies of the environment's schema.

    Raises:
        FaberError: the environment could not be read, the copies not be made, or a revision not be kept in them.
    """
    revisions = target.tool.revisions()
    with connect(target.dsn, purpose="plan", read_only=True) as conn:
        waiting = pending(revisions, target.tool.tracked(conn))
    proposed = {r.name: offer for r in waiting if (offer := _propose(r)) is not None}
    if not proposed:
        return ()
    last = max(i for i, r in enumerate(waiting) if r.name in proposed)
    refuse_beyond(
        ((r.name, r.script) for r in waiting[: last + 1]),
        hosting=target.environment.hosting,
        what="Safer forms are not tried",
    )
    with schema_copies(target.dsn, copies=2) as (plain, parted):
        return _proven(target, plain, parted, waiting[: last + 1], proposed)


def _propose(revision: Revision) -> Offer | None:
    found = safer_parts(revision.script, source=revision.name)
    if found is None:
        return None
    width = len(str(len(found.scripts)))
    return Offer(
        revision=revision.name,
        checksum=revision.checksum,
        parts=tuple(
            Revision(name=f"{revision.name}_{n:0{width}}", checksum="", script=script)
            for n, script in enumerate(found.scripts, 1)
        ),
        why=found.why,
    )


def _proven(
    target: Target, plain: Dsn, parted: Dsn, waiting: Sequence[Revision], proposed: dict[str, Offer]
) -> tuple[Offer, ...]:
    """Both copies go through what is pending, one in parts; where they part ways, the rest is not tried."""
    tool, budget = target.tool, target.environment.policy.budget
    found: list[Offer] = []
    stopped = ""
    with connect(plain, purpose="prove") as one, connect(parted, purpose="prove") as other:
        for conn in (one, other):
            tool.ensure_tracking(conn)
        for revision in waiting:
            offer = proposed.pop(revision.name, None)
            try:
                _apply(tool, one, (revision,), budget)
                if offer is None:
                    _apply(tool, other, (revision,), budget)
                    continue
            except FaberError as error:
                stopped = f"{revision.name} as it is does not run on a copy of the schema: {error.reason}"
                proposed |= {offer.revision: offer} if offer else {}
                break
            found.append(replace(offer, unequal=_difference(tool, one, other, offer, budget)))
            if not found[-1].equal:
                stopped = f"it was not tried, as the one before, {revision.name}, is not equal"
                break
    return (*found, *(replace(offer, unequal=stopped) for offer in proposed.values()))


def _difference(tool: MigrationTool, one: Connection, other: Connection, offer: Offer, budget: Budget) -> str:
    try:
        _apply(tool, other, offer.parts, budget)
    except FaberError as error:
        return error.reason
    there = read_schema(one, leave_out=tool.tracking_tables)
    here = read_schema(other, leave_out=tool.tracking_tables)
    return "; ".join([describe(d) for d in differences(there, here)][:_SHOWN])


def _apply(tool: MigrationTool, conn: Connection, revisions: Sequence[Revision], budget: Budget) -> None:
    for revision in revisions:
        tool.apply(conn, revision, budget, silent)
