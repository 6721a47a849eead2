"""What is found of a schema while it is read: objects by name, and their names by address.

Knows the rows that the queries select, and not where they come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from faberdb.catalog.spelling import canonical, canonical_function
from faberdb.errors import Transient

Row = tuple[Any, ...]
_Address = tuple[int, int, int]  # catalogue, object, column
_AUTHORS_TEXT: Final = frozenset({"function", "procedure"})


@dataclass(frozen=True, slots=True)
class Found:
    """Filled row by row. What one session found can be joined to what another did."""

    objects: dict[str, str] = field(default_factory=dict)  # name -> canonical definition
    names: dict[_Address, str] = field(default_factory=dict)

    def add(self, rows: Iterable[Row]) -> None:
        """Objects with their owners, each run of one kind in the order of names.

        What is made of ordered runs is put in order quickly.
        """
        for kind, alike in groupby(rows, key=itemgetter(3)):
            run = dict(self._objects(kind, alike))
            self.objects.update((name, run[name]) for name in sorted(run))

    def join(self, other: Found) -> None:
        """All that is in the other, which has nothing that is here."""
        if twice := self.objects.keys() & other.objects.keys():
            raise _double(min(twice))
        self.objects.update(other.objects)
        self.names.update(other.names)

    def add_grants(self, rows: Iterable[Row]) -> None:
        """What is granted on objects, and default privileges, which have a name of their own."""
        for catalogue, oid, column, own_name, text in rows:
            if own_name:
                self.objects[own_name] = text
            elif name := self.names.get((catalogue, oid, column)):
                self.objects[f"grants on {name}"] = text

    def add_comments(self, rows: Iterable[Row]) -> None:
        """What is said about objects, or about a part that is told with them."""
        for catalogue, oid, column, part, text in rows:
            if name := self.names.get((catalogue, oid, column)):
                self.objects[f"comment on {part}{name}"] = text

    def _objects(self, kind: str, rows: Iterable[Row]) -> Iterable[tuple[str, str]]:
        spelled = canonical_function if kind in _AUTHORS_TEXT else canonical
        for catalogue, oid, column, _, identity, definition, owner in rows:
            name = f"{kind} {identity}"
            if definition is None:
                raise moved(f"{name} has no definition any more")
            if name in self.objects:
                raise _double(name)
            self.names[catalogue, oid, column] = name
            yield name, spelled(definition)
            if owner is not None:
                yield f"owner of {name}", owner


def moved(why: str) -> Transient:
    """An object was dropped or locked while the schema was read."""
    return Transient(
        "The schema could not be read as of one moment.",
        why=f"Another session changes or locks it: {why.strip()}",
        next_step="try again when it is done",
    )


def _double(name: str) -> AssertionError:
    return AssertionError(f"two objects are both named {name}")
