"""The way from one schema to another, step by step, and what each step destroys.

It is written from the difference of two schemas alone. What cannot be written is said, and nothing is guessed.
Whether the result is right is not decided here but proven (faberdb.synthesis.proof).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from faberdb.catalog import Schema
from faberdb.catalog.difference import Difference, describe, differences
from faberdb.synthesis.annotations import with_silence
from faberdb.synthesis.columns import keeps_values
from faberdb.synthesis.fates import Fate, Fates, decide
from faberdb.synthesis.kind import Unwritten, World
from faberdb.synthesis.kinds import how
from faberdb.synthesis.ordering import Act, Step, ordered, rank
from faberdb.synthesis.parts import identity, kind, taken_apart, whole
from faberdb.synthesis.references import Side

_NOWHERE: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A difference that is left for a person."""

    difference: Difference
    why: str

    @property
    def text(self) -> str:
        """Both in one line."""
        return f"{describe(self.difference)} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
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
    steps, unwritten = _Stepping(world, fates).steps()
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


class _Stepping:
    """The steps of all fates, and the edges between them."""

    def __init__(self, world: World, fates: Fates) -> None:
        self._world, self._fates = world, fates
        self._drops: dict[str, Step] = {}
        self._makes: dict[str, Step] = {}  # what creates or changes
        self._unwritten: dict[str, str] = {}

    def steps(self) -> tuple[list[Step], dict[str, str]]:
        """All steps in their order, and what could not be written."""
        for name, fate in self._fates.of.items():
            try:
                if fate in {Fate.GONE, Fate.ANEW} and not self._goes_along(name):
                    self._drop(name)
                if fate in {Fate.NEW, Fate.ANEW} and not self._comes_along(name):
                    self._create(name)
                if fate is Fate.CHANGED and not self._follows_parent(name):
                    self._change(name)
            except Unwritten as unwritten:
                self._unwritten[name] = str(unwritten)
        steps = [*self._drops.values(), *self._makes.values()]
        ranks = {step: rank(step.act, self._kind(step)) for step in steps}
        done = ordered(steps, ranks, self._edges())
        done = [step for step in done if step.statements]
        if any(kind(s.object) in {"function", "procedure"} and s.act is not Act.DROP for s in done):
            # A function's body may name a table that comes after it.
            early = "SET LOCAL check_function_bodies = off"
            done.insert(0, Step(act=Act.CHANGE, object="", statements=(early,)))
        return done, self._unwritten

    def _kind(self, step: Step) -> str:
        what = kind(step.object)
        side = self._world.before if step.act is Act.DROP else self._world.after
        foreign = what == "constraint" and side.objects[step.object].startswith("FOREIGN KEY")
        return "foreign key" if foreign else what

    def _drop(self, name: str) -> None:
        written, text = how(kind(name)), self._world.before.objects[name]
        statements = tuple(written.drop(self._world, identity(name), text))
        lost = (name,) if statements and self._fates.of[name] is Fate.GONE and written.holds else ()
        self._drops[name] = Step(act=Act.DROP, object=name, statements=statements, destroys=lost)

    def _create(self, name: str) -> None:
        text = self._world.after.objects[name]
        statements = tuple(how(kind(name)).create(self._world, identity(name), text))
        self._makes[name] = Step(act=Act.CREATE, object=name, statements=statements)

    def _change(self, name: str) -> None:
        statements = self._fates.changes[name]
        old, new = self._world.before.objects[name], self._world.after.objects[name]
        lost: tuple[str, ...] = ()
        if kind(name) == "column" and statements and not keeps_values(old, new):
            lost = (f"what values of {name} do not keep as {new.split(' NOT NULL')[0]}",)
        self._makes[name] = Step(act=Act.CHANGE, object=name, statements=statements, destroys=lost)

    def _goes_along(self, name: str) -> bool:
        """Whether its subject's DROP takes it."""
        side, fates = self._world.before, self._fates.of
        if self._follows_parent(name):
            return True
        subject = side.subject(name)
        if not subject or not self._leaves(subject):
            return False
        text = side.objects[name]
        if kind(name) == "constraint" and text.startswith("FOREIGN KEY"):
            # Two tables may point to each other.
            others = [n for n in side.references(name) if kind(n) == "table" and n != subject]
            return not any(fates.get(other) is Fate.GONE for other in others)
        return True

    def _leaves(self, name: str) -> bool:
        """Whether it is dropped, by itself or with its subject."""
        return self._fates.of.get(name) in {Fate.GONE, Fate.ANEW}

    def _comes_along(self, name: str) -> bool:
        """Whether its subject's CREATE, or its parent table's, makes it."""
        if self._follows_parent(name):
            return True
        subject = self._world.after.subject(name)
        made = self._fates.of.get(subject) in {Fate.NEW, Fate.ANEW}
        return made and how(kind(name)).comes_along

    def _follows_parent(self, name: str) -> bool:
        """Whether the same happens to the same part of the table that this is a partition or an heir of."""
        what = kind(name)
        fate = self._fates.of[name]
        if what == "index" and fate is Fate.GONE:
            parent = f"index {self._world.before.objects.get(f'attachment of {name}', '')}"
            return self._fates.of.get(parent) is Fate.GONE
        if (
            what == "constraint"
            and fate is Fate.GONE
            and self._linked(identity(self._world.before.subject(name)), fate)
        ):
            key = self._parents_key(self._world.before, name)
            if self._fates.of.get(key) is Fate.GONE:
                return True
        part = name if what in {"column", "constraint"} else identity(name) if what == "default of" else ""
        side = self._world.before if fate is Fate.GONE else self._world.after
        if not part or kind(part) == "domain":
            return False
        table = identity(side.subject(part))
        if not self._linked(table, fate):
            return False
        for parent in side.parents(table):
            other = name.replace(f" {table}.", f" {parent}.", 1)
            same = all(s.objects.get(other) == s.objects.get(name) for s in self._both(fate))
            check = what != "constraint" or fate is Fate.GONE or side.objects[name].startswith("CHECK")
            if other in side.objects and same and check and self._fates.of.get(other, fate) is fate:
                return True
        return False

    def _both(self, fate: Fate) -> tuple[Side, ...]:
        before, after = self._world.before, self._world.after
        return (before,) if fate is Fate.GONE else (after,) if fate is Fate.NEW else (before, after)

    def _linked(self, table: str, fate: Fate) -> bool:
        """Whether a table is its parents' all the way, or is born so."""
        before, after = self._world.before, self._world.after
        if fate is Fate.NEW and f"table {table}" not in before.objects:
            return f"inheritance of table {table}" in after.objects
        return bool(before.parents(table)) and before.parents(table) == after.parents(table)

    def _edges(self) -> Iterator[tuple[Step, Step]]:
        for name, step in self._drops.items():
            for named in self._named(self._world.before, name):
                yield from ((step, other) for other in self._at(named, self._drops))
                if named in self._makes and self._fates.of[named] is Fate.CHANGED:
                    yield step, self._makes[named]
            if name in self._makes:
                yield step, self._makes[name]
        for name, step in self._makes.items():
            for named in self._named(self._world.after, name):
                yield from ((other, step) for other in self._at(named, self._makes))
            if self._fates.of[name] is Fate.CHANGED:
                for named in self._named(self._world.before, name):
                    yield from ((step, other) for other in self._at(named, self._drops))
        yield from self._partitions_first()

    def _named(self, side: Side, name: str) -> Iterator[str]:
        """What an object names, and what its columns do where they go and come with it."""
        yield from side.references(name)
        if kind(name) == "table" and self._fates.of[name] is not Fate.CHANGED:
            for column in side.columns[identity(name)]:
                yield from (n for n in side.references(column) if n != name)
            yield from (f"table {parent}" for parent in side.parents(identity(name)))

    def _at(self, name: str, steps: Mapping[str, Step]) -> Iterator[Step]:
        """The step of an object, or of the subject that it comes and goes with."""
        side = self._world.before if steps is self._drops else self._world.after
        while name and name not in steps and name in side.objects and name in self._fates.of:
            name = side.subject(name)
        if name in steps:
            yield steps[name]

    def _partitions_first(self) -> Iterator[tuple[Step, Step]]:
        """A parent's key or index finds those of its partitions, and makes none of an invented name."""
        after = self._world.after
        for name, step in self._makes.items():
            if kind(name) == "index":
                parent = f"index {after.objects.get(f'attachment of {name}', '')}"
            elif kind(name) == "constraint":
                parent = self._parents_key(after, name)
            else:
                continue
            if parent in self._makes and self._makes[parent] is not step:
                yield step, self._makes[parent]

    def _parents_key(self, side: Side, name: str) -> str:
        """The parent's key that a partition's key is a part of, whatever it is called."""
        if side.objects[name].startswith(("CHECK", "FOREIGN")):
            return ""
        for parent in side.parents(identity(side.subject(name))):
            for key in side.keys.get(parent, []):
                if side.objects[key] == side.objects[name]:
                    return key
        return ""
