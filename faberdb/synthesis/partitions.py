"""Partitions and heirs: what happens to a part of one because it happens to its parent's."""

from __future__ import annotations

from collections.abc import Mapping

from faberdb.synthesis.fates import Fate
from faberdb.synthesis.kind import World
from faberdb.synthesis.parts import identity, kind
from faberdb.synthesis.references import Side


def follows_parent(world: World, fates: Mapping[str, Fate], name: str) -> bool:
    """Whether the parent's statement does it: the same becomes of the part that this one was made from."""
    what, fate = kind(name), fates[name]
    side = world.before if fate is Fate.GONE else world.after
    if what == "index" and fate is Fate.GONE:
        parent = f"index {side.objects.get(f'attachment of {name}', '')}"
        return fates.get(parent) is Fate.GONE
    if what == "constraint" and _is_key(side.objects[name]):
        table = identity(side.subject(name))
        key = parents_key(side, name)
        return fate is Fate.GONE and _linked(world, table, fate) and fates.get(key) is Fate.GONE
    if what == "constraint" and side.objects[name].startswith("FOREIGN KEY"):
        return _moves_with_its_table(world, fates, name)
    part = {"column": name, "constraint": name, "default of": identity(name)}.get(what, "")
    if not part or kind(part) == "domain":
        return False
    table = identity(side.subject(part))
    return _linked(world, table, fate) and any(
        _same(world, fates, name, name.replace(f" {table}.", f" {parent}.", 1))
        for parent in side.parents(table)
    )


def parents_key(side: Side, name: str) -> str:
    """The parent's key that a partition's key is a part of, whatever it is called; "" for none."""
    text = side.objects[name]
    if not _is_key(text):
        return ""
    keys = [key for parent in side.parents(identity(side.subject(name))) for key in side.keys.get(parent, [])]
    return next((key for key in keys if side.objects[key] == text), "")


def _is_key(text: str) -> bool:
    return text.startswith(("PRIMARY KEY", "UNIQUE", "EXCLUDE"))


def _moves_with_its_table(world: World, fates: Mapping[str, Fate], name: str) -> bool:
    """Detaching makes the parent's foreign key a partition's own, and attaching merges the two."""
    gone = fates[name] is Fate.GONE
    side, attached = (world.before, world.after) if gone else (world.after, world.before)
    table = identity(side.subject(name))
    if fates.get(f"attachment of table {table}") is not (Fate.NEW if gone else Fate.GONE):
        return False
    text = side.objects[name]
    return any(attached.objects[k] == text for p in attached.parents(table) for k in attached.keys.get(p, []))


def _same(world: World, fates: Mapping[str, Fate], name: str, other: str) -> bool:
    """Whether the same becomes of the parent's part."""
    fate = fates[name]
    sides = [s for s in (world.before, world.after) if name in s.objects]
    alike = all(other in s.objects and s.objects[other] == s.objects[name] for s in sides)
    return alike and fates.get(other, fate) is fate


def _linked(world: World, table: str, fate: Fate) -> bool:
    """Whether a table is its parents' all the way, or is born so."""
    before, after = world.before, world.after
    if fate is Fate.NEW and f"table {table}" not in before.objects:
        return f"inheritance of table {table}" in after.objects
    return bool(before.parents(table)) and before.parents(table) == after.parents(table)
