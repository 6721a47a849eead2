"""A revision run one statement at a time, because one of them may not run inside a transaction.

Each statement that may run in a transaction commits together with the row's count of statements done. For
the others a crash leaves a doubt about one statement, which a look at the database settles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import psycopg
from msgspec import Struct
from psycopg import sql

from faberdb.budget import Budget
from faberdb.connection import Connection
from faberdb.errors import HistoryRefused
from faberdb.locking import Watch, contended
from faberdb.progress import Progress
from faberdb.revision import Revision
from faberdb.statements import Statement, concurrent_index
from faberdb.tools import session_settings
from faberdb.tools.concurrent_detach import DETACH_CONCURRENTLY, Detaching, finish_detaching
from faberdb.tools.concurrent_index import IndexState, drop_invalid_index, drop_reindex_leftovers
from faberdb.tools.prisma.failure import connection_lost, record_failure
from faberdb.tools.prisma.tracking import TrackingTable
from faberdb.tools.simple_query import StatementFailed, send_script

# Statements outside transactions that may simply run again.
_REPEATABLE: Final = ("VACUUM", "REINDEX", "ALTER SYSTEM", "DISCARD")
_LOOKED_AT: Final = ("CREATE INDEX CONCURRENTLY", "DROP INDEX CONCURRENTLY", DETACH_CONCURRENTLY)
_SESSION: Final = ("SET", "RESET")


class Stepwise(Struct, frozen=True, kw_only=True):
    """One such revision, with its row already begun."""

    conn: Connection
    tracking: TrackingTable
    id: str  # of the row
    revision: Revision
    statements: Sequence[Statement]
    budget: Budget
    progress: Progress
    watch: Watch

    def run(self, *, done: int, resumed: bool) -> None:
        """Run the statements after the first `done`.

        Args:
            done: statements that the row says are done.
            resumed: whether an earlier attempt may have done the next one too.
        """
        self.conn.execute(session_settings.setup(self.tracking.schema, self.budget, local=False))
        self.watch.lock_s = self.budget.lock_timeout_s
        for number, statement in enumerate(self.statements):
            if number < done:
                if statement.verb in _SESSION:
                    self.conn.execute(statement.text.encode())
                continue
            self._run_one(number, statement, in_doubt=resumed and number == done)

    def _run_one(self, number: int, statement: Statement, *, in_doubt: bool) -> None:
        label = f"statement {number + 1} of {len(self.statements)} ({statement.verb})"
        self.progress(f"running {label}")
        count = self.tracking.step(self.id, number + 1).as_string(self.conn)
        try:
            if statement.transactional:
                send_script(self.conn, f"BEGIN; {statement.text}\n; {count}; COMMIT", self.watch)
            else:
                self._outside_transaction(statement, in_doubt=in_doubt)
                send_script(self.conn, count)
        except StatementFailed as failed:
            raise self._failure(number, statement, failed.error) from None
        except psycopg.Error as error:
            raise self._failure(number, statement, error) from None
        self.progress(f"finished {label}")

    def _outside_transaction(self, statement: Statement, *, in_doubt: bool) -> None:
        # A concurrent build waits for every older transaction, and nobody waits behind it.
        self._set_timeouts(self.budget.concurrent_timeout_s, self.budget.concurrent_timeout_s)
        if not self._is_done(statement, in_doubt=in_doubt):
            send_script(self.conn, statement.text, self.watch)
        self._set_timeouts(self.budget.lock_timeout_s, self.budget.statement_timeout_s)

    @staticmethod
    def _can_be_repeated(statement: Statement) -> bool:
        """Whether a look at the database tells what a failed try left, so that it may be tried again."""
        return statement.verb.startswith(_REPEATABLE) or statement.verb in _LOOKED_AT

    def _is_done(self, statement: Statement, *, in_doubt: bool) -> bool:
        """Clear away or end what an earlier attempt left, whoever's it was; was the statement's work done by it?"""
        schema, progress, watch = self.tracking.schema, self.progress, self.watch
        if (index := concurrent_index(statement)) is not None:
            state = drop_invalid_index(self.conn, index, schema=schema, progress=progress, watch=watch)
            if in_doubt and state is IndexState.VALID:
                progress(f"the index {index.name} was built by the earlier attempt")
                return True
            return False
        if statement.verb == DETACH_CONCURRENTLY:
            found = finish_detaching(self.conn, statement, schema=schema, progress=progress, watch=watch)
            return found is Detaching.ENDED or (in_doubt and found is Detaching.NONE)
        if statement.verb == "REINDEX CONCURRENTLY":
            drop_reindex_leftovers(self.conn, statement, schema=schema, progress=progress, watch=watch)
        if not in_doubt or statement.verb.startswith(_REPEATABLE):
            return False
        if statement.verb == "DROP INDEX CONCURRENTLY":
            names = list(statement.objects)
            row = self.conn.execute("SELECT bool_and(to_regclass(n) IS NULL) FROM unnest(%s) n", (names,))
            return bool((row.fetchone() or [False])[0])
        raise HistoryRefused(
            f"The revision {self.revision.name!r} was begun before and cannot be continued.",
            why=f"Whether its {statement.verb} at line {statement.line} is done cannot be seen from here.",
            next_step="look at the database, then settle the revision with prisma migrate resolve, or take"
            " its release back with faber-db rollback ENV",
        )

    def _set_timeouts(self, lock_s: float, statement_s: float) -> None:
        self.watch.lock_s = lock_s
        self.conn.execute(
            sql.SQL("SET lock_timeout = {}; SET statement_timeout = {}").format(
                sql.Literal(f"{int(lock_s * 1000)}ms"), sql.Literal(f"{int(statement_s * 1000)}ms")
            )
        )

    def _failure(self, number: int, statement: Statement, error: psycopg.Error) -> Exception:
        if self.conn.closed:
            return connection_lost(self.revision, error)
        self.conn.rollback()
        if self.watch.passing(error) and (statement.transactional or self._can_be_repeated(statement)):
            return contended(
                f"{self.revision.name} gave way at line {statement.line}.", error, self.watch.blockers
            )
        untouched = number == 0 and statement.transactional
        return record_failure(
            self.conn,
            self.tracking,
            self.id,
            self.revision,
            error,
            effects="none" if untouched else "uncertain",
            line=statement.line,
            done=f"{number} of its {len(self.statements)} statements were done and stay." if number else "",
        )
