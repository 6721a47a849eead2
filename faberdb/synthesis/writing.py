"""The way from one schema to another, step by step, and what each step destroys.

It is written from the difference of two schemas alone. What cannot be written is said, and nothing is guessed.
Whether the result is right is not decided here but proven (faberdb.synthesis.proof).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from faberdb.catalog import Schema
from faberdb.catalog.difference import Difference, describe, differences
from faberdb.synthesis.annotations import with_silence
from faberdb.synthesis.fates import Fate, decide
from faberdb.synthesis.kind import World
from faberdb.synthesis.ordering import Step
from faberdb.synthesis.parts import taken_apart, whole
from faberdb.synthesis.references import Side
from faberdb.synthesis.steps import Stepping

_NOWHERE: Final[Mapping[str, int]] = MappingProxyType({})


class Left(Struct, frozen=True, kw_only=True):
    """A difference that is left for a person."""

    difference: Difference
    why: str

    @property
    def text(self) -> str:
        """Both in one line."""
        return f"{describe(self.difference)} ({self.why})"


class Synthesis(Struct, frozen=True, kw_only=True):
    """The way from one schema to another."""

    steps: tuple[Step, ...]  # for one transaction
    unwritten: tuple[Left, ...]

    @property
    def statements(self) -> tuple[str, ...]:
        """Of all steps, each without a semicolon."""
        return tuple(statement for step in self.steps for statement in step.statements)

    @property
    def destroys(self) -> tuple[str, ...]:
        """What holds rows or values and goes: tables, columns, sequences."""
        return tuple(sorted({lost for step in self.steps for lost in step.destroys}))

    @property
    def script(self) -> str:
        """The statements as a file's text; what each step loses stands before it."""
        return "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for step in self.steps:
            for lost in step.destroys:
                yield f"-- loses {' '.join(lost.split())}\n"
            for statement in step.statements:
                yield f"{statement};\n"


def synthesise(
    before: Schema, after: Schema, *, login: str = "", places: Mapping[str, int] = _NOWHERE
) -> Synthesis:
    """The statements that make `after` of a database whose schema is `before`.

    Args:
        before: where it begins.
        after: where it ends.
        login: who will run them: what that role creates is its own, without a word about the owner.
        places: of columns, `public.account.id` -> 1, for the order of new tables' columns, which a schema does not
            tell.
    """
    world = _world(before, after, login, places)
    fates = decide(world)
    world.anew.update(name for name, fate in fates.of.items() if fate is Fate.ANEW)
    steps, unwritten = Stepping(world, fates).steps()
    found = {d.object: d for d in differences(before, after)}
    left = {whole(name): why for name, why in {**fates.unwritten, **unwritten}.items()}
    return Synthesis(
        steps=tuple(steps),
        unwritten=tuple(
            Left(difference=found.get(name) or _standing(name, before, after), why=why)
            for name, why in left.items()
        ),
    )


def _standing(name: str, before: Schema, after: Schema) -> Difference:
    """An object that is in the way though it does not differ."""
    return Difference(
        kind="changed", object=name, before=before.objects.get(name), after=after.objects.get(name)
    )


def _world(before: Schema, after: Schema, login: str, places: Mapping[str, int]) -> World:
    old, new = with_silence(before.objects, after.objects), with_silence(after.objects, before.objects)
    return World(
        before=Side(taken_apart(old, new)),
        after=Side(taken_apart(new, old)),
        login=login,
        places=places,
        anew=set(),
    )
