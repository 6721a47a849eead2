"""Running a plan on a copy before it runs for real, and keeping what was learnt as evidence.

The database of the copy bears witness (`faberdb.witness`): which locks each statement takes and how long,
what it rewrites, reads and writes. Then the plan is taken back there, as a rollback would. A copy with rows
is made from a fresh snapshot of the environment, so a rehearsal also proves that those restore.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from msgspec.structs import replace

from faberdb.catalog import Schema
from faberdb.checks import run_checks
from faberdb.connection import Connection, connect, flushed_together
from faberdb.dsn import Dsn
from faberdb.errors import FaberError, Failed
from faberdb.ledger.schemas import keep_schema
from faberdb.plan import Plan, UndoWay
from faberdb.progress import Progress
from faberdb.release.copying import (
    Copy,
    CopyKind,
    copy_kind,
    made_copy,
    require_contained,
    take_back,
)
from faberdb.release.evidence import Evidence, count_evidence, find_evidence, keep_evidence
from faberdb.release.execution import take_environment_snapshot
from faberdb.release.in_place import InPlace, NotInPlace
from faberdb.release.stepping import Stepping
from faberdb.revision import Revision
from faberdb.target import Target
from faberdb.witness import Witness, Witnessed


def rehearse(target: Target, plan: Plan, progress: Progress) -> Evidence:
    """Make a copy, run the plan there, take it back there, and keep what that showed.

    A copy with rows is made from a fresh snapshot, which is taken for it.

    Returns:
        The evidence, also when the plan failed on the copy. Evidence that it works is not gathered twice.

    Raises:
        Refused: a statement would not stay in the copy, or no copy can be made; nothing was run.
        SnapshotUnusable, CommandFailed, Transient: the copy could not be made.
    """
    known = find_evidence(target, plan.digest)
    if known is not None and known.ok:
        return known
    require_contained(target, plan)
    snapshot = _fresh_snapshot(target, plan, progress) if copy_kind(target) is CopyKind.DATA else ""
    with made_copy(target, plan, snapshot, progress) as copy:
        evidence = _Rehearsal(target=target, plan=plan, copy=copy, progress=progress).run(snapshot)
    keep_evidence(target, plan, evidence)
    return evidence


def _fresh_snapshot(target: Target, plan: Plan, progress: Progress) -> str:
    """The same one for a rehearsal that died; another after one that failed, for rows may be what was mended."""
    id_ = f"{target.name}-rehearsal-{plan.digest[:12]}"
    tries = count_evidence(target, plan.digest)
    id_ += f"-{tries + 1}" if tries else ""
    take_environment_snapshot(target, id_, note=progress, label="rehearsal", reason="rehearsal")
    return id_


@dataclass(slots=True, kw_only=True)
class _Rehearsal:
    """One run on one copy, and what it showed so far."""

    target: Target
    plan: Plan
    copy: Copy
    progress: Progress
    notes: list[str] = field(default_factory=list)
    timings: list[tuple[str, float]] = field(default_factory=list)
    witnessed: tuple[Witnessed, ...] = ()
    means: str = ""
    before: Schema | None = None  # of the copy
    after: str = ""

    def run(self, snapshot: str) -> Evidence:
        message = ""
        try:
            with connect(self.copy.dsn, purpose="rehearse") as conn, flushed_together(conn):
                self._steps(conn)
            message = self._checks_message()
        except FaberError as error:
            message = error.reason
        evidence = Evidence(
            digest=self.plan.digest,
            ok=not message,
            message=message,
            snapshot=snapshot,
            restore_s=round(self.copy.made_s, 3),
            step_s=tuple(self.timings),
            fingerprint_after=self.after
            if not message and self._before_print == self.plan.fingerprint
            else "",
            copy=self.copy.kind.value,
            server=self.copy.server,
            witness=self.means,
            witnessed=self.witnessed,
            scan_rows=self.target.project.config.rehearsal.scan_rows,
        )
        evidence = evidence if message else self._undone(evidence, snapshot)
        return replace(evidence, notes=tuple(self.notes))

    def _steps(self, conn: Connection) -> None:
        target, on_disk = self.target, {r.name: r for r in self.target.tool.revisions()}
        target.tool.ensure_tracking(conn)
        if self.copy.kind is CopyKind.SCHEMA:
            self._without_rows(conn, on_disk)
        self.before = self._schema(conn)
        if self._before_print != self.plan.fingerprint:
            self.notes.append(
                "The copy's schema is not equal to the one that the plan starts from (another server's roles or"
                " version, or a change since), so what comes out of the release is not compared with it."
            )
        steps = Stepping(target=target, conn=conn, plan=self.plan, on_disk=on_disk, progress=self.progress)
        deadline = time.monotonic() + target.project.config.rehearsal.timeout_seconds
        tracking = target.tool.tracking_tables
        with Witness(conn, tracking=tracking, schema=target.dsn.schema) as witness:
            self.means = witness.means.value
            if witness.why_not_better:
                self.notes.append(f"Less was seen than could be: {witness.why_not_better}.")
            try:
                for step in self.plan.steps:
                    _require_time(deadline, step.revision)
                    self.progress(f"rehearsing {step.revision}")
                    began = time.monotonic()
                    with witness.watching(step):
                        steps.run(step)
                    self.timings.append((step.revision, round(time.monotonic() - began, 3)))
            finally:
                self.witnessed = tuple(witness.seen)
        self.after = self._schema(conn).fingerprint

    def _without_rows(self, conn: Connection, on_disk: Mapping[str, Revision]) -> None:
        """The copy's tracking table came without its rows too."""
        self.target.tool.baseline(conn, [on_disk[n] for n, _ in self.plan.applied if n in on_disk])
        self.notes.append(
            "The copy has no rows: times are those of empty tables, and a revision that depends on data, and the"
            " project's checks, were not tried."
        )

    def _schema(self, conn: Connection) -> Schema:
        schema = self.target.read(conn)
        keep_schema(self.target.ledger, schema)
        return schema

    def _checks_message(self) -> str:
        """The project's checks that hold everywhere must hold on the copy too."""
        if self.copy.kind is CopyKind.SCHEMA:
            return ""
        checks = self.target.project.checks_for("rehearsal")
        outcomes = run_checks(self.copy.dsn, checks, progress=self.progress)
        return "; ".join(f"the check {o.name!r} failed: {o.message}" for o in outcomes if not o.passed)

    def _undone(self, evidence: Evidence, snapshot: str) -> Evidence:
        """The same with what taking it back showed."""
        if self.plan.undo.way.in_place:
            evidence = self._undone_in_place(evidence)
            if not evidence.undo_refuted:
                return evidence
            self.notes.append(f"The undo will be {self.plan.undo.fallback.value}: {evidence.undo_refuted}")
        return self._undone_by_restoring(evidence, snapshot)

    def _undone_in_place(self, evidence: Evidence) -> Evidence:
        self.progress(f"rehearsing the undo: {self.plan.undo.way.value}")
        began = time.monotonic()
        try:
            with connect(self.copy.dsn, purpose="rehearse") as conn:
                done = self._in_place(conn).run()
        except FaberError as error:
            return replace(evidence, undo_refuted=error.reason)
        return replace(
            evidence,
            undo_s=round(time.monotonic() - began, 3),
            undo_ok=True,
            undo_way=self.plan.undo.way.value,
            undo_script=done.statements,
        )

    def _in_place(self, conn: Connection) -> InPlace:
        assert self.before is not None
        return InPlace(
            conn=conn,
            tool=self.target.tool,
            plan=self.plan,
            way=self.plan.undo.way,
            schema=self.target.dsn.schema,
            read=self.target.read,
            before=self.before,
            left=self.after,
            aside=self._no_place,
            progress=self.progress,
        )

    @contextmanager
    def _no_place(self) -> Iterator[Connection]:
        """On a copy nobody wrote since: what the added objects hold there, the change itself put there."""
        raise NotInPlace("The change itself leaves rows in what it adds.")
        yield  # pragma: no cover -- a context manager yields

    def _undone_by_restoring(self, evidence: Evidence, snapshot: str) -> Evidence:
        why_not = self._why_no_restoring(snapshot)
        if why_not:
            self.notes.append(f"The undo was not rehearsed: {why_not}.")
            return evidence
        self.progress("rehearsing the undo")
        began = time.monotonic()
        try:
            take_back(self.target, self.copy, snapshot, self.progress)
            after = self._read(self.copy.dsn)
        except FaberError as error:
            return replace(
                evidence, ok=False, message=f"the undo failed on the copy: {error.reason}", undo_ok=False
            )
        took = round(time.monotonic() - began, 3)
        before = self._before_print
        if after != before:
            message = f"the undo left the schema {after[:12]} on the copy, and not {before[:12]}"
            return replace(evidence, ok=False, message=message, undo_s=took, undo_ok=False)
        return replace(evidence, undo_s=took, undo_ok=True)

    def _read(self, dsn: Dsn) -> str:
        with connect(dsn, purpose="rehearse") as conn:
            return self.target.read(conn).fingerprint

    def _why_no_restoring(self, snapshot: str) -> str:
        ways = {self.plan.undo.way, self.plan.undo.fallback}
        if UndoWay.RESTORE_AND_SWAP not in ways:
            return f"the plan's way back is {self.plan.undo.way.value}"
        if not snapshot:
            return "a copy without rows has no snapshot to restore"
        return "" if self.target.project.config.rehearsal.undo else "the configuration says so"

    @property
    def _before_print(self) -> str:
        return self.before.fingerprint if self.before is not None else ""


def _require_time(deadline: float, revision: str) -> None:
    if time.monotonic() > deadline:
        raise Failed(
            f"The rehearsal took longer than its bound, and {revision} was not begun.",
            next_step="raise rehearsal.timeout_seconds, or make the copy smaller with rehearsal.copy_of",
        )
