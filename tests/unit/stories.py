"""Releases told to the second, for what draws and writes about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from faberdb.canonical import canonical_json
from faberdb.catalog import Schema
from faberdb.config.model import FaberConfig
from faberdb.ledger import Entry, Kind, Ledger
from faberdb.observation import Observation
from faberdb.plan import plan_to_json
from faberdb.planner import make_plan
from faberdb.policy import policy_for
from faberdb.release.record import Release, read_release
from faberdb.revision import Revision

MORNING = datetime(2026, 11, 23, 9, 14, 2, tzinfo=UTC)
ID = "rel-production-20261123T091402-d3adb33f"
REVISIONS = [
    Revision(name="0015_points", checksum="5" * 64, script="CREATE TABLE points (id int PRIMARY KEY);"),
    Revision(name="0016_backfill", checksum="6" * 64, script="UPDATE points SET id = id WHERE id > 0;"),
    Revision(name="0017_index", checksum="7" * 64, script="CREATE INDEX CONCURRENTLY i ON points (id);"),
]


@dataclass
class Story:
    """A ledger that holds one release, written line by line."""

    change: str = "SHOP-42: Loyalty points"
    at: datetime = MORNING
    lines: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        seen = Observation(tracked=(), schema=Schema(objects={}), row_counts={}, cannot_restore_beside="")
        plan = make_plan(
            project="shop",
            environment="production",
            database="shop_production",
            tool="prisma",
            policy=policy_for(FaberConfig.model_validate({}), "production"),
            revisions=REVISIONS,
            observed=seen,
            checks=(),
            change=self.change,
            requester="Priya Nair",
            commit="c0ffee" * 6,
        )
        self.tell(
            Kind.RELEASE_OPENED, plan=plan_to_json(plan), digest=plan.digest, requester="Priya Nair", run="r"
        )

    def tell(self, kind: Kind, *, after: float = 0, under: str = ID, **body: Any) -> Story:
        self.at += timedelta(seconds=after)
        entry = Entry(
            seq=len(self.lines) + 1,
            at=self.at,
            project="shop",
            environment="production",
            release=under,
            kind=kind,
            actor="",
            body_text=canonical_json(body),
            previous_hash="",
            hash="",
        )
        self.lines.append(entry)
        return self

    def approved(self, *, after: float) -> Story:
        self.tell(Kind.APPROVAL_ASKED, after=0.1, digest="", level="standard")
        vote = {"digest": "", "decision": "approve", "approver": "Morgan Chen", "comment": "", "phrase": ""}
        return self.tell(Kind.VOTE_CAST, after=after, **vote, proof="")

    def step(
        self, name: str, seconds: float, notes: Sequence[tuple[float, str]] = (), **outcome: Any
    ) -> Story:
        self.tell(Kind.STEP_INTENDED, after=0.2, step=name)
        for after, note in notes:
            self.tell(Kind.STEP_NOTED, after=after, step=name, note=note)
        return self.tell(Kind.STEP_DONE, after=seconds - sum(a for a, _ in notes), step=name, outcome=outcome)

    def until_applied(self) -> Story:
        self.step("check plan", 0.04).step("health before", 0.2).step("snapshot", 6.3)
        applying = (
            (0.05, "applying 0015_points"),
            (0.5, "applied 0015_points"),
            (0.0, "applying 0016_backfill"),
            (9.2, "applied 0016_backfill"),
            (0.0, "applying 0017_index"),
            (3.1, "applied 0017_index"),
        )
        return self.step("apply", 12.9, applying).step("verify revisions", 0.3)

    def closed(self, outcome: str) -> Story:
        return self.tell(Kind.RELEASE_CLOSED, after=0.1, outcome=outcome)

    def entries(self, release: str, **_: object) -> list[Entry]:
        return [e for e in self.lines if e.release == release]

    def release(self) -> Release:
        return read_release(cast(Ledger, self), ID)


def landed() -> Story:
    """A release that waited two days for a person and came out well."""
    return (
        Story()
        .approved(after=2 * 86400 + 3 * 3600)
        .until_applied()
        .step("health after", 1.1)
        .closed("released")
    )


def taken_back() -> Story:
    """A release whose check failed, and whose snapshot was put in its place."""
    story = Story(change='SHOP-43: Support can see <orders> & "customers"').approved(after=95).until_applied()
    story.tell(Kind.STEP_INTENDED, after=0.2, step="health after")
    story.tell(
        Kind.STEP_FAILED, after=1.4, step="health after", error="VerificationFailed", what="It fails.", why=""
    )
    story.tell(Kind.ROLLBACK_OPENED, after=0.2, cause="The check failed.")
    story.step("choose undo", 0.1).step(
        "restore beside", 8.2, snapshot="s", fingerprint_equal=True, rows_equal=True
    ).step("swap", 0.8, aside="aside")
    story.step("count later rows", 0.1)
    return story.step("verify undone", 0.3, fingerprint="f" * 64).closed("rolled back")
