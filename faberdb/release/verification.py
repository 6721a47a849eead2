"""Whether an environment is well and keeps the project's promises: before a release, after it, after an undo."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from faberdb.checks import run_checks
from faberdb.config.health import HealthSection
from faberdb.connection import connect
from faberdb.credentials import ledger_dsn
from faberdb.errors import FaberError, Refused, VerificationFailed
from faberdb.health import PROJECT, CheckResult, HealthReport, HealthState, Thresholds
from faberdb.health.examination import check_health
from faberdb.health.history import HealthHistory, moved
from faberdb.health.report import finding, not_run
from faberdb.health.statements import statement_times
from faberdb.progress import Progress
from faberdb.release.execution import journal_of
from faberdb.release.record import Release, comparable_fingerprint
from faberdb.target import Target

BEFORE = ("connectivity", "performance", "schema", "transaction id age", "multixact age")
AFTER = ("connectivity", "migrations", "performance")
_BASELINE_S: Final = 5  # of reading what statements take


def environment_health(
    target: Target, *, checks: tuple[str, ...] | None = None, timeout_s: float | None = None
) -> HealthReport:
    """The environment's health now, compared with what the last release found and left.

    Args:
        target: which.
        checks: areas and single checks; `PROJECT` among them runs the project's own checks too.
        timeout_s: of the whole; the configuration's where None.
    """
    health = target.project.config.health
    timeout_s = timeout_s or health.timeout_seconds
    asked = None if checks is None else tuple(c for c in checks if c != PROJECT)
    report = check_health(
        target.dsn,
        tool=target.tool,
        expected=lambda found: comparable_fingerprint(
            target.ledger, target.name, found=found, ignore=target.project.config.drift.ignore
        ),
        thresholds=thresholds_of(health),
        checks=asked,
        timeout_s=timeout_s,
        baseline=history_of(target).baseline(),
        column_order=target.project.config.drift.column_order,
    )
    if checks is None or PROJECT not in checks:
        return report
    own = _own_checks(target, timeout_s - report.took_ms / 1000)
    return replace(report, results=(*report.results, *own))


def history_of(target: Target) -> HealthHistory:
    """What was seen of the environment's health before."""
    return HealthHistory(
        conn=target.ledger.conn,
        address=ledger_dsn(target.project),
        project=target.project.name,
        environment=target.name,
    )


def keep_look(target: Target, report: HealthReport) -> list[str]:
    """Keep a look at everything, and say what moved since the one before it."""
    history = history_of(target)
    before = history.looks(1)
    problem = history.keep(report, days=target.project.config.health.history_days)
    found = moved(before[0], report) if before else []
    return [*found, f"the look was not kept: {problem}"] if problem else found


def _own_checks(target: Target, left_s: float) -> Iterator[CheckResult]:
    """The project's own checks, each within what is left of the time."""
    ends = time.monotonic() + left_s
    for check in target.project.checks_for(target.name):
        left = ends - time.monotonic()
        if left <= 0:
            yield not_run(PROJECT, "no time was left", name=check.name)
            continue
        try:
            (outcome,) = run_checks(target.dsn, [replace(check, timeout_s=min(check.timeout_s, left))])
        except FaberError as error:
            yield not_run(PROJECT, error.reason, name=check.name, next_step=error.next_step)
            continue
        yield finding(
            PROJECT,
            check.name,
            HealthState.HEALTHY if outcome.passed else HealthState.UNHEALTHY,
            "holds" if outcome.passed else "does not hold",
            threshold="",
            why=outcome.message,
            next_step="look at what it asserts; after a release it takes the release back",
        )


def thresholds_of(section: HealthSection) -> Thresholds:
    """What the configuration calls well."""
    return Thresholds(**{name: getattr(section, name) for name in Thresholds.__struct_fields__})


def health_before(target: Target, release: Release, *, skip: bool = False) -> dict[str, Any]:
    """Refuse to start on an unhealthy database, where the policy asks for the look.

    Raises:
        Refused: unhealthy; nothing was changed.
    """
    if skip or not target.environment.policy.health_before:
        return {"health": "not asked for"}

    def look(progress: Progress) -> Mapping[str, Any]:
        report = environment_health(target, checks=BEFORE)
        if report.overall is HealthState.UNHEALTHY:
            raise Refused(
                f"{target.name} is unhealthy; the release did not start and nothing was changed.",
                why=report.summary(),
                next_step=f"faber-db health-check {target.name}",
            )
        if any(r.name == "slow statements" and r.state is not HealthState.NOT_RUN for r in report.results):
            _keep_baseline(target, release.id, progress)
        return {"health": report.overall.value, "summary": report.summary()}

    return journal_of(target, release).ensure("health before", look)


def _keep_baseline(target: Target, release: str, progress: Progress) -> None:
    """Note what statements take, so that those which the release makes slower can be named."""
    try:
        with connect(target.dsn, purpose="health", statement_timeout_s=_BASELINE_S) as conn:
            times = statement_times(conn)
    except FaberError as error:
        progress(f"what statements take was not noted: {error.what}")
        return
    if times:
        days = target.project.config.health.history_days
        problem = history_of(target).keep_baseline(release, times, days=days)
        progress(
            f"what statements take was not noted: {problem}" if problem else f"{len(times)} statements noted"
        )


def health_after(target: Target, release: Release, *, skip: bool = False) -> dict[str, Any]:
    """The database is well and every project check holds, or the release has failed.

    Raises:
        VerificationFailed: says which check failed and why.
    """

    def look(progress: Progress) -> Mapping[str, Any]:
        facts: dict[str, Any] = {"health": "not asked for"}
        if target.environment.policy.health_after and not skip:
            report = environment_health(target, checks=AFTER)
            if report.overall is HealthState.UNHEALTHY:
                raise VerificationFailed(
                    f"{target.name} is unhealthy after the release.", why=report.summary()
                )
            facts = {"health": report.overall.value, "summary": report.summary()}
        facts["checks"] = project_checks(target, progress)
        return facts

    return journal_of(target, release).ensure("health after", look)


def project_checks(target: Target, progress: Progress) -> list[str]:
    """Run the project's own checks for this environment; the names of those that passed.

    Raises:
        VerificationFailed: one did not hold.
    """
    outcomes = run_checks(target.dsn, target.project.checks_for(target.name), progress=progress)
    failed = [o for o in outcomes if not o.passed]
    if failed:
        raise VerificationFailed(
            f"The check {failed[0].name!r} failed in {target.name}.",
            why="; ".join(o.message for o in failed),
        )
    return [o.name for o in outcomes]


def require_health(target: Target, progress: Progress) -> dict[str, Any]:
    """The environment is well and its checks hold; what the configuration lets pass is said, not raised.

    Raises:
        VerificationFailed: unhealthy, or a check does not hold.
    """
    report = environment_health(target)
    blocks = target.project.config.faber_integration.coordination.block_on_health_check_failure
    if report.overall is HealthState.UNHEALTHY and blocks:
        raise VerificationFailed(
            f"{target.name} is unhealthy.",
            why=report.summary(),
            next_step=f"faber-db health-check {target.name}",
        )
    return {
        "health": report.overall.value,
        "summary": report.summary(),
        "checks": project_checks(target, progress),
    }
