"""Tables: their shape, and what has a statement of its own on each (storage, partitions, heirs, row security)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from faberdb.catalog.names import split_name
from faberdb.synthesis.columns import line
from faberdb.synthesis.kind import Kind, Unwritten, World, nothing
from faberdb.synthesis.parts import identity

_KEPT: Final = re.compile(
    r"(?P<unlogged>UNLOGGED )?TABLE(?P<rest>.*?)(?: TABLESPACE (?P<space>\S+))?", re.DOTALL
)
_STORAGE_WORDS: Final = {
    "storage of": ("STORAGE", "DEFAULT"),
    "compression of": ("COMPRESSION", "default"),
    "statistics target of": ("STATISTICS", "-1"),
}


def create_table(world: World, who: str, text: str) -> Iterator[str]:
    """CREATE TABLE with the columns that are its own; a partition is attached later, when its keys stand."""
    if " OF " in text.split(" PARTITION BY ", maxsplit=1)[0]:
        raise Unwritten("a table OF a type: write it by hand")
    heirs = world.after.objects.get(f"inheritance of table {who}", "")
    own = [
        column for column in world.after.columns[who] if f"inheriting of {column}" not in world.after.objects
    ]
    own.sort(key=lambda c: (world.places.get(identity(c), 0), c))
    inside = ",\n".join(f"    {line(world, column)}" for column in own)
    kind, _, more = text.partition("TABLE")
    inherits = f" INHERITS ({heirs})" if heirs else ""
    yield (
        f"CREATE {kind}TABLE {who} (\n{inside}\n){inherits}{more}"
        if own
        else (f"CREATE {kind}TABLE {who} (){inherits}{more}")
    )


def drop_table(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP TABLE, never CASCADE."""
    yield f"DROP TABLE {who}"


def change_table(_world: World, who: str, before: str, after: str) -> Iterator[str]:
    """What a table that stays can become."""
    old, new = _KEPT.fullmatch(before), _KEPT.fullmatch(after)
    if old is None or new is None or old["rest"] != new["rest"]:
        raise Unwritten(
            "a table does not become a partitioned one, nor of another type or access method, in place"
        )
    if old["unlogged"] != new["unlogged"]:
        yield f"ALTER TABLE {who} SET {'UNLOGGED' if new['unlogged'] else 'LOGGED'}"
    if old["space"] != new["space"]:
        yield f"ALTER TABLE {who} SET TABLESPACE {new['space'] or 'pg_default'}"


def switch(on: str, off: str) -> Kind:
    """A part that is on or off."""
    return Kind(
        create=lambda _w, subject, _t: (f"ALTER TABLE {identity(subject)} {on}",),
        drop=lambda _w, subject, _t: (f"ALTER TABLE {identity(subject)} {off}",),
    )


def create_replica(_world: World, subject: str, text: str) -> Iterator[str]:
    """What the log tells of a row that is changed."""
    if "(none)" in text:
        raise Unwritten("a replica identity whose index is gone")
    if text.startswith("USING INDEX "):
        text = "USING INDEX " + split_name(text.removeprefix("USING INDEX "))[1]
    yield f"ALTER TABLE {identity(subject)} REPLICA IDENTITY {text}"


def drop_replica(_world: World, subject: str, _text: str) -> Iterator[str]:
    """The primary key again."""
    yield f"ALTER TABLE {identity(subject)} REPLICA IDENTITY DEFAULT"


def change_replica(world: World, subject: str, _before: str, after: str) -> Iterator[str]:
    """One for the other."""
    return create_replica(world, subject, after)


def attach(_world: World, subject: str, text: str) -> Iterator[str]:
    """A partition into its parent; an index goes into its parent's with its table."""
    if subject.startswith("table "):
        parent, _, bound = text.partition(" ")
        yield f"ALTER TABLE {parent} ATTACH PARTITION {identity(subject)} {bound}"


def detach(_world: World, subject: str, text: str) -> Iterator[str]:
    """A partition out of its parent, with its rows."""
    if subject.startswith("table "):
        yield f"ALTER TABLE {text.partition(' ')[0]} DETACH PARTITION {identity(subject)}"


def inherit(_world: World, subject: str, text: str) -> Iterator[str]:
    """INHERIT of each parent, for a table that was there already."""
    for parent in text.split(", "):
        yield f"ALTER TABLE {identity(subject)} INHERIT {parent}"


def disinherit(_world: World, subject: str, text: str) -> Iterator[str]:
    """NO INHERIT of each parent."""
    for parent in text.split(", "):
        yield f"ALTER TABLE {identity(subject)} NO INHERIT {parent}"


def set_options(_world: World, subject: str, text: str) -> Iterator[str]:
    """Storage parameters."""
    yield f"{_placed(subject)} SET ({text})"


def reset_options(_world: World, subject: str, text: str) -> Iterator[str]:
    """Back to what the server does by itself."""
    names = ", ".join(option.partition("=")[0] for option in text.split(", "))
    yield f"{_placed(subject)} RESET ({names})"


def change_options(world: World, subject: str, before: str, after: str) -> Iterator[str]:
    """Only those that differ."""
    old, new = before.split(", "), after.split(", ")
    kept = {option.partition("=")[0] for option in new}
    if gone := [option for option in old if option.partition("=")[0] not in kept]:
        yield from reset_options(world, subject, ", ".join(gone))
    if came := [option for option in new if option not in old]:
        yield from set_options(world, subject, ", ".join(came))


def _placed(subject: str) -> str:
    if subject.startswith("column "):
        table, column = split_name(identity(subject))
        return f"ALTER TABLE {table} ALTER COLUMN {column}"
    return f"ALTER TABLE {identity(subject)}"


def stored(part: str) -> Kind:
    """How a column is kept: STORAGE, COMPRESSION or STATISTICS."""
    word, default = _STORAGE_WORDS[part]

    def put(_world: World, subject: str, text: str) -> Iterator[str]:
        if subject.startswith("statistics "):
            yield f"ALTER STATISTICS {identity(subject)} SET STATISTICS {text}"
        elif subject.startswith("index "):
            for target in text.split(", "):
                number, _, value = target.partition(" ")
                yield f"ALTER INDEX {identity(subject)} ALTER COLUMN {number} SET STATISTICS {value}"
        else:
            yield f"{_placed(subject)} SET {word} {text}"

    def away(world: World, subject: str, text: str) -> Iterator[str]:
        if subject.startswith("index "):
            text = ", ".join(f"{target.partition(' ')[0]} -1" for target in text.split(", "))
            return put(world, subject, text)
        return put(world, subject, default)

    return Kind(create=put, drop=away)


def inherited() -> Kind:
    """Whether a column is only its parent's: the inheritance says it."""
    return Kind(create=nothing, drop=nothing)
