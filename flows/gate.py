"""The gate: a release waits here for a person, without a process.

Only the run at the top can be suspended, so the flow that is at the top asks; a flow below it finds the
decision in the ledger and passes, or is refused.
"""

from __future__ import annotations

from prefect.flow_runs import suspend_flow_run
from prefect.runtime import flow_run

from faberdb.policy import Autonomy
from tasks.approving import (
    Asked,
    ask_for_release,
    ask_for_rollback,
    asks_person,
    record_decision,
    record_rollback_decision,
    require_permission,
    require_rollback_permission,
)
from tasks.environments import create_database, provision


def permit(
    project: str,
    environment: str,
    work_item: str,
    requester: str,
    autonomy: Autonomy,
    skip_backup: bool = False,
) -> str:
    """Open the environment's release and pass with the permission it needs.

    Returns:
        The release's id, or "" when there is nothing to release.
    """
    question = (project, environment, work_item, requester, autonomy, _root_run(), skip_backup)
    asked = ask_for_release(*question)
    if not asked.release:
        return ""
    while asked.waiting and _at_top():
        if not record_decision(project, environment, asked.release, _wait(asked)):
            break
        asked = ask_for_release(*question)
    return require_permission(project, environment, asked.release, autonomy)


def permit_ahead(project: str, environment: str, work_item: str, requester: str, autonomy: Autonomy) -> None:
    """At the top, ask now for what a flow below will release and may not ask for itself."""
    if asks_person(project, environment, autonomy):
        provision(project, environment)
        create_database(project, environment)
        permit(project, environment, work_item, requester, autonomy)


def permit_rollback(
    project: str, environment: str, release: str, snapshot: str, requester: str, cause: str
) -> str:
    """Find what to take back and pass with the permission that needs; returns the release's id."""
    question = (project, environment, release, snapshot, requester, cause, _root_run())
    asked = ask_for_rollback(*question)
    while asked.waiting and _at_top():
        if not record_rollback_decision(project, environment, asked.release, _wait(asked)):
            break
        asked = ask_for_rollback(*question)
    return require_rollback_permission(project, environment, asked.release)


def _wait(asked: Asked) -> dict[str, str]:
    form = asked.form.with_initial_data(description=asked.question)
    answer = suspend_flow_run(wait_for_input=form, timeout=asked.timeout_s, key=asked.key)
    return {k: str(v) for k, v in answer.model_dump(mode="json").items()}


def _root_run() -> str:
    return str(flow_run.root_flow_run_id or "")


def _at_top() -> bool:
    return flow_run.parent_flow_run_id is None
