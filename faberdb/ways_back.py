"""Which way back a plan gets: the one that loses the least among those that will work, and why not a better one.

Decides from statements alone; opens nothing. Whether a way in place really leads back is proven when it is
rehearsed, and again by its own transaction (`faberdb.release.in_place`), which commits only on the schema from
before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from faberdb.errors import UnreadableSql
from faberdb.plan import Undo, UndoWay
from faberdb.statements import Statement, fits_one_transaction, parse_script

NO_SNAPSHOT: Final = "the policy of this environment takes no snapshot"

# What these make is told by the schema, so dropping it again can be proven. Roles, extensions, subscriptions
# and what belongs to the whole server are not.
_ADDING: Final = frozenset(
    {
        "CREATE TABLE",
        "CREATE FOREIGN TABLE",
        "CREATE INDEX",
        "CREATE INDEX CONCURRENTLY",
        "CREATE VIEW",
        "CREATE MATERIALIZED VIEW",
        "CREATE SEQUENCE",
        "CREATE TYPE",
        "CREATE DOMAIN",
        "CREATE FUNCTION",
        "CREATE PROCEDURE",
        "CREATE AGGREGATE",
        "CREATE OPERATOR",
        "CREATE CAST",
        "CREATE TRIGGER",
        "CREATE RULE",
        "CREATE POLICY",
        "CREATE STATISTICS",
        "CREATE SCHEMA",
        "CREATE PUBLICATION",
        "ALTER TABLE",
        "COMMENT",
        "SET",
        "SET LOCAL",
        "RESET",
    }
)
LOST_BY_RESTORING: Final = (
    "nothing is deleted; rows written after the snapshot stay in the set-aside database, are counted per table and"
    " exported by faber-db rescue"
)
ENDED_BY_RESTORING: Final = "every session in the database, when the names are exchanged"
_NOTHING_ENDED: Final = "none: it runs in one transaction, within the same lock budget"
_IN_PLACE: Final = (
    "one transaction in the live database, which commits only if the schema is then what it was before"
)


class StepBack(Struct, frozen=True, kw_only=True):
    """One step, as far as its way back goes."""

    revision: str
    script: tuple[Statement, ...]
    down: str  # its down script, "" without one
    applied_by_tool: bool  # False: it settles drift

    @property
    def no_down(self) -> str:
        """Why its own script does not take it back, "" where it does."""
        if not self.applied_by_tool:
            return f"{self.revision} settles drift"
        if not self.down:
            return f"{self.revision} has no down script"
        try:
            script = parse_script(self.down, source=f"the down script of {self.revision}")
        except UnreadableSql as error:
            return error.reason
        return (
            "" if fits_one_transaction(script) else f"the down script of {self.revision} fits no transaction"
        )

    @property
    def no_inverse(self) -> str:
        """Why dropping what it added does not take it back, "" where it does."""
        if not self.applied_by_tool:
            return f"{self.revision} settles drift"
        for s in self.script:
            if s.opaque or not s.adds_only or s.verb not in _ADDING:
                return f"{self.revision}, line {s.line}: {s.verb} {_more(s)}"
        return ""

    @property
    def lost_by_down(self) -> tuple[str, ...]:
        """What its down script destroys, in words."""
        script = parse_script(self.down, source=f"the down script of {self.revision}")
        return tuple(s.destroys or f"what {s.verb} does unseen" for s in script if s.destroys or s.opaque)


def _more(statement: Statement) -> str:
    """What a statement does beside adding an object that its schema tells of."""
    if statement.opaque:
        return "runs code unseen"
    if not statement.adds_only and statement.verb.startswith("CREATE"):
        return "replaces what is there, or fills it from there"
    return "does more than add objects"


def choose_undo(steps: Sequence[StepBack], *, cannot_restore: str) -> Undo:
    """The way back that loses the least among those that will work here.

    Args:
        steps: what runs, in order.
        cannot_restore: why there is no snapshot to bring back, or none could be; "" where one can.
    """
    if not steps:
        return Undo(way=UndoWay.ABORT, loses="nothing", why="nothing runs")
    no_down, no_inverse = _first(s.no_down for s in steps), _first(s.no_inverse for s in steps)
    fallback = UndoWay.NONE if cannot_restore else UndoWay.RESTORE_AND_SWAP
    if no_down and no_inverse:
        return _restoring(f"no down: {no_down}; no inverse: {no_inverse}", cannot_restore)
    return Undo(
        way=UndoWay.INVERSE if no_down else UndoWay.DOWN,
        loses=_lost_by_inverse() if no_down else _lost_by_downs(steps),
        why=(
            f"it only adds objects, and they are dropped again (no down: {no_down})"
            if no_down
            else "each revision brings a down script"
        )
        + f"; {_IN_PLACE}{_else(fallback, cannot_restore)}",
        ends=_NOTHING_ENDED,
        fallback=fallback,
    )


def step_undo(step: StepBack, undo: Undo, *, atomic: bool) -> str:
    """How one step of a plan with this undo is taken back, in words."""
    inside = "aborted by its own transaction" if atomic else "not in one transaction: may be half done"
    return f"if it fails: {inside}; once done: {_after(step, undo)}"


def _after(step: StepBack, undo: Undo) -> str:
    if undo.way is UndoWay.DOWN:
        return "undone by its down script"
    if undo.way is UndoWay.INVERSE:
        return "undone by its inverse: what it added is dropped"
    how = "cannot be undone" if undo.way is UndoWay.NONE else f"undone by {undo.way.value}"
    if step.no_down and step.no_inverse:
        return f"{how} ({step.no_inverse})"
    return f"{how}, with the whole plan"


def _restoring(why_not_better: str, cannot: str) -> Undo:
    if cannot:
        return Undo(
            way=UndoWay.NONE,
            loses="a failed step's own transaction is aborted; steps before it stay",
            why=f"{why_not_better}; restore-and-swap is not possible: {cannot}",
        )
    return Undo(
        way=UndoWay.RESTORE_AND_SWAP,
        loses=LOST_BY_RESTORING,
        why="a failure inside the first transactional step is aborted and loses nothing; after that,"
        " the proven snapshot is restored beside the live database and the names are exchanged"
        f" ({why_not_better})",
        ends=ENDED_BY_RESTORING,
    )


def _lost_by_inverse() -> str:
    return (
        "nothing that existed before; rows and values written into what it adds leave the live database and are"
        " kept in a set-aside one"
    )


def _lost_by_downs(steps: Sequence[StepBack]) -> str:
    lost = [what for step in reversed(steps) for what in step.lost_by_down]
    return (
        f"{'; '.join(lost)}; a safety snapshot is taken first" if lost else "nothing, by what the scripts say"
    )


def _else(fallback: UndoWay, cannot: str) -> str:
    if fallback is UndoWay.NONE:
        return f"; there is no other way, as restore-and-swap is not possible: {cannot}"
    return (
        "; where it does not lead back, restore-and-swap does: the snapshot beside, names exchanged, every session"
        " ended, later rows kept in the set-aside database"
    )


def _first(reasons: Iterable[str]) -> str:
    """The first reason there is; one of each step would only be longer."""
    return next((r for r in reasons if r), "")
