"""Release: who said yes, and did the environment come out whole?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from faberdb.errors import EnvironmentBusy, FaberError, Transient
from faberdb.policy import Autonomy
from flows.code import checked_out
from flows.gate import permit
from flows.rollback import take_back
from flows.settings import FLOW
from tasks.naming import run_name
from tasks.releasing import (
    apply_plan,
    check_health_after,
    check_health_before,
    check_plan,
    close_released,
    exclusive,
    prove_snapshot,
    refuse_skips,
    take_snapshot,
    unfinished_undo,
    verify_revisions,
)
from tasks.reporting import publish_nothing_to_do, publish_release


@flow(name="release", flow_run_name=run_name("release"), **FLOW)
def release(
    project: str,
    environment: str,
    work_item: str = "",
    requester: str = "",
    autonomy: Autonomy = Autonomy.GUARDED,
    skip_backup: bool = False,
    skip_health_check: bool = False,
    ref: str = "",
) -> dict[str, Any]:
    """Release the pending revisions into one environment, or leave it as it was.

    1. Freeze the plan, open the release, and wait for a person where one is asked for.
    2. Hold the environment's release lock. An undo that a killed run left is finished, and that is the end.
    3. Check that the plan still holds, and that the database is well.
    4. Take the snapshot, and prove it as the policy says.
    5. Apply the plan's revisions.
    6. Verify: revisions, schema, health, the project's checks.
    7. Close the release; or, on a failure after the first effect, take it back.

    Args:
        project: Folder of the application that holds faber-db.toml, or its git URL.
        environment: Name of the environment in faber-db.toml.
        work_item: Path of the work item, relative to the project; empty for none.
        requester: Who asks; never the one who approves.
        autonomy: How much is done without asking.
        skip_backup: Take no snapshot where one is only recommended.
        skip_health_check: Look at no health where the policy does not ask for it.
        ref: Branch, tag or commit of the git URL; empty for its default branch, or with a folder.
    """
    with checked_out(project, ref) as project:
        refuse_skips(project, environment, skip_backup, skip_health_check)
        release_id = permit(project, environment, work_item, requester, autonomy, skip_backup)
        if not release_id:
            return publish_nothing_to_do(project, environment)
        with exclusive(project, environment, release_id):
            cause = unfinished_undo(project, environment, release_id)
            if cause:
                raise take_back(project, environment, release_id, cause)
            check_plan(project, environment, release_id)
            check_health_before(project, environment, release_id, skip_health_check)
            take_snapshot(project, environment, release_id)
            prove_snapshot(project, environment, release_id)
            try:
                apply_plan(project, environment, release_id)
                verify_revisions(project, environment, release_id)
                check_health_after(project, environment, release_id, skip_health_check)
            except (Transient, EnvironmentBusy):
                raise  # the server is away, or the tool at work: the release stays open, and the same command goes on
            except FaberError as error:
                raise take_back(project, environment, release_id, error.reason) from error
            close_released(project, environment, release_id)
        return publish_release(project, environment, release_id)
