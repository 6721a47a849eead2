"""Architect: what exactly will run, where, at what risk, and how is it undone?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.code import checked_out
from flows.settings import FLOW
from tasks.naming import run_name
from tasks.planning import make_plan, name_environments
from tasks.reporting import begin, publish_plans


@flow(name="architect", flow_run_name=run_name("architect"), **FLOW)
def architect(project: str, work_item: str = "", requester: str = "", ref: str = "") -> dict[str, Any]:
    """Make a plan for every environment; touch nothing.

    1. Plan each environment, statement by statement.
    2. Show the plans.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        work_item: Path of the work item, relative to the project; empty for none.
        requester: Who asks.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        begin(project, "architect")
        plans = [make_plan(project, name, work_item, requester) for name in name_environments(project)]
        return publish_plans(project, plans)
