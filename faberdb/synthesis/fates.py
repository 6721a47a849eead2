"""What becomes of each object on the way: gone, new, changed where it is, or dropped and created again.

Whatever stands on an object that is created again is created again too, with all that is said about it. Refuses to
know statements and their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from faberdb.synthesis.columns import retyped
from faberdb.synthesis.kind import Unwritten, World
from faberdb.synthesis.kinds import how
from faberdb.synthesis.parts import identity, kind


class Fate(StrEnum):
    """Of one object or part."""

    GONE = "gone"
    NEW = "new"
    CHANGED = "changed"
    ANEW = "anew"


# What PostgreSQL does not take along when a column's type changes; keys, checks and indexes it does.
_IN_THE_WAY: Final = {
    "view",
    "materialized view",
    "policy",
    "trigger",
    "rule",
    "function",
    "procedure",
    "publication",
    "default of",
}


@dataclass(slots=True)
class Fates:
    """Every object that does not merely stay."""

    of: dict[str, Fate] = field(default_factory=dict)
    changes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # the statements of what is changed
    unwritten: dict[str, str] = field(default_factory=dict)  # why


def decide(world: World) -> Fates:
    """The fates of all objects of a world."""
    fates = Fates()
    before, after = world.before.objects, world.after.objects
    for name in dict(before.items() ^ after.items()):
        if name not in after:
            fates.of[name] = Fate.GONE
        elif name not in before:
            fates.of[name] = Fate.NEW
        else:
            _changed(world, name, fates)
    _spread(world, fates)
    return fates


def _changed(world: World, name: str, fates: Fates) -> None:
    written = how(kind(name))
    try:
        old, new = world.before.objects[name], world.after.objects[name]
        said = written.change(world, identity(name), old, new) if written.change else None
        if said is not None:
            fates.of[name], fates.changes[name] = Fate.CHANGED, tuple(said)
        elif kind(name) == "sequence" and world.before.subject(name) not in world.after.objects:
            fates.of[name] = Fate.ANEW  # an identity's, which goes with its table
        elif _holds(world, name):
            raise Unwritten(f"it holds {written.holds} and is not dropped to be created again")
        else:
            fates.of[name] = Fate.ANEW
    except Unwritten as unwritten:
        fates.unwritten[name] = str(unwritten)


def _holds(world: World, name: str) -> bool:
    """Whether something is lost when it is dropped and created again."""
    if kind(name) == "column":
        table = world.before.subject(name)
        generated = " GENERATED ALWAYS AS (" in world.before.objects[name]
        return table.startswith(("table", "foreign")) and not generated
    if kind(name) == "attribute":
        return False  # where its type may be dropped, nothing is of that type
    return bool(how(kind(name)).holds)


def _spread(world: World, fates: Fates) -> None:
    """To all that stands on what is created again, or on a column of another type."""
    standing = _reversed(world)
    left = [n for n, fate in fates.of.items() if fate is Fate.ANEW or _is_retyped(world, n, fate)]
    while left:
        name = left.pop()
        anew = fates.of[name] is Fate.ANEW
        for other in standing.get(name, ()):
            if other not in world.after.objects or fates.of.get(other) in {Fate.ANEW, Fate.GONE}:
                continue
            if not anew and not _stands_in_the_way(world, other):
                continue
            if _goes_with(world, other, name) or not _holds(world, other):
                fates.of[other] = Fate.ANEW
                fates.changes.pop(other, None)
                left.append(other)
            else:
                why = f"{other} stands on it and cannot be dropped and created again"
                fates.unwritten[name] = "; ".join(part for part in (why, how(kind(name)).otherwise) if part)


def _goes_with(world: World, other: str, name: str) -> bool:
    return world.before.subject(other) == name and not _holds(world, other)


def _is_retyped(world: World, name: str, fate: Fate) -> bool:
    return (
        fate is Fate.CHANGED
        and kind(name) == "column"
        and retyped(world.before.objects[name], world.after.objects[name])
    )


def _stands_in_the_way(world: World, name: str) -> bool:
    generated = kind(name) == "column" and " GENERATED ALWAYS AS (" in world.before.objects[name]
    return generated or kind(name) in _IN_THE_WAY


def _reversed(world: World) -> Mapping[str, Iterable[str]]:
    """Of each object those that name it, as it was."""
    standing: dict[str, list[str]] = defaultdict(list)
    for name in world.before.objects:
        for named in world.before.references(name):
            standing[named].append(name)
    return standing
