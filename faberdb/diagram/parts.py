"""What a picture is made of: tables, their columns, what refers to what, and what a change did to each."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from faberdb.catalog.names import name_parts


class Mark(StrEnum):
    """What a change did to a part of the picture."""

    SAME = ""
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Column(Struct, frozen=True, kw_only=True):
    """One column of a table."""

    name: str  # as it is, not quoted
    type: str  # shortened
    nullable: bool
    primary: bool = False
    foreign: bool = False
    mark: Mark = Mark.SAME
    was: str = ""  # what it said before, where that is another text


class Reference(Struct, frozen=True, kw_only=True):
    """A foreign key."""

    name: str  # of the constraint's object, such as "constraint public.orders.orders_customer_fkey"
    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    single: bool  # at most one row of the child for each of the parent
    optional: bool  # a child may have no parent
    mark: Mark = Mark.SAME


class Table(Struct, frozen=True, kw_only=True):
    """One table; a partition is counted at its parent."""

    name: str  # qualified and quoted, as the catalogue names it
    columns: tuple[Column, ...]
    partitions: int = 0
    mark: Mark = Mark.SAME
    notes: tuple[tuple[Mark, str], ...] = ()  # what changed of it that is no column: indexes, checks, …

    @property
    def label(self) -> str:
        """Its name for people: not quoted, and without the schema that most live in."""
        parts = name_parts(self.name)
        return ".".join(parts[1:] if parts[0] == "public" else parts)


class Picture(Struct, frozen=True, kw_only=True):
    """What is drawn."""

    tables: tuple[Table, ...]
    references: tuple[Reference, ...]
    compared: bool = False  # marks mean something
    beside: tuple[tuple[Mark, str], ...] = ()  # changed objects that no table carries: enums, views, …
    left_out: int = 0  # tables that are there and not drawn

    @property
    def marked(self) -> bool:
        """Whether anything in it changed."""
        return any(t.mark for t in self.tables) or bool(self.beside)
