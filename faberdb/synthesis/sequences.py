"""Sequences: their options, and the column that owns one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from faberdb.catalog.names import split_name
from faberdb.synthesis.kind import Unwritten, World
from faberdb.synthesis.quoting import literal

_TEXT: Final = re.compile(
    r"(?P<unlogged>UNLOGGED )?(?P<type>\w+) (?P<options>START .*? CACHE \d+)(?P<cycle> CYCLE)?"
    r"(?: IDENTITY OF (?P<identity>.*))?",
    re.DOTALL,
)
_LARGEST: Final = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


def options(name: str, text: str, usual: str) -> str:
    """What stands in brackets after AS IDENTITY, "" where PostgreSQL would choose the same.

    Args:
        name: the sequence's whole name.
        text: its definition.
        usual: table and column, as PostgreSQL puts its name together.
    """
    found = _parsed(text)
    plain = f"START 1 INCREMENT 1 MINVALUE 1 MAXVALUE {_LARGEST[found['type'] or 'bigint']} CACHE 1"
    if found["options"] == plain and not found["cycle"] and name == f"sequence {usual}_seq":
        return ""
    return f" (SEQUENCE NAME {name.removeprefix('sequence ')} {found['options']}{found['cycle'] or ''})"


def create_sequence(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE SEQUENCE; an identity column brings its own."""
    found = _parsed(text)
    if not found["identity"]:
        kind = "UNLOGGED SEQUENCE" if found["unlogged"] else "SEQUENCE"
        yield f"CREATE {kind} {who} AS {found['type']} {found['options']}{found['cycle'] or ''}"


def drop_sequence(_world: World, who: str, text: str) -> Iterator[str]:
    """DROP SEQUENCE; a column's goes when it is no identity any more."""
    if not _parsed(text)["identity"]:
        yield f"DROP SEQUENCE {who}"


def change_sequence(_world: World, who: str, before: str, after: str) -> tuple[str, ...] | None:
    """ALTER SEQUENCE. Its next value stays."""
    old, new = _parsed(before), _parsed(after)
    if old["identity"] and new["identity"] and old["identity"] != new["identity"]:
        return None
    if old["identity"] != new["identity"]:
        raise Unwritten(
            "a serial's sequence becomes an identity's, or the other way round, and has to go on where it is: "
            "write DROP DEFAULT, ADD GENERATED ... AS IDENTITY and setval by hand"
        )
    return tuple(_altered(who, old, new))


def _altered(who: str, old: dict[str, str | None], new: dict[str, str | None]) -> Iterator[str]:
    if old["unlogged"] != new["unlogged"]:
        yield f"ALTER SEQUENCE {who} SET {'UNLOGGED' if new['unlogged'] else 'LOGGED'}"
    if (old["type"], old["options"], old["cycle"]) != (new["type"], new["options"], new["cycle"]):
        cycle = " CYCLE" if new["cycle"] else " NO CYCLE"
        yield f"ALTER SEQUENCE {who} AS {new['type']} {new['options']}{cycle}"


def create_ownership(world: World, subject: str, text: str) -> Iterator[str]:
    """OWNED BY a column; a new sequence of a column that was there goes on behind its rows."""
    yield f"ALTER SEQUENCE {subject.removeprefix('sequence ')} OWNED BY {text}"
    if subject not in world.before.objects and f"column {text}" in world.before.objects:
        yield going_on(subject, world.after.objects[subject], text)


def going_on(name: str, text: str, column: str) -> str:
    """The call that puts a new sequence behind the values that a column holds already, if it holds any."""
    table, part = split_name(column)
    options = (_parsed(text)["options"] or "").split()
    start, up = options[1], int(options[3]) > 0
    furthest = f"{'max' if up else 'min'}({part})"
    sequence = literal(name.removeprefix("sequence "))
    ahead = ">=" if up else "<="
    return f"SELECT setval({sequence}, {furthest}) FROM {table} HAVING {furthest} {ahead} {start}"  # noqa: S608 -- quoted names


def drop_ownership(_world: World, subject: str, _text: str) -> Iterator[str]:
    """OWNED BY NONE."""
    yield f"ALTER SEQUENCE {subject.removeprefix('sequence ')} OWNED BY NONE"


def change_ownership(world: World, subject: str, _before: str, after: str) -> Iterator[str]:
    """OWNED BY another column."""
    return create_ownership(world, subject, after)


def _parsed(text: str) -> dict[str, str | None]:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise Unwritten("a sequence of this form")
    return found.groupdict()
