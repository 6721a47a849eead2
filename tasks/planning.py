"""Looking ahead: what is asked, what would run, and whether it works on a copy."""

from __future__ import annotations

from msgspec import Struct
from prefect import task

from faberdb.errors import DatabaseMissing, VerificationFailed
from faberdb.framing import EnvironmentState, Framing, frame_change
from faberdb.phase_pages import linked, with_picture
from faberdb.plan import Plan
from faberdb.progress import silent
from faberdb.project import load_project
from faberdb.release.evidence import Evidence, find_evidence
from faberdb.release.opening import plan_target
from faberdb.release.picture import evidence_picture
from faberdb.release.rehearsal import rehearse
from faberdb.report import plan_markdown
from faberdb.testing import run_application_tests
from faberdb.workitem import title_of
from tasks.linking import link_of
from tasks.policies import IDEMPOTENT, ONCE, READ
from tasks.resolving import environment_of


class PlanView(Struct, frozen=True, kw_only=True):
    """A plan as a flow needs it."""

    environment: str
    digest: str  # "" where there is no database to plan for yet
    steps: int
    markdown: str
    plan: Plan | None = None  # None where there is no database to plan for yet


@task(**READ)
def name_environments(project: str) -> list[str]:
    """The environments in promotion order."""
    return [e.name for e in load_project(project).environments]


@task(**READ)
def decide_database_work(
    project: str, work_item: str, requester: str, environments: list[EnvironmentState]
) -> Framing:
    """Read the work item and decide whether it concerns the database."""
    return frame_change(load_project(project), work_item, requester, tuple(environments))


@task(**READ)
def make_plan(project: str, environment: str, work_item: str, requester: str) -> PlanView:
    """What would run in one environment now; a database that Build creates later has no plan yet."""
    try:
        with environment_of(project, environment) as target:
            change = title_of(target.project.root, work_item)
            plan = plan_target(target, change=change, requester=requester)
            evidence = find_evidence(target, plan.digest)
            markdown = plan_markdown(plan, evidence, change=linked(change, link_of(target.project)))
            return PlanView(
                environment=environment,
                digest=plan.digest,
                steps=len(plan.steps),
                markdown=with_picture(markdown, evidence_picture(target.ledger, evidence)),
                plan=plan,
            )
    except DatabaseMissing:
        text = f"**{environment}** has no database yet; every revision will run when it is created.\n"
        return PlanView(environment=environment, digest="", steps=0, markdown=text)


@task(**IDEMPOTENT)
def rehearse_on_copy(project: str, environment: str, work_item: str, requester: str) -> Evidence | None:
    """Run the environment's plan on a copy of it, and take it back there.

    Raises:
        VerificationFailed: the plan fails on the copy; nothing real was touched.
        Refused: it would not stay in the copy.
    """
    with environment_of(project, environment) as target:
        plan = plan_target(target, change=title_of(target.project.root, work_item), requester=requester)
        if plan.empty:
            return None
        evidence = rehearse(target, plan, silent)
        if not evidence.ok:
            raise VerificationFailed(
                f"The plan for {environment} fails on a copy of it; nothing real was touched.",
                why=evidence.message,
                next_step="correct the revision, then run the pipeline again",
            )
        return evidence


@task(**ONCE)
def test_application(project: str, environment: str) -> str:
    """Run the project's test command against an environment; says what came of it."""
    with environment_of(project, environment) as target:
        return run_application_tests(target)


@task(**READ)
def evaluation_environments(project: str) -> tuple[str, str]:
    """The environment that is copied for the rehearsal, and the one that is staged to."""
    loaded = load_project(project)
    return loaded.final_environment.name, loaded.staging_environment.name


@task(**READ)
def first_environment(project: str) -> str:
    """The environment that Build works on."""
    return load_project(project).environments[0].name
