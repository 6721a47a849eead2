"""What becomes of a run that died: who it was, what the ledger says, and the run that goes on from there."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from prefect import task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from faberdb.errors import CompensationFailed, Refused
from faberdb.project import load_project
from faberdb.release.recovery import Course, Recovery, recover
from faberdb.source import is_git_url
from tasks.policies import IDEMPOTENT, READ
from tasks.resolving import environment_of

_RELEASING: Final = frozenset({"pipeline", "build", "evaluate", "release", "rollback", "restore"})
"""The flows that can leave a release open. The death of any other says nothing about one."""


class DeadRun(Struct, frozen=True, kw_only=True):
    """A run whose process is gone, by what it was started with."""

    id: str
    flow: str
    deployment: str  # flow/deployment; ours, where the run was of none
    parameters: dict[str, Any]
    dead: bool = True  # False: it was taken for dead, and came to an end of its own or waits for a person

    @property
    def project(self) -> str:
        """Its project's folder or git URL."""
        return str(self.parameters.get("project", ""))

    @property
    def ref(self) -> str:
        """What it was to be read at, "" for a folder or the default branch."""
        return str(self.parameters.get("ref", ""))

    def at(self, commit: str) -> dict[str, str]:
        """The parameters that name the code: a repository at the commit of the release, where that is known."""
        if not is_git_url(self.project):
            return {"project": self.project}
        return {"project": self.project, "ref": commit or self.ref}

    @property
    def environment(self) -> str:
        """The one environment it was for, "" where it is for several."""
        return str(self.parameters.get("environment", ""))


@task(**READ)
def read_dead_run(run: str) -> DeadRun:
    """What the run was; accepts its id, or the id of its resource in an event.

    Raises:
        Refused: Prefect knows no such run.
    """
    id_ = run.removeprefix("prefect.flow-run.")
    try:
        with get_client(sync_client=True) as client:
            found = client.read_flow_run(UUID(id_))
            flow = client.read_flow(found.flow_id).name
            name = client.read_deployment(found.deployment_id).name if found.deployment_id else "faber-db"
    except (ObjectNotFound, ValueError):
        raise Refused(f"Prefect knows no run {id_!r}.", next_step="prefect flow-run ls") from None
    state = found.state
    dead = state is None or state.is_crashed() or not (state.is_final() or state.is_paused())
    return DeadRun(id=id_, flow=flow, deployment=f"{flow}/{name}", parameters=found.parameters, dead=dead)


@task(**IDEMPOTENT)
def decide_recovery(project: str, dead: DeadRun) -> list[Recovery]:
    """Ask the ledger about every environment that the run was for; returns those with something to do."""
    if dead.flow not in _RELEASING or not dead.dead:
        return []
    names = [dead.environment] if dead.environment else [e.name for e in load_project(project).environments]
    decided = []
    for name in names:
        with environment_of(project, name) as target:
            decided.append(recover(target, run=dead.id, taking_back=dead.flow in {"rollback", "restore"}))
    return [d for d in decided if d.course is not Course.NOTHING]


@task(**IDEMPOTENT)
def start_recovery(dead: DeadRun, decided: list[Recovery]) -> dict[str, Any]:
    """Start the one run that takes back, or goes on.

    Raises:
        CompensationFailed: the ledger says that it was tried often enough.
    """
    worst = _worst(decided)
    if worst is None:
        return {"course": Course.NOTHING.value, "run": ""}
    if worst.course is Course.STOP:
        raise CompensationFailed(
            f"Release {worst.release} is left as it is.",
            why=worst.why,
            next_step=f"faber-db status {worst.environment}, then faber-db migrate or rollback",
        )
    if worst.course is Course.COMPENSATE:
        deployment, parameters = "rollback/faber-db", _taking_back(dead, worst)
    else:
        deployment, parameters = dead.deployment, {**dead.parameters, **dead.at(worst.commit)}
    started = run_deployment(
        deployment, parameters=parameters, timeout=0, as_subflow=False, idempotency_key=f"recover-{dead.id}"
    )
    assert isinstance(started, FlowRun)  # sync here: tasks run no event loop
    return {"course": worst.course.value, "release": worst.release, "why": worst.why, "run": str(started.id)}


def _worst(decided: list[Recovery]) -> Recovery | None:
    for course in (Course.STOP, Course.COMPENSATE, Course.CONTINUE):
        for recovery in decided:
            if recovery.course is course:
                return recovery
    return None


def _taking_back(dead: DeadRun, recovery: Recovery) -> dict[str, Any]:
    return {
        **dead.at(recovery.commit),
        "environment": recovery.environment,
        "release": recovery.release,
        "cause": f"its run died: {recovery.why}",
    }
