"""Frame: what is asked, does it touch the database, and is every environment fit to take it?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.code import checked_out
from flows.settings import FLOW
from tasks.environments import look_at_environment
from tasks.naming import run_name
from tasks.planning import decide_database_work, name_environments
from tasks.reporting import begin, publish_frame


@flow(name="frame", flow_run_name=run_name("frame"), **FLOW)
def frame(project: str, work_item: str = "", requester: str = "", ref: str = "") -> dict[str, Any]:
    """Find out what is asked and what every environment is now.

    1. Look at every environment: server, database, revisions.
    2. Read the work item, and decide whether there is database work.
    3. Say what was found.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        work_item: Path of the work item, relative to the project; empty for none.
        requester: Who asks; empty for the one the work item names.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        begin(project, "frame")
        states = [look_at_environment(project, name) for name in name_environments(project)]
        framing = decide_database_work(project, work_item, requester, states)
        return publish_frame(project, framing)
