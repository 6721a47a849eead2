"""Taking a release back inside its database: by the revisions' down scripts, or by dropping what they added.

It is one transaction with the tool's tracking table in it, and commits only when the schema is then what it was
before: a way that does not lead back leaves nothing. What was written into tables and columns that an inverse drops
is kept in a set-aside database first, so that nothing is lost (law 6); before down scripts, a snapshot is taken.
Readers go on until the statements run; writers wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

import psycopg
from msgspec import Struct
from psycopg import sql

from faberdb.budget import Budget
from faberdb.catalog import Schema
from faberdb.catalog.difference import describe, differences
from faberdb.connection import Connection
from faberdb.errors import Failed, Refused
from faberdb.holdings import KEPT_AT_MOST, Holder, count_held, find_holders, keep_held
from faberdb.locking import PASSING, Patience, contended
from faberdb.plan import Plan, UndoWay
from faberdb.progress import Progress
from faberdb.release.stepping import wanted_locks
from faberdb.revision import Standing
from faberdb.server_errors import explain, lost
from faberdb.statements import parse_script
from faberdb.synthesis import synthesise
from faberdb.tools import session_settings
from faberdb.tools.protocol import MigrationTool

_LOOK_S: Final = 10.0  # of counting and copying while writers wait
_SHOWN: Final = 3


class NotInPlace(Failed):
    """The way in place does not lead back here; nothing of it stays."""


class TakenBackInPlace(Struct, frozen=True, kw_only=True):
    """How it went."""

    statements: tuple[str, ...]
    revisions: tuple[str, ...]  # that are pending again
    kept: Mapping[str, int]  # rows by what held them


@dataclass(slots=True, kw_only=True)
class InPlace:
    """One way back on one session; the caller holds the tool's lock."""

    conn: Connection  # idle, in autocommit
    tool: MigrationTool
    plan: Plan
    way: UndoWay
    schema: str  # of relations without one
    read: Callable[[Connection], Schema]  # the schema as the project tells one
    before: Schema  # the schema to come back to
    left: str  # the fingerprint that the release left, "" where it did not come so far
    aside: Callable[[], AbstractContextManager[Connection]]  # opens the place where rows are kept
    progress: Progress
    _holders: tuple[Holder, ...] = field(default=(), init=False)

    def run(self) -> TakenBackInPlace:
        """Take it back, or find it taken back.

        Raises:
            NotInPlace: this way does not lead back here.
            Contended: others held what it locks to the end of the budget; nothing of it stays.
        """
        now, applied = self._look()
        if now.fingerprint == self.before.fingerprint and not applied:
            return TakenBackInPlace(statements=(), revisions=(), kept={})
        statements = self._statements(now, applied)
        self._holders = self._find_holders(now)
        kept: dict[str, int] = {}

        def attempt() -> None:
            kept.clear()
            kept.update(self._attempt(statements, applied))

        wanted = wanted_locks(parse_script(";\n".join(statements), source=self.way.value))
        patience = Patience(conn=self.conn, schema=self.schema, progress=self.progress)
        patience.run(attempt, wanted=wanted, budget=self._budget)
        self.progress(f"took back {', '.join(applied) or 'what was left'}")
        return TakenBackInPlace(statements=tuple(statements), revisions=applied, kept=kept)

    def preview(self) -> tuple[Sequence[str], Mapping[str, int]]:
        """The statements that would run, and what rows would be kept elsewhere; changes nothing."""
        now, applied = self._look()
        return self._statements(now, applied), count_held(self.conn, self._find_holders(now))

    def _find_holders(self, now: Schema) -> tuple[Holder, ...]:
        """What goes with the inverse and may hold rows. Down scripts lose what they say, after a snapshot."""
        if self.way is UndoWay.DOWN:
            return ()
        return find_holders(self.conn, now.objects.keys() - self.before.objects.keys())

    @property
    def _budget(self) -> Budget:
        return self.plan.steps[0].budget

    def _look(self) -> tuple[Schema, tuple[str, ...]]:
        """The schema now, and the revisions of the plan that have a row, newest first."""
        names = {t.name for t in self.tool.tracked(self.conn) if t.standing is not Standing.ROLLED_BACK}
        applied = tuple(s.revision for s in reversed(self.plan.steps) if s.revision in names)
        return self.read(self.conn), applied

    def _statements(self, now: Schema, applied: Sequence[str]) -> list[str]:
        if self.left and now.fingerprint != self.left:
            raise NotInPlace(
                "The schema is not what the release left.",
                why=f"It left {self.left[:12]}, and now it is {now.fingerprint[:12]}.",
            )
        return self._downs(applied) if self.way is UndoWay.DOWN else self._inverse(now)

    def _downs(self, applied: Sequence[str]) -> list[str]:
        unfinished = [
            t.name for t in self.tool.tracked(self.conn) if t.standing.unresolved and t.name in applied
        ]
        parted = {s.revision for s in self.plan.steps if not s.atomic}
        if parted.intersection(unfinished):
            raise NotInPlace(
                f"{', '.join(sorted(parted.intersection(unfinished)))} may be half done,"
                " and a down script takes back a whole revision."
            )
        downs = {s.revision: s.down for s in self.plan.steps}
        scripts = [downs[name] for name in applied if name not in unfinished]
        return [s.text for script in scripts for s in parse_script(script, source="down")]

    def _inverse(self, now: Schema) -> list[str]:
        gone = [describe(d) for d in differences(self.before, now) if d.kind == "removed"]
        if gone:
            raise NotInPlace("More than additions came since.", why="; ".join(gone[:_SHOWN]))
        way = synthesise(now, self.before, login=self.conn.info.user)
        if way.unwritten:
            why = "; ".join(left.text for left in way.unwritten[:_SHOWN])
            raise NotInPlace("The statements that take it back could not be worked out.", why=why)
        old = [what for what in way.destroys if what in self.before.objects or what not in now.objects]
        if old:
            raise NotInPlace(
                "Taking it back would destroy what was there before.", why="; ".join(old[:_SHOWN])
            )
        return list(way.statements)

    def _attempt(self, statements: Sequence[str], applied: Sequence[str]) -> dict[str, int]:
        try:
            with self.conn.transaction():
                kept = self._keep()
                self.conn.execute(session_settings.setup(self.schema, self._budget, local=True))
                self.progress(f"running {len(statements)} statements in one transaction")
                for statement in statements:
                    self.conn.execute(statement.encode())
                self.tool.record_undone(self.conn, applied)
                self._require_schema()
                self.progress("taken back, and not yet committed")
        except PASSING as error:
            raise contended("Taking it back in place gave way.", error, ()) from error
        except psycopg.Error as error:
            if lost(error):
                raise explain(error, "Taking it back in place was cut off, and is done or not.") from error
            raise NotInPlace(
                "A statement that takes it back failed; nothing of it stays.",
                why=str(error).strip().splitlines()[0],
            ) from error
        return kept

    def _keep(self) -> dict[str, int]:
        """Count and keep what was written into what goes, while readers go on and writers wait."""
        if not self._holders:
            return {}
        for_looking = Budget(
            lock_timeout_s=self._budget.lock_timeout_s,
            statement_timeout_s=min(_LOOK_S, self._budget.statement_timeout_s),
        )
        self.conn.execute(session_settings.setup(self.schema, for_looking, local=True))
        tables = sql.SQL(", ").join(sql.Identifier(h.schema, h.table) for h in self._holders)
        self.conn.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(tables))
        held = count_held(self.conn, self._holders)
        if not held:
            return held
        holding = [h for h in self._holders if h.label in held]
        if sum(held.values()) > KEPT_AT_MOST:
            raise NotInPlace(
                f"What was added holds more than {KEPT_AT_MOST:,} rows by now.",
                why="; ".join(f"{label}: {rows:,}" for label, rows in held.items()),
            )
        keyless = [h.label for h in holding if not h.added and not h.key]
        if keyless:
            raise NotInPlace(
                f"{', '.join(keyless)} holds values that came since, and has no primary key to keep them by."
            )
        try:
            with self.aside() as aside:
                keep_held(self.conn, aside, holding)
        except Refused as error:  # no privilege to create a database
            raise NotInPlace("What came into what was added cannot be kept.", why=error.reason) from error
        self.progress(f"kept {sum(held.values())} rows of {', '.join(held)}")
        return held

    def _require_schema(self) -> None:
        after = self.read(self.conn)
        if after.fingerprint != self.before.fingerprint:
            left = [describe(d) for d in differences(self.before, after)]
            raise NotInPlace(
                "It does not bring the schema back that was there before; nothing of it stays.",
                why="; ".join(left[:_SHOWN]),
            )
