"""How objects of one kind are written: created, dropped, changed. And what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from faberdb.synthesis.references import Side


class Unwritten(Exception):
    """This difference is left for a person; the text says why and what to do."""


class World(Struct, frozen=True, kw_only=True):
    """Both ends of the way, and who goes it."""

    before: Side
    after: Side
    login: str  # "" for nobody in particular
    anew: set[str]  # what is dropped and created again
    places: Mapping[str, int]  # of a table's columns by identity; without them a new table's go by name


Statements = Iterable[str]


def nothing(_world: World, _who: str, _text: str) -> Statements:
    """For what other statements bring along or take along."""
    return ()


class Kind(Struct, frozen=True, kw_only=True):
    """Each function takes the world, the identity (for a part: its subject's name) and the definition."""

    create: Callable[[World, str, str], Statements]
    drop: Callable[[World, str, str], Statements]
    # With the definitions before and after. None, or an answer of None: it is dropped and created again.
    change: Callable[[World, str, str, str], Statements | None] | None = None
    holds: str = ""  # what it holds that goes with it: such a kind is never dropped to be created again
    otherwise: str = ""  # what to do by hand where it would have to be created again and cannot be
    comes_along: bool = False  # its subject's creation tells it
