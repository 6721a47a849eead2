"""One step of a plan on a database, the real one or a copy: run by the tool, recorded by it, or run past it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from faberdb.connection import Connection
from faberdb.errors import PlanStale, RevisionFailed
from faberdb.lock_modes import merged
from faberdb.locking import Patience, Watch, contended
from faberdb.plan import Plan, PlannedStatement, Step, StepKind
from faberdb.progress import Progress
from faberdb.revision import Revision
from faberdb.server_errors import explain, lost
from faberdb.settlement import named_reversal
from faberdb.statements import Statement
from faberdb.target import Target
from faberdb.tools import session_settings
from faberdb.tools.simple_query import StatementFailed, send_script

# The modes in which readers or writers have to wait for a migration, or it for them.
_EXCLUDING: Final = {"SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"}


@dataclass(slots=True, kw_only=True)
class Stepping:
    """The steps of one plan on one session."""

    target: Target
    conn: Connection
    plan: Plan
    on_disk: Mapping[str, Revision]
    progress: Progress
    _patience: Patience = field(init=False)

    def __post_init__(self) -> None:
        """One patience for all steps: what it saw for one holds for the next."""
        self._patience = Patience(conn=self.conn, schema=self.target.dsn.schema, progress=self.progress)

    def run(self, step: Step) -> None:
        """Do what the step says, within its budget; running it again after it succeeded changes nothing.

        Raises:
            Contended: others held what it locks to the end of its budget; nothing of it is half done.
            PlanStale: its file is not what the plan was approved with, or the schema is neither the one that
                a reversal is for nor the one that it leaves.
            RevisionFailed: a statement failed.
        """
        if step.kind is StepKind.RECORD:
            self.target.tool.baseline(self.conn, [_revision(step, self.on_disk)])
        else:
            self._patience.run(
                partial(self._attempt, step), wanted=wanted_locks(step.statements), budget=step.budget
            )

    def _attempt(self, step: Step) -> None:
        if step.kind is StepKind.REVERT:
            _revert(self.target, self.conn, self.plan, step, self.progress)
        else:
            self.target.tool.apply(self.conn, _revision(step, self.on_disk), step.budget, self.progress)


def _revision(step: Step, on_disk: Mapping[str, Revision]) -> Revision:
    revision = on_disk.get(step.revision)
    if revision is None or revision.checksum != step.checksum:
        raise _edited(step)
    return revision


def wanted_locks(statements: Iterable[Statement | PlannedStatement]) -> dict[str, str]:
    """The relations that statements keep others from, with the strongest mode; CONCURRENTLY keeps nobody."""
    return dict(
        merged(
            (name, mode)
            for statement in statements
            if statement.transactional
            for name, mode in statement.locks
            if name and mode in _EXCLUDING
        )
    )


def _revert(target: Target, conn: Connection, plan: Plan, step: Step, progress: Progress) -> None:
    reversal = named_reversal(target.project.root, plan.environment, step.revision)
    if reversal is None or reversal.checksum != step.checksum:
        raise _edited(step)
    now = target.read(conn).fingerprint
    if now == reversal.expected:
        return
    if now != plan.fingerprint:
        raise PlanStale(
            f"The schema is not the one that {step.revision} takes back; nothing of it was run.",
            why=f"It is for {plan.fingerprint[:12]}, and the schema is {now[:12]}.",
            next_step=f"faber-db drift {plan.environment}",
        )
    head = session_settings.setup(target.dsn.schema, step.budget, local=True).as_string(conn)
    with Watch(conn, progress, lock_s=step.budget.lock_timeout_s) as watch:
        try:
            send_script(conn, f"BEGIN; {head};\n{reversal.script}\n; COMMIT", watch)
        except StatementFailed as failed:
            error = failed.error
            if not conn.closed:
                conn.rollback()
            if watch.passing(error):
                raise contended(f"{step.revision} gave way.", error, watch.blockers) from error
            if lost(error):
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
