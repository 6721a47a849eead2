"""Columns: the line that makes one, the ALTER TABLE that changes it, and whether that keeps its values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from faberdb.catalog.names import split_name
from faberdb.synthesis.column_text import ColumnText, column_text
from faberdb.synthesis.kind import Unwritten, World
from faberdb.synthesis.sequences import going_on, options

_NUMBER: Final = re.compile(r"numeric(?:\((\d+),(\d+)\))?")
_LENGTH: Final = re.compile(r"(character varying|character|bit varying|bit)(?:\((\d+)\))?")
_LISTED: Final = re.compile(r'"(?:[^"]|"")*"|[^,\s]+')
_WHOLE: Final = ("smallint", "integer", "bigint", "numeric")


def known(definition: str) -> ColumnText:
    """The parts.

    Raises:
        Unwritten: it says more than they tell.
    """
    column = column_text(definition)
    if column is None:
        raise Unwritten("a column with NOT NULL NOT VALID, NO INHERIT or options of a foreign table")
    return column


def line(world: World, name: str) -> str:
    """A new column as CREATE TABLE and ADD COLUMN write it, with all that its sequence is to be."""
    table, column = split_name(name.removeprefix("column "))
    text = known(world.after.objects[name])
    if text.identity:
        sequence = world.after.sequence_of.get(name)
        said = options(sequence, world.after.objects[sequence], f"{table}_{column}") if sequence else ""
        # Without a sequence of its own it is a partition's, and attaching brings it.
        text = replace(text, identity=text.identity + said if sequence else "")
    return f"{column} {text.text}"


def create_column(world: World, who: str, _text: str) -> Iterator[str]:
    """ADD COLUMN; a view's come with its query."""
    table, _ = split_name(who)
    if world.after.relation(table).startswith("foreign table"):
        raise Unwritten("columns of foreign tables")
    if world.after.relation(table).startswith("table"):
        yield f"ALTER TABLE {table} ADD COLUMN {line(world, f'column {who}')}"


def drop_column(world: World, who: str, _text: str) -> Iterator[str]:
    """DROP COLUMN; a view's go with its query."""
    table, column = split_name(who)
    if world.before.relation(table).startswith("foreign table"):
        raise Unwritten("columns of foreign tables")
    if world.before.relation(table).startswith("table"):
        yield f"ALTER TABLE {table} DROP COLUMN {column}"


def change_column(world: World, who: str, before: str, after: str) -> tuple[str, ...] | None:
    """The statements that change a column from one definition to the other; None: it is made anew."""
    table, column = split_name(who)
    if not world.after.relation(table).startswith("table"):
        return ()
    old, new = known(before), known(after)
    if old.generated != new.generated and not (old.generated.endswith(" STORED") and not new.generated):
        return None
    sequence = world.after.sequence_of.get(f"column {who}")
    said = options(sequence, world.after.objects[sequence], f"{table}_{column}") if sequence else ""
    changes = tuple(
        f"ALTER TABLE {table} ALTER COLUMN {column} {c}" for c in _changes(old, new, column, said)
    )
    if sequence and not old.identity:
        return (*changes, going_on(sequence, world.after.objects[sequence], who))
    return changes


def _changes(old: ColumnText, new: ColumnText, column: str, sequence: str) -> Iterator[str]:
    retyped = old.type != new.type
    if old.generated and not new.generated:
        yield "DROP EXPRESSION"
    if old.identity and not new.identity:
        yield "DROP IDENTITY"
    if retyped:
        # An explicit cast cuts a text that is too long; the one by assignment refuses it.
        cut = bool(_LENGTH.fullmatch(bare_type(new.type)))
        using = "" if cut else f" USING {column}::{bare_type(new.type)}"
        yield f"TYPE {new.type}{using}"
    if new.required != old.required:
        yield "SET NOT NULL" if new.required else "DROP NOT NULL"
    if new.identity and not old.identity:
        yield f"ADD {new.identity}{sequence}"
    elif new.identity != old.identity and new.identity:
        yield f"SET {new.identity.removesuffix(' AS IDENTITY')}"


def bare_type(type_text: str) -> str:
    """A type without its collation."""
    return type_text.split(" COLLATE ", maxsplit=1)[0]


def retyped(before: str, after: str) -> bool:
    """Whether two definitions are of other types or collations."""
    old, new = column_text(before), column_text(after)
    return old is not None and new is not None and old.type != new.type


def keeps_values(before: str, after: str) -> bool:
    """Whether every value of the one definition's type is one of the other's, or the change fails on it."""
    old, new = bare_type(known(before).type), bare_type(known(after).type)
    if new in {old, "text"} or _LENGTH.fullmatch(new):
        return True
    if old in _WHOLE[:3] and new in _WHOLE:
        return True  # out of range is an error
    small, large = _NUMBER.fullmatch(old), _NUMBER.fullmatch(new)
    if small and large:
        return large[2] is None or (small[2] is not None and int(small[2]) <= int(large[2]))
    return new == "numeric" and small is not None


def create_default(world: World, subject: str, text: str) -> Iterator[str]:
    """SET DEFAULT of a table's or view's column, or of a domain."""
    yield f"{_place(world, subject)} SET DEFAULT {text}"


def drop_default(world: World, subject: str, _text: str) -> Iterator[str]:
    """DROP DEFAULT."""
    yield f"{_place(world, subject)} DROP DEFAULT"


def change_default(world: World, subject: str, _before: str, after: str) -> Iterator[str]:
    """SET DEFAULT over the one that was."""
    return create_default(world, subject, after)


def _place(world: World, subject: str) -> str:
    if subject.startswith("domain "):
        return f"ALTER {subject.replace('domain', 'DOMAIN', 1)}"
    table, column = split_name(subject.removeprefix("column "))
    view = world.before.relation(table).startswith("view") or world.after.relation(table).startswith("view")
    return f"ALTER {'VIEW' if view else 'TABLE'} {table} ALTER COLUMN {column}"


def change_order(_world: World, name: str, before: str, after: str) -> Iterator[str]:
    """Columns that come and go change it by themselves.

    Raises:
        Unwritten: those that stay changed places.
    """
    was, now = _LISTED.findall(before), _LISTED.findall(after)
    if [c for c in was if c in now] != [c for c in now if c in was]:
        raise Unwritten(f"the columns of {name} stand in another order, which only a new table has")
    return iter(())
