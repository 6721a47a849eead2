"""Trying a step that needs locks until it gets them: briefly in their queue, patiently outside it.

A statement that waits for an ACCESS EXCLUSIVE lock makes everything that comes after it wait too, readers
among them. So each wait is as short as the budget says, and whoever has held the relation for longer than
that is waited for before the next attempt, where nobody stands behind us.
"""

from __future__ import annotations

import fnmatch
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg import sql

from faberdb.budget import Budget
from faberdb.connection import Connection
from faberdb.errors import Contended
from faberdb.locking.blockers import Blocker, alone, holders, listed
from faberdb.progress import Kept, Progress

_LOOK_S: Final = 0.25
_TELL_S: Final = 15.0  # a wait that goes on is told again
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_DISPLACE_S: Final = 5.0  # longer than any server's deadlock_timeout that is worth waiting for


@dataclass(slots=True, kw_only=True)
class Patience:
    """What one session runs, again when others were in its way, until the budget of each piece is spent."""

    conn: Connection  # idle, in autocommit
    schema: str  # of relations without one
    progress: Progress  # is told who is in the way, each time
    _alone_until: float = field(default=0.0, init=False)

    def run(self, attempt: Callable[[], None], *, wanted: Mapping[str, str], budget: Budget) -> None:
        """Run something that needs locks.

        Args:
            attempt: does the work; after `Contended` nothing of it stays, or what stays is not done again.
            wanted: relations that it locks against others' reads or writes, and the mode.
            budget: of the attempts together.

        Raises:
            Contended: others were in the way to the end; names them.
        """
        deadline = time.monotonic() + budget.patience_s
        tries = 0
        while True:
            self._wait_outside(wanted, budget, deadline)
            tries += 1
            try:
                attempt()
            except Contended as busy:
                self.progress(Kept(f"attempt {tries} of {budget.attempts} gave way: {busy.why}"))
                pause = random.uniform(0.5, 1) * min(_FIRST_PAUSE_S * 2**tries, _LONGEST_PAUSE_S)  # noqa: S311
                if tries >= budget.attempts or time.monotonic() + pause >= deadline:
                    raise _given_up(busy.why, f"{tries} attempts") from None
                time.sleep(pause)
                self._alone_until = 0.0
            else:
                return

    def _wait_outside(self, wanted: Mapping[str, str], budget: Budget, deadline: float) -> None:
        """Come back when nobody has held what is wanted for longer than one wait would last."""
        if not wanted or time.monotonic() < self._alone_until:
            return
        if alone(self.conn):
            # Whoever begins from now on is younger than one wait until that has passed.
            self._alone_until = time.monotonic() + budget.lock_timeout_s
            return
        told, told_at = frozenset[int](), 0.0
        while True:
            found = holders(self.conn, wanted, schema=self.schema, older_than_s=budget.lock_timeout_s)
            if not found:
                return
            now = time.monotonic()
            pids = frozenset(b.pid for b in found)
            if pids != told or now - told_at >= _TELL_S:
                told, told_at = pids, now
                self.progress(Kept(f"waits, outside the queue, for {listed(found)}"))
            if now >= deadline:
                raise _given_up(listed(found), f"{budget.patience_s:g} s")
            if not self._make_way(found, wanted, budget):
                time.sleep(min(_LOOK_S, max(deadline - now, 0)))

    def _make_way(self, found: tuple[Blocker, ...], wanted: Mapping[str, str], budget: Budget) -> bool:
        """Whether something was done about one of them, so that another look is worth it at once."""
        for blocker in found:
            named = any(fnmatch.fnmatchcase(blocker.application, name) for name in budget.end_idle)
            if named and blocker.idle_s >= budget.idle_s and _end_idle(self.conn, blocker, budget):
                self.progress(Kept(f"ended {blocker.text}, as the configuration says"))
                return True
        if all(b.yields for b in found):
            return _displace(self.conn, {b.relation for b in found} & set(wanted), self.schema, self.progress)
        return False


def _end_idle(conn: Connection, blocker: Blocker, budget: Budget) -> bool:
    """End the session, once it is certain that it is still that one and still idle."""
    ended = conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND application_name = %s"
        " AND state LIKE 'idle in transaction%%' AND state_change < clock_timestamp() - make_interval(secs => %s)",
        (blocker.pid, blocker.application, budget.idle_s),
        prepare=False,
    ).fetchone()
    return bool(ended and ended[0])


def _displace(conn: Connection, relations: set[str], schema: str, progress: Progress) -> bool:
    """Make an autovacuum end itself, which it does for a session that waits for deadlock_timeout.

    SHARE UPDATE EXCLUSIVE is in its way and in no reader's or writer's: so nobody queues behind this wait,
    as they would behind the migration's own.
    """
    for name in sorted(relations):
        try:
            with conn.transaction():
                conn.execute(
                    sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(int(_DISPLACE_S * 1000)))
                )
                conn.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(schema)))
                conn.execute(f"LOCK TABLE {name} IN SHARE UPDATE EXCLUSIVE MODE".encode(), prepare=False)
        except psycopg.Error:  # another one came, or our role may not; the wait goes on
            return False
        progress(Kept(f"an autovacuum of {name} made way"))
    return bool(relations)


def _given_up(who: str, after: str) -> Contended:
    return Contended(
        f"Others were in the way for {after}; nothing is half done.",
        why=who,
        next_step="end or wait for what is named, then run the same command again: it goes on from here",
    )
