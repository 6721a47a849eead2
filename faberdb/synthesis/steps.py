"""The steps of all fates, and what has to come before what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from faberdb.synthesis.columns import keeps_values
from faberdb.synthesis.fates import Fate, Fates
from faberdb.synthesis.kind import Unwritten, World
from faberdb.synthesis.kinds import how
from faberdb.synthesis.ordering import Act, Step, ordered, rank
from faberdb.synthesis.partitions import follows_parent, parents_key
from faberdb.synthesis.parts import identity, kind


class Stepping:
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
                if fate is Fate.CHANGED and not follows_parent(self._world, self._fates.of, name):
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
        if follows_parent(self._world, self._fates.of, name):
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
        if follows_parent(self._world, self._fates.of, name):
            return True
        subject = self._world.after.subject(name)
        made = self._fates.of.get(subject) in {Fate.NEW, Fate.ANEW}
        return made and how(kind(name)).comes_along

    def _edges(self) -> Iterator[tuple[Step, Step]]:
        before, after = self._world.before, self._world.after
        for name, fate in self._fates.of.items():
            # What goes or comes along with its subject has its subject's step.
            for step in self._at(name, self._drops) if fate in {Fate.GONE, Fate.ANEW} else ():
                for named in before.references(name):
                    yield from ((step, other) for other in self._at(named, self._drops))
                    if self._fates.of.get(named) is Fate.CHANGED and named in self._makes:
                        yield step, self._makes[named]
            for step in self._at(name, self._makes) if fate is not Fate.GONE else ():
                for named in after.references(name):
                    yield from ((other, step) for other in self._at(named, self._makes))
            if fate is Fate.CHANGED and name in self._makes:
                for named in before.references(name):
                    yield from ((self._makes[name], other) for other in self._at(named, self._drops))
        yield from ((step, self._makes[name]) for name, step in self._drops.items() if name in self._makes)
        yield from self._partitions_first()

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
                parent = parents_key(after, name)
            else:
                continue
            if parent in self._makes and self._makes[parent] is not step:
                yield step, self._makes[parent]
