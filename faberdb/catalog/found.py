"""What is found of a schema while it is read: objects by name, and their names by address.

Knows the rows that the queries select, and not where they come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from msgspec import Struct, field

from faberdb.catalog.spelling import canonical, canonical_function
from faberdb.errors import Transient

Row = tuple[Any, ...]
_AUTHORS_TEXT: Final = frozenset({"function", "procedure"})


class Found(Struct, frozen=True, kw_only=True):
    """Filled row by row. What one session found can be joined to what another did."""

    objects: dict[str, str] = field(default_factory=dict)  # name -> canonical definition
    names: dict[int, str] = field(default_factory=dict)  # by address
    grants: Sequence[Row] = ()
    comments: Sequence[Row] = ()

    def add(self, rows: Iterable[Row]) -> None:
        """Objects with their owners, each run of one kind in the order of names.

        What is made of ordered runs is put in order quickly.
        """
        for kind, alike in groupby(rows, key=itemgetter(3)):
            self.objects.update(sorted(self._run(kind, alike).items()))

    def join(self, other: Found) -> None:
        """All objects of the other, which has none that is here."""
        if twice := self.objects.keys() & other.objects.keys():
            raise _double(min(twice))
        self.objects.update(other.objects)
        self.names.update(other.names)

    def annotated(self) -> dict[str, str]:
        """The objects, with what is granted on them and said about them; default privileges have their own name."""
        objects = dict(self.objects)
        for catalogue, oid, column, own_name, text in self.grants:
            if own_name:
                objects[own_name] = text
            elif name := self.names.get(_address(catalogue, oid, column)):
                objects[f"grants on {name}"] = text
        for catalogue, oid, column, part, text in self.comments:
            if name := self.names.get(_address(catalogue, oid, column)):
                objects[f"comment on {part}{name}"] = text
        return objects

    def _run(self, kind: str, rows: Iterable[Row]) -> dict[str, str]:
        spelled = canonical_function if kind in _AUTHORS_TEXT else canonical
        run = dict[str, str]()
        for catalogue, oid, column, _, identity, definition, owner in rows:
            name = f"{kind} {identity}"
            if definition is None:
                raise moved(f"{name} has no definition any more")
            if name in run or name in self.objects:
                raise _double(name)
            self.names[_address(catalogue, oid, column)] = name
            run[name] = spelled(definition)
            if owner is not None:
                run[f"owner of {name}"] = owner
        return run


def moved(why: str) -> Transient:
    """An object was dropped or locked while the schema was read."""
    return Transient(
        "The schema could not be read as of one moment.",
        why=f"Another session changes or locks it: {why.strip()}",
        next_step="try again when it is done",
    )


def _address(catalogue: int, oid: int, column: int) -> int:
    """One number: a hundred thousand tuples would keep the garbage collector busy."""
    return (catalogue << 32 | oid) << 16 | column


def _double(name: str) -> AssertionError:
    return AssertionError(f"two objects are both named {name}")
