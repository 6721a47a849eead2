"""Whether an environment is well and keeps the project's promises: before a release, after it, after an undo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from faberdb.checks import run_checks
from faberdb.config.health import HealthSection
from faberdb.errors import Refused, VerificationFailed
from faberdb.health import HealthReport, HealthState, Thresholds, check_health
from faberdb.progress import Progress
from faberdb.release.execution import journal_of
from faberdb.release.record import Release, last_fingerprint
from faberdb.target import Target

BEFORE = ("connectivity", "performance", "schema")
AFTER = ("connectivity", "migrations", "performance")


def environment_health(
    target: Target, *, checks: tuple[str, ...] | None = None, timeout_s: float | None = None
) -> HealthReport:
    """The environment's health now, its schema compared with what the last release left."""
    health = target.project.config.health
    return check_health(
        target.dsn,
        tool=target.tool,
        expected_fingerprint=last_fingerprint(target.ledger, target.name),
        thresholds=thresholds_of(health),
        checks=checks,
        timeout_s=timeout_s or health.timeout_seconds,
    )


def thresholds_of(section: HealthSection) -> Thresholds:
    """What the configuration calls well."""
    return Thresholds(**{f.name: getattr(section, f.name) for f in fields(Thresholds)})


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
        return {"health": report.overall.value, "summary": report.summary()}

    return journal_of(target, release).ensure("health before", look)


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
