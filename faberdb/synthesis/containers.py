"""Schemas and extensions."""

from __future__ import annotations

from collections.abc import Iterator

from faberdb.synthesis.kind import World
from faberdb.synthesis.quoting import literal


def create_schema(_world: World, who: str, _text: str) -> Iterator[str]:
    """CREATE SCHEMA."""
    yield f"CREATE SCHEMA {who}"


def drop_schema(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP SCHEMA, which must be empty by then."""
    yield f"DROP SCHEMA {who}"


def create_extension(_world: World, who: str, text: str) -> Iterator[str]:
    """CREATE EXTENSION in its version's files as the server has them."""
    yield f"CREATE EXTENSION {who} SCHEMA {text.partition(' SCHEMA ')[2]}"


def drop_extension(_world: World, who: str, _text: str) -> Iterator[str]:
    """DROP EXTENSION, never CASCADE."""
    yield f"DROP EXTENSION {who}"


def change_extension(_world: World, who: str, before: str, after: str) -> Iterator[str]:
    """UPDATE TO another version, SET SCHEMA to another schema."""
    (old, _, was), (new, _, shall) = before.partition(" SCHEMA "), after.partition(" SCHEMA ")
    if old != new:
        yield f"ALTER EXTENSION {who} UPDATE TO {literal(new.removeprefix('VERSION '))}"
    if was != shall:
        yield f"ALTER EXTENSION {who} SET SCHEMA {shall}"
