"""Evaluate: does it work on a copy of production, and then in staging?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from faberdb.policy import Autonomy
from flows.code import checked_out
from flows.release import release
from flows.settings import FLOW, subflows
from tasks.environments import check_health, create_database, provision
from tasks.naming import run_name
from tasks.planning import evaluation_environments, rehearse_on_copy, test_application
from tasks.reporting import begin, publish_evaluation


@flow(name="evaluate", flow_run_name=run_name("evaluate"), **FLOW)
def evaluate(
    project: str,
    work_item: str = "",
    requester: str = "",
    autonomy: Autonomy = Autonomy.GUARDED,
    ref: str = "",
) -> dict[str, Any]:
    """Gather evidence before anybody is asked about production.

    1. Rehearse the production plan on a restored copy of production.
    2. Release to staging.
    3. Check staging's health, and run the application's tests there.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        work_item: Path of the work item, relative to the project; empty for none.
        requester: Who asks.
        autonomy: How much is done without asking.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        begin(project, "evaluate")
        production, staging = evaluation_environments(project)
        evidence = rehearse_on_copy(project, production, work_item, requester)
        provision(project, staging)
        create_database(project, staging)
        with subflows():
            release(project, staging, work_item, requester, autonomy)
        check_health(project, staging)
        tests = test_application(project, staging)
        return publish_evaluation(project, evidence, staging, tests)
