"""Build: does it work in dev?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from faberdb.policy import Autonomy
from flows.code import checked_out
from flows.release import release
from flows.settings import FLOW, subflows
from tasks.environments import check_health, create_database, provision, seed
from tasks.naming import run_name
from tasks.planning import first_environment
from tasks.reporting import begin, publish_build


@flow(name="build", flow_run_name=run_name("build"), **FLOW)
def build(
    project: str,
    work_item: str = "",
    requester: str = "",
    autonomy: Autonomy = Autonomy.GUARDED,
    ref: str = "",
) -> dict[str, Any]:
    """Bring the first environment to the newest revision.

    1. Provision its server and create its database.
    2. Release the pending revisions there.
    3. Seed it.
    4. Check its health.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        work_item: Path of the work item, relative to the project; empty for none.
        requester: Who asks.
        autonomy: How much is done without asking.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        begin(project, "build")
        dev = first_environment(project)
        provision(project, dev)
        created = create_database(project, dev)
        with subflows():
            release(project, dev, work_item, requester, autonomy)
        seeded = seed(project, dev)
        health = check_health(project, dev)
        return publish_build(project, dev, created, seeded, health)
