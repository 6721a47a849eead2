"""One step of a plan on a database, the real one or a copy: run by the tool, recorded by it, or run past it."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql

from faberdb.catalog import read_schema
from faberdb.connection import Connection
from faberdb.errors import PlanStale, RevisionFailed
from faberdb.plan import Plan, Step, StepKind
from faberdb.progress import Progress
from faberdb.revision import Revision
from faberdb.server_errors import explain, lost
from faberdb.settlement import named_reversal
from faberdb.target import Target

_PASSING = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


def run_step(
    target: Target,
    conn: Connection,
    plan: Plan,
    step: Step,
    on_disk: Mapping[str, Revision],
    progress: Progress,
) -> None:
    """Do what the step says; running it again after it succeeded changes nothing.

    Raises:
        PlanStale: its file is not what the plan was approved with, or the schema is neither the one that a
            reversal is for nor the one that it leaves.
        RevisionFailed: a statement failed.
    """
    if step.kind is StepKind.REVERT:
        _revert(target, conn, plan, step)
        return
    revision = on_disk.get(step.revision)
    if revision is None or revision.checksum != step.checksum:
        raise _edited(step)
    if step.kind is StepKind.RECORD:
        target.tool.baseline(conn, [revision])
    else:
        target.tool.apply(conn, revision, step.budget, progress)


def _revert(target: Target, conn: Connection, plan: Plan, step: Step) -> None:
    reversal = named_reversal(target.project.root, plan.environment, step.revision)
    if reversal is None or reversal.checksum != step.checksum:
        raise _edited(step)
    now = read_schema(conn, leave_out=target.tool.tracking_tables).fingerprint
    if now == reversal.expected:
        return
    if now != plan.fingerprint:
        raise PlanStale(
            f"The schema is not the one that {step.revision} takes back; nothing of it was run.",
            why=f"It is for {plan.fingerprint[:12]}, and the schema is {now[:12]}.",
            next_step=f"faber-db drift {plan.environment}",
        )
    try:
        with conn.transaction():
            for name, seconds in (
                ("lock_timeout", step.budget.lock_timeout_s),
                ("statement_timeout", step.budget.statement_timeout_s),
            ):
                conn.execute(
                    sql.SQL("SET LOCAL {} = {}").format(
                        sql.Identifier(name), sql.Literal(int(seconds * 1000))
                    )
                )
            conn.execute(reversal.script.encode())
    except psycopg.Error as error:
        if lost(error) or isinstance(error, _PASSING):
            raise explain(error, f"{step.revision} could not run; nothing of it stays.") from error
        raise RevisionFailed(
            f"{step.revision} failed; nothing of it stays.",
            why=str(error).strip().splitlines()[0],
            next_step=f"correct the script, then: faber-db migrate {plan.environment}",
        ) from error


def _edited(step: Step) -> PlanStale:
    return PlanStale(
        f"{step.revision!r} is not what the plan was approved with.",
        why="Its file was edited or removed after the plan was made.",
        next_step="bring the file back from version control, then run the same command again",
    )
