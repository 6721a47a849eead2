"""Running one revision so that a crash at any moment leaves a question the tracking table can answer.

Three ways, by what the script holds. An ordinary script: one transaction with the row's end in it, in one
round trip. A script with transaction control of its own: sent as Prisma sends it. A script with a statement
that PostgreSQL refuses inside a transaction: one statement at a time, each counted in the row.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from msgspec import Struct
from psycopg import pq, sql

from faberdb.budget import Budget
from faberdb.connection import Connection
from faberdb.errors import HistoryRefused, UnreadableSql
from faberdb.locking import Watch, contended
from faberdb.progress import Progress
from faberdb.revision import Revision, Standing
from faberdb.statements import Statement, fits_one_transaction, parse_script, surely_ordinary
from faberdb.tools import session_settings
from faberdb.tools.prisma.failure import record_failure
from faberdb.tools.prisma.stepwise import Stepwise
from faberdb.tools.prisma.tracking import Attempt, TrackingTable, is_ours, new_id
from faberdb.tools.simple_query import StatementFailed, send_script


class Execution(Struct, frozen=True, kw_only=True):
    """One revision about to run on one connection."""

    conn: Connection
    tracking: TrackingTable
    revision: Revision
    plain: bool  # surely an ordinary script that leaves the session as it was: needs no parsing
    budget: Budget
    progress: Progress
    watch: Watch

    def run(self) -> None:
        """Run it, or finish what an attempt of ours left.

        Raises:
            RevisionFailed: a statement failed.
            Contended: others were in the way; nothing of this attempt stays but whole statements that the next
                one leaves out.
            HistoryRefused: an earlier attempt left something that cannot be judged from here.
        """
        if self._is_ordinary and self._in_one_transaction():
            return
        attempts = self.tracking.attempts(self.conn, self.revision.name)
        if any(a.standing is Standing.APPLIED for a in attempts):
            return
        unfinished = attempts[-1] if attempts else None
        if unfinished is not None:
            self._check_resumable(unfinished)
        if self._controls_transactions:
            self._as_prisma()
        elif self._is_ordinary:
            # The row's end is in the script's own transaction: without it nothing was done.
            self.tracking.roll_back(self.conn, self.revision.name)
            self._in_one_transaction()
        else:
            self._stepwise(unfinished)

    @property
    def _statements(self) -> tuple[Statement, ...]:
        return parse_script(self.revision.script, source=self.revision.name)

    @property
    def _is_ordinary(self) -> bool:
        return self.plain or fits_one_transaction(self._statements)

    @property
    def _controls_transactions(self) -> bool:
        return any(s.transaction_control for s in self._statements)

    def _check_resumable(self, attempt: Attempt) -> None:
        if attempt.standing is Standing.FAILED:
            why = "An earlier attempt failed and is not resolved."
        elif not is_ours(attempt.id):
            why = "Prisma itself began it and did not end; whether it is done cannot be seen from here."
        elif self._controls_transactions:
            why = "It begins or ends transactions itself, so some of it may be done."
        else:
            return
        raise HistoryRefused(
            f"The revision {self.revision.name!r} was begun before and cannot be continued.",
            why=why,
            next_step="faber-db rollback ENV takes its release back; or look at the database and settle it"
            " with prisma migrate resolve",
        )

    # -- an ordinary script

    def _in_one_transaction(self) -> bool:
        """Returns whether it ran; it does not where another attempt is on record."""
        id_ = new_id()
        # The row's WAL comes before the script's, so it is durable when the script is.
        head = self._text(
            sql.SQL("BEGIN; SET LOCAL synchronous_commit = off; {start}; COMMIT; BEGIN; {setup};\n").format(
                start=self.tracking.start_first(id_, self.revision),
                setup=self._setup(local=True),
            )
        )
        tail = self._text(
            sql.SQL("\n; {restore}{finish}; COMMIT").format(
                restore=self._restoration(), finish=self.tracking.finish(id_)
            )
        )
        self.progress(f"running {self.revision.name} in one transaction")
        try:
            send_script(self.conn, head + self.revision.script + tail, self.watch)
        except StatementFailed as failed:
            if failed.done == _ROW and isinstance(failed.error, psycopg.errors.NotNullViolation):
                _leave_transaction(self.conn)
                return False
            raise self._aborted(id_, failed, head) from None
        self.progress(f"committed {self.revision.name}")
        return True

    def _restoration(self) -> sql.Composable:
        if self.plain or not session_settings.may_change_settings(self._statements):
            return sql.SQL("")
        return session_settings.restoration(self.conn) + sql.SQL("; ")

    def _aborted(self, id_: str, failed: StatementFailed, head: str) -> Exception:
        _leave_transaction(self.conn)
        try:
            line = _failed_line(failed, head, self.revision.script, self._statements)
        except UnreadableSql as unreadable:
            if isinstance(failed.error, psycopg.errors.SyntaxError) and failed.done == 0:
                return unreadable  # PostgreSQL reads the whole message before it runs any of it
            line = None  # a newer server than the grammar we have
        if self.watch.passing(failed.error) and not self.conn.closed:
            self.tracking.forget(self.conn, id_)
            at = f" at line {line}" if line else ""
            return contended(f"{self.revision.name} gave way{at}.", failed.error, self.watch.blockers)
        return record_failure(
            self.conn, self.tracking, id_, self.revision, failed.error, effects="none", line=line
        )

    # -- a script with BEGIN and COMMIT of its own

    def _as_prisma(self) -> None:
        id_ = new_id()
        restore = session_settings.restoration(self.conn)
        self.conn.execute(self.tracking.start(id_, self.revision))
        self.progress(f"running {self.revision.name} with its own transactions")
        try:
            self.conn.execute(self._setup(local=False))
            send_script(self.conn, self.revision.script, self.watch)
            if self.conn.info.transaction_status != pq.TransactionStatus.IDLE:
                raise StatementFailed(psycopg.errors.ActiveSqlTransaction("it leaves a transaction open"), 0)
        except StatementFailed as failed:
            _leave_transaction(self.conn, restore)
            raise self._failed_as_prisma(id_, failed) from None
        self.conn.execute(restore)
        self.conn.execute(self.tracking.finish(id_))
        self.progress(f"finished {self.revision.name}")

    def _failed_as_prisma(self, id_: str, failed: StatementFailed) -> Exception:
        line = _failed_line(failed, "", self.revision.script, self._statements, before=0)
        before = self._statements[: failed.done]
        none_stays = all(s.verb in _COMMITTING_NOTHING or not s.transaction_control for s in before)
        if none_stays and self.watch.passing(failed.error) and not self.conn.closed:
            self.tracking.forget(self.conn, id_)
            at = f" at line {line}" if line else ""
            return contended(f"{self.revision.name} gave way{at}.", failed.error, self.watch.blockers)
        return record_failure(
            self.conn,
            self.tracking,
            id_,
            self.revision,
            failed.error,
            effects="uncertain",
            line=line,
            done="It controls transactions itself, so what came before may have stayed.",
        )

    # -- a script with statements outside transactions

    def _stepwise(self, unfinished: Attempt | None) -> None:
        id_ = unfinished.id if unfinished else new_id()
        if unfinished is None:
            self.conn.execute(self.tracking.start(id_, self.revision))
        restore = session_settings.restoration(self.conn)
        try:
            Stepwise(
                conn=self.conn,
                tracking=self.tracking,
                id=id_,
                revision=self.revision,
                statements=self._statements,
                budget=self.budget,
                progress=self.progress,
                watch=self.watch,
            ).run(done=unfinished.steps if unfinished else 0, resumed=unfinished is not None)
        finally:
            _leave_transaction(self.conn, restore)
        self.conn.execute(self.tracking.finish(id_))
        self.progress(f"finished {self.revision.name}")

    def _setup(self, *, local: bool) -> sql.Composed:
        return session_settings.setup(self.tracking.schema, self.budget, local=local)

    def _text(self, composed: sql.Composable) -> str:
        return composed.as_string(self.conn)


def apply_revision(
    conn: Connection, tracking: TrackingTable, revision: Revision, budget: Budget, progress: Progress
) -> None:
    """Run one revision and record it; see `Execution.run`."""
    with Watch(conn, progress, lock_s=budget.lock_timeout_s) as watch:
        Execution(
            conn=conn,
            tracking=tracking,
            revision=revision,
            plain=surely_ordinary(revision.script),
            budget=budget,
            progress=progress,
            watch=watch,
        ).run()


# What of a script's own transaction control leaves all that came before it to be rolled back.
_COMMITTING_NOTHING = ("BEGIN", "START TRANSACTION", "SAVEPOINT", "RELEASE", "ROLLBACK TO")

# BEGIN, SET, INSERT, COMMIT, BEGIN and three SETs come before an ordinary script's own statements.
_ROW = 2
_BEFORE_SCRIPT = 8


def _failed_line(
    failed: StatementFailed,
    head: str,
    script: str,
    statements: Sequence[Statement],
    *,
    before: int = _BEFORE_SCRIPT,
) -> int | None:
    if failed.position is not None:
        place = failed.position - 1 - len(head)
        return script.count("\n", 0, place) + 1 if 0 <= place <= len(script) else None
    number = failed.done - before
    return statements[number].line if 0 <= number < len(statements) else None


def _leave_transaction(conn: Connection, restore: sql.Composed | None = None) -> None:
    """Roll back what a failure left open, and put the session's settings back, where there is a session."""
    if conn.closed:
        return
    try:
        conn.rollback()
        if restore is not None:
            conn.execute(restore)
    except psycopg.OperationalError:  # it is gone: the caller's next statement says so
        return
