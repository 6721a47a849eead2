"""The pipeline: Frame, Architect, Build, Evaluate, Release."""

from __future__ import annotations

from typing import Any

from prefect import flow

from faberdb.policy import Autonomy
from flows.architect import architect
from flows.build import build
from flows.code import checked_out
from flows.evaluate import evaluate
from flows.frame import frame
from flows.gate import permit, permit_ahead
from flows.release import release
from flows.settings import FLOW, subflows
from tasks.naming import run_name
from tasks.planning import evaluation_environments, first_environment
from tasks.reporting import begin, publish_no_work


@flow(name="pipeline", flow_run_name=run_name("pipeline"), **FLOW)
def pipeline(
    project: str,
    work_item: str = "",
    requester: str = "",
    autonomy: Autonomy = Autonomy.GUARDED,
    ref: str = "",
) -> dict[str, Any]:
    """Take a change from its work item to the last environment.

    1. Frame: what is asked? Without database work, pass.
    2. Architect: plan every environment. A dry run ends here.
    3. Build: bring dev to the newest revision.
    4. Evaluate: rehearse on a copy of production, then release to staging and test.
    5. Release: wait for approval, then release to production or take it back.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        work_item: Path of the work item, relative to the project; empty for none.
        requester: Who asks; empty for the one the work item names. Never the one who approves.
        autonomy: How much is done without asking: dry-run, assist, guarded or autonomous.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project, subflows():
        framed = frame(project, work_item, requester)
        requester = framed["requester"]
        if not framed["database_work"]:
            return publish_no_work(project, framed)
        plans = architect(project, work_item, requester)
        if autonomy is Autonomy.DRY_RUN:
            return plans
        dev = first_environment(project)
        production, staging = evaluation_environments(project)
        permit_ahead(project, dev, work_item, requester, autonomy)
        build(project, work_item, requester, autonomy)
        permit_ahead(project, staging, work_item, requester, autonomy)
        evaluate(project, work_item, requester, autonomy)
        begin(project, "release")
        permit(project, production, work_item, requester, autonomy)
        return release(project, production, work_item, requester, autonomy)
