"""What people see of a run: phases in the ledger, Markdown artifacts in Prefect's UI."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from faberdb.errors import CompensationFailed, FaberError, TakenBack
from faberdb.framing import Framing
from faberdb.ledger import Ledger
from faberdb.phase_pages import (
    Link,
    architect_page,
    build_page,
    evaluate_page,
    frame_page,
    release_page,
    revision_rows,
)
from faberdb.phases import begin_phase, end_phase
from faberdb.project import load_project
from faberdb.release import undo
from faberdb.release.evidence import Evidence
from faberdb.release.picture import evidence_picture
from faberdb.release.record import Release, read_release
from faberdb.target import open_project_ledger
from tasks.announcing import announce_failure
from tasks.artifact_keys import artifact_key
from tasks.linking import link_of
from tasks.planning import PlanView
from tasks.policies import IDEMPOTENT
from tasks.resolving import environment_of, release_of


@task(**IDEMPOTENT)
def begin(project: str, phase: str) -> None:
    """Write that a phase began."""
    loaded = load_project(project)
    with open_project_ledger(loaded) as ledger:
        begin_phase(ledger, phase, run=_run())


@task(**IDEMPOTENT)
def publish_frame(project: str, framing: Framing) -> dict[str, Any]:
    """Say what Frame found."""
    link = link_of(load_project(project))
    _publish(project, "frame", framing.summary, frame_page(framing, link))
    return {
        "change": framing.change,
        "requester": framing.requester,
        "database_work": framing.detection.database_work,
        "summary": framing.summary,
    }


@task(**IDEMPOTENT)
def publish_plans(project: str, plans: list[PlanView]) -> dict[str, Any]:
    """Show every environment's plan."""
    lines = [
        f"{p.environment}: {p.steps} revisions to run, plan {p.digest[:12]}"
        if p.steps
        else f"{p.environment}: {'nothing to run' if p.digest else 'no database yet'}"
        for p in plans
    ]
    page = architect_page([(p.environment, p.plan, p.markdown) for p in plans])
    _publish(project, "architect", "\n".join(lines), page)
    for view in plans:
        if view.plan is not None and view.steps:
            key = artifact_key("revisions", view.environment)
            about = f"Revisions to run in {view.environment}, plan {view.digest[:12]}"
            create_table_artifact(revision_rows(view.plan), key=key, description=about)
    return {"plans": {p.environment: p.digest for p in plans}}


@task(**IDEMPOTENT)
def publish_build(
    project: str, environment: str, created: dict[str, Any], seeded: dict[str, Any], health: dict[str, Any]
) -> dict[str, Any]:
    """Say what Build left."""
    how = "created" if created["created"] else "found"
    text = f"{environment}: database {how}, seed {seeded['seeded']}, {health['health']}"
    _publish(project, "build", text, build_page(environment, created, seeded, health))
    return {"environment": environment, "health": health["health"]}


@task(**IDEMPOTENT)
def publish_evaluation(project: str, evidence: Evidence | None, staging: str, tests: str) -> dict[str, Any]:
    """Say what Evaluate found."""
    if evidence is None:
        rehearsed = "nothing to rehearse"
    else:
        seconds = sum(s for _, s in evidence.step_s)
        rehearsed = f"rehearsed on a restored copy in {seconds:.2f} s"
    text = f"{rehearsed}\n{staging}: application tests: {tests}"
    with open_project_ledger(load_project(project)) as ledger:
        picture = evidence_picture(ledger, evidence)
    _publish(project, "evaluate", text, evaluate_page(evidence, staging, tests, picture=picture))
    return {"rehearsed": evidence is not None, "tests": tests}


@task(**IDEMPOTENT)
def publish_release(project: str, environment: str, release: str) -> dict[str, Any]:
    """Show how a release ended."""
    with release_of(project, environment, release) as (target, record):
        _show_release(target.ledger, record, link_of(target.project))
        return {"release": release, "outcome": record.state, "environment": environment}


@task(**IDEMPOTENT)
def publish_nothing_to_do(project: str, environment: str) -> dict[str, Any]:
    """Say that an environment is up to date."""
    return {"release": "", "outcome": "nothing to do", "environment": environment}


@task(**IDEMPOTENT)
def publish_no_work(project: str, framed: dict[str, Any]) -> dict[str, Any]:
    """Say that the work item does not concern the database, and pass."""
    return {"outcome": "no database work", "summary": framed["summary"]}


@task(**IDEMPOTENT)
def taken_back(project: str, environment: str, release: str, cause: str) -> FaberError:
    """The error of a release that failed and was taken back whole."""
    return TakenBack(
        f"Release {release} failed and was taken back; {environment} is as it was before.",
        why=cause,
        next_step=f"faber-db ledger --release {release}",
    )


@task(**IDEMPOTENT)
def undo_failed(
    project: str, environment: str, release: str, error: FaberError, cause: str
) -> CompensationFailed:
    """The error of a release that failed and could not be taken back."""
    with environment_of(project, environment) as target:
        announce_failure(target, release)
        record = read_release(target.ledger, release)
        _show_release(target.ledger, record, link_of(target.project))
    return undo.undo_failed(record, error, cause)


def _publish(project: str, phase: str, text: str, page: str) -> None:
    loaded = load_project(project)
    with open_project_ledger(loaded) as ledger:  # first: when it is away the task is tried again from here
        end_phase(ledger, phase, text, run=_run())
    create_markdown_artifact(page, key=phase, description=f"Phase {phase} of {loaded.name}")


def _show_release(ledger: Ledger, release: Release, link: Link) -> None:
    entries = [*ledger.entries(release=release.id), *ledger.entries(release=f"{release.id}/rollback")]
    page = release_page(release, sorted(entries, key=lambda e: e.seq), link)
    key = artifact_key("release", release.environment)
    create_markdown_artifact(page, key=key, description=f"Release {release.id}: {release.state}")


def _run() -> str:
    return str(flow_run.root_flow_run_id or flow_run.id or "")
