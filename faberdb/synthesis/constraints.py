"""Constraints, indexes and statistics objects: what is said about a table's rows, and holds none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from faberdb.catalog.names import split_name
from faberdb.synthesis.kind import Unwritten, World
from faberdb.synthesis.parts import identity

_NOT_VALID: Final = " NOT VALID"
# The catalogue tells the index's options last; the grammar has them before DEFERRABLE.
_OPTIONS: Final = re.compile(
    r"(?P<key>(?:PRIMARY KEY|UNIQUE|EXCLUDE) .*?)(?P<when> DEFERRABLE(?: INITIALLY DEFERRED)?)?"
    r"(?P<options> WITH \([^()]*\))?(?P<space> TABLESPACE \S+)?",
    re.DOTALL,
)


def create_constraint(_world: World, who: str, text: str) -> Iterator[str]:
    """ADD CONSTRAINT."""
    _valid(text)
    table, part = split_name(who)
    if (found := _OPTIONS.fullmatch(text)) is not None:
        space = f" USING INDEX{found['space']}" if found["space"] else ""
        text = "".join((found["key"], found["options"] or "", space, found["when"] or ""))
    yield f"ALTER TABLE {table} ADD CONSTRAINT {part} {text}"


def drop_constraint(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP CONSTRAINT."""
    table, part = split_name(who)
    yield f"ALTER TABLE {table} DROP CONSTRAINT {part}"


def change_constraint(_world: World, who: str, before: str, after: str) -> tuple[str, ...] | None:
    """VALIDATE, where that is all."""
    table, part = split_name(who)
    if before == after + _NOT_VALID:
        return (f"ALTER TABLE {table} VALIDATE CONSTRAINT {part}",)
    return None


def create_domain_constraint(_world: World, who: str, text: str) -> Iterator[str]:
    """ADD CONSTRAINT of a domain."""
    domain, part = split_name(who)
    yield f"ALTER DOMAIN {domain} ADD CONSTRAINT {part} {text}"


def drop_domain_constraint(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP CONSTRAINT of a domain."""
    domain, part = split_name(who)
    yield f"ALTER DOMAIN {domain} DROP CONSTRAINT {part}"


def change_domain_constraint(_world: World, who: str, before: str, after: str) -> tuple[str, ...] | None:
    """VALIDATE, where that is all."""
    domain, part = split_name(who)
    if before == after + _NOT_VALID:
        return (f"ALTER DOMAIN {domain} VALIDATE CONSTRAINT {part}",)
    return None


def create_index(_world: World, _who: str, text: str) -> Iterator[str]:
    """CREATE INDEX as the catalogue prints it. A partitioned one is made on its partitions too."""
    _valid(text)
    yield text.replace(" ON ONLY ", " ON ", 1)


def drop_index(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP INDEX."""
    yield f"DROP INDEX {who}"


def create_statistics(_world: World, _who: str, text: str) -> Iterator[str]:
    """CREATE STATISTICS as the catalogue prints it."""
    yield text


def drop_statistics(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP STATISTICS."""
    yield f"DROP STATISTICS {who}"


def cluster(world: World, subject: str, _text: str) -> Iterator[str]:
    """The index that CLUSTER goes by."""
    yield f"ALTER TABLE {_table(world, subject)} CLUSTER ON {split_name(identity(subject))[1]}"


def scatter(world: World, subject: str, _text: str) -> Iterator[str]:
    """No such index."""
    yield f"ALTER TABLE {_table(world, subject)} SET WITHOUT CLUSTER"


def _table(world: World, subject: str) -> str:
    side = world.after if subject in world.after.objects else world.before
    return identity(side.subject(subject))


def _valid(text: str) -> None:
    if text.endswith(" INVALID"):
        raise Unwritten("an invalid index, left by a build that failed: drop it, or build it again")
