"""Looking at environments between releases: are they well, and are they what the last release left?"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from faberdb.drift import Drift, look_for_drift
from faberdb.errors import VerificationFailed
from faberdb.health import HealthState
from faberdb.health.page import health_page
from faberdb.release.verification import environment_health, keep_look
from tasks.policies import IDEMPOTENT, READ
from tasks.resolving import environment_of


class HealthView(Struct, frozen=True, kw_only=True):
    """One environment's health as a flow needs it."""

    environment: str
    state: str
    summary: str
    markdown: str

    @property
    def unhealthy(self) -> bool:
        """Whether somebody has to act."""
        return self.state == HealthState.UNHEALTHY


@task(**READ)
def look_at_health(project: str, environment: str) -> HealthView:
    """Examine one environment, and keep what was seen; being unwell is part of the answer."""
    with environment_of(project, environment) as target:
        report = environment_health(target)
        moved = keep_look(target, report)
    return HealthView(
        environment=environment,
        state=report.overall.value,
        summary=report.summary(),
        markdown=health_page(environment, report, moved),
    )


@task(**IDEMPOTENT)
def publish_health(views: list[HealthView]) -> dict[str, Any]:
    """Show every environment's health; an unhealthy one is a failure that says what to do.

    Raises:
        VerificationFailed: an environment is unhealthy.
    """
    text = "\n".join(v.markdown for v in views)
    create_markdown_artifact(text, key="health", description="Health of the environments")
    bad = [v for v in views if v.unhealthy]
    if bad:
        raise VerificationFailed(
            f"Unhealthy: {', '.join(v.environment for v in bad)}.",
            why="; ".join(v.summary for v in bad),
            next_step=f"faber-db health-check {bad[0].environment}",
        )
    return {v.environment: v.state for v in views}


@task(**IDEMPOTENT)
def look_for_drift_in(project: str, environment: str) -> Drift:
    """Compare one environment's schema with what the last release left."""
    with environment_of(project, environment) as target:
        return look_for_drift(target)


@task(**IDEMPOTENT)
def publish_drift(found: list[Drift]) -> dict[str, Any]:
    """Show what drifted, and tell the world when that changes."""
    for drift in found:
        if drift.changed:
            emit_event(
                event="faber-db.drift.appeared" if drift.drifted else "faber-db.drift.gone",
                resource={"prefect.resource.id": f"faber-db.environment.{drift.project}.{drift.environment}"},
                payload=drift.to_json(),
            )
    text = "\n".join(drift.markdown for drift in found)
    create_markdown_artifact(
        f"# Drift\n\n{text}", key="drift", description="Schemas against the last release"
    )
    return {d.environment: d.drifted for d in found}
