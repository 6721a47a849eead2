"""A rule, what it looks at and what it says.

Codes are words with hyphens, not numbers: an ignore in a script is then read without a table beside it, and
squawk's users find the names they know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from faberdb.grammar.columns import Column
from faberdb.lint.live import Live
from faberdb.risk import Risk
from faberdb.statements import Hazard, Statement


class Look(Struct, frozen=True, kw_only=True):
    """One statement among those around it."""

    statement: Statement
    kind: str  # of the parse tree's node
    body: Any  # the parse tree
    script: Sequence[Look]  # all of its script, once they are made
    statements: Sequence[Statement]  # likewise
    number: int  # of this one among them, from 0
    opened: int  # the number of the first one in its transaction
    in_transaction: bool
    created: Mapping[
        str, int
    ]  # relations by the number of the statement that makes them, -1 for an earlier script's
    live: Live

    @property
    def before(self) -> Sequence[Look]:
        """Those before it."""
        return self.script[: self.number]

    @property
    def together(self) -> Sequence[Look]:
        """Those before it in the same transaction."""
        return self.script[self.opened : self.number]

    @property
    def after(self) -> Sequence[Statement]:
        """The statements after it."""
        return self.statements[self.number + 1 :]

    @property
    def table(self) -> str:
        """The relation that it names first."""
        return self.statement.objects[0] if self.statement.objects else ""

    def new(self, name: str) -> bool:
        """Whether the script made the relation itself: nobody waits for it yet."""
        return self.created.get(name, self.number) < self.number


class Hit(Struct, frozen=True, kw_only=True):
    """What a rule found."""

    message: str  # what this statement does, with its names
    relations: tuple[str, ...] = ()  # whose size decides how much it matters; () where size does not
    rewrite: str = ""  # SQL


Check = Callable[[Look], Iterator[Hit]]


class Rule(Struct, frozen=True, kw_only=True):
    """What to look for, and why."""

    code: str
    title: str
    why: str
    risk: Risk
    check: Check
    bad: str  # an example, on the schema of `faberdb.lint.example`
    good: str  # the same done safely
    hazard: Hazard | None = None  # the policy's word for the same: told once
    squawk: tuple[str, ...] = ()  # squawk's rules that say the same
    optional: bool = False  # only where the configuration asks for it


class AlterCommand(Struct, frozen=True, kw_only=True):
    """A subcommand of ALTER TABLE."""

    name: str  # the grammar's, such as "AT_SetNotNull"
    target: str  # the column or constraint that it names, quoted where needed
    node: Any
    column: Column | None  # of ADD COLUMN
