"""Whether the revisions on disk and the tool's tracking table agree."""

from __future__ import annotations

from collections.abc import Sequence

from faberdb.connection import Connection
from faberdb.health.report import CheckResult, HealthState, listed
from faberdb.revision import Revision, Standing, TrackedRevision
from faberdb.tools.protocol import MigrationTool


def revisions(conn: Connection, tool: MigrationTool) -> CheckResult:
    """The finding on the tool's revisions."""
    return judge_revisions(tool.revisions(), tool.tracked(conn))


def judge_revisions(revisions: Sequence[Revision], tracked: Sequence[TrackedRevision]) -> CheckResult:
    """The worst that can be said of the history, and how many revisions stand how."""
    # A settled failure says nothing any more, so the newest row that is not rolled back counts.
    last = {t.name: t for t in tracked if t.standing is not Standing.ROLLED_BACK}
    on_disk = {r.name: r for r in revisions}
    applied = {n: t for n, t in last.items() if t.standing is Standing.APPLIED}
    failed = [n for n, t in last.items() if t.standing is Standing.FAILED]
    unfinished = [n for n, t in last.items() if t.standing is Standing.STARTED]
    edited = [n for n, t in applied.items() if n in on_disk and on_disk[n].checksum != t.checksum]
    missing = [n for n in applied if n not in on_disk]
    pending = [n for n in on_disk if n not in last]
    figure = ", ".join(
        f"{len(names)} {word}"
        for word, names in (
            ("applied", list(applied)),
            ("pending", pending),
            ("failed", failed),
            ("unfinished", unfinished),
            ("edited after being applied", edited),
            ("applied but not on disk", missing),
        )
        if names or word == "applied"
    )
    state, why, next_step = _worst(failed + unfinished, edited, missing, pending)
    return CheckResult(
        area="migrations",
        name="revisions",
        state=state,
        figure=figure,
        threshold="degraded with one pending, unhealthy with one failed, unfinished, edited or missing",
        why=why,
        next_step=next_step,
    )


def _worst(
    broken: list[str], edited: list[str], missing: list[str], pending: list[str]
) -> tuple[HealthState, str, str]:
    if broken:
        return HealthState.UNHEALTHY, f"Did not end: {listed(broken)}", "faber-db rollback ENV"
    if edited:
        why = f"Their files are no longer what was applied: {listed(edited)}"
        return HealthState.UNHEALTHY, why, "restore the files from git; changes go into a new migration"
    if missing:
        why = f"The project lacks what was applied: {listed(missing)}"
        return HealthState.UNHEALTHY, why, "check out the commit that holds them"
    if pending:
        return HealthState.DEGRADED, f"Not applied yet: {listed(pending)}", "faber-db plan ENV"
    return HealthState.HEALTHY, "", ""
