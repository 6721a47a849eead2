"""What lies between two schemas as marks on a picture, and the part of a picture that people have to see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from msgspec.structs import replace

from faberdb.catalog import Difference, Schema, differences, kind_of
from faberdb.catalog.names import name_parts, table_of
from faberdb.diagram.model import picture_of
from faberdb.diagram.parts import Column, Mark, Picture, Reference, Table
from faberdb.errors import Refused

_UNSEEN: Final = frozenset({"owner of", "grants on", "comment on", "sequence"})  # no part of a picture
_LARGE: Final = 12  # tables that people take in at once; of more, a change shows its neighbourhood


def compared(before: Schema, after: Schema) -> Picture:
    """Everything that either schema has, marked."""
    old, new = picture_of(before), picture_of(after)
    olds, news = {t.name: t for t in old.tables}, {t.name: t for t in new.tables}
    drawn = sorted(olds.keys() | news.keys())
    found = differences(before, after)
    carried, beside = _by_table(found, drawn)
    tables = [_compared_table(olds.get(name), news.get(name), carried) for name in drawn]
    return Picture(
        tables=tuple(tables),
        references=tuple(_compared_references(old, new, {d.object for d in found})),
        compared=True,
        beside=tuple(beside),
    )


def neighbourhood(picture: Picture, *, steps: int = 1) -> Picture:
    """The changed tables and those that one foreign key away refer to them or are referred to."""
    kept = {t.name for t in picture.tables if t.mark}
    for _ in range(steps):
        kept |= {n for r in picture.references for n in (r.child, r.parent) if kept & {r.child, r.parent}}
    return only(picture, kept)


def seen_at_once(picture: Picture) -> Picture:
    """A small picture whole; of a large one that is compared, the neighbourhood of the change."""
    if not picture.compared or len(picture.tables) <= _LARGE:
        return picture
    return neighbourhood(picture)


def only(picture: Picture, names: Collection[str]) -> Picture:
    """These tables, and the references among them."""
    return replace(
        picture,
        tables=tuple(t for t in picture.tables if t.name in names),
        references=tuple(r for r in picture.references if r.child in names and r.parent in names),
        left_out=picture.left_out + sum(t.name not in names for t in picture.tables),
    )


def chosen(picture: Picture, patterns: Iterable[str]) -> Picture:
    """The tables that any pattern names, with or without their schema; `*` and `?` stand for others.

    Raises:
        Refused: a pattern fits no table.
    """
    names: set[str] = set()
    labels = {t.label: t.name for t in picture.tables}
    for pattern in patterns:
        fitting = {
            t.name
            for t in picture.tables
            if fnmatchcase(t.label, pattern) or fnmatchcase(t.name, pattern) or _plain(t, pattern)
        }
        if not fitting:
            near = get_close_matches(pattern, labels, n=3, cutoff=0.5)
            raise Refused(
                f"No table is named {pattern!r}.",
                why=f"Near to it: {', '.join(near)}." if near else f"There are {len(labels)} tables.",
                next_step="correct --tables; names are case-sensitive, and * stands for any letters",
            )
        names |= fitting
    return only(picture, names)


def _plain(table: Table, pattern: str) -> bool:
    return fnmatchcase(f"public.{table.label}", pattern) or fnmatchcase(
        table.label.rsplit(".", 1)[-1], pattern
    )


def _compared_table(old: Table | None, new: Table | None, found: Mapping[str, Sequence[Difference]]) -> Table:
    if old is None:
        assert new is not None
        return replace(new, mark=Mark.ADDED)
    if new is None:
        return replace(old, mark=Mark.REMOVED)
    mine = found.get(new.name, ())
    altered = {name_parts(d.object)[-1] for d in mine if kind_of(d.object) == "column"}
    return replace(
        new,
        columns=_compared_columns(old.columns, new.columns, altered),
        notes=tuple(_notes(mine)),
        mark=Mark.CHANGED if mine or old.partitions != new.partitions else Mark.SAME,
    )


def _notes(found: Sequence[Difference]) -> Iterator[tuple[Mark, str]]:
    """What is said in a line below the columns."""
    for difference in found:
        kind = kind_of(difference.object)
        if kind in {"table", "foreign table"}:
            yield Mark.CHANGED, "its own settings"
        elif kind != "column" and not _drawn_as_wire(difference):
            yield Mark(difference.kind), f"{kind} {name_parts(difference.object[len(kind) + 1 :])[-1]}"


def _drawn_as_wire(difference: Difference) -> bool:
    """A reference that came or went; what one does on delete is said in words."""
    text = difference.after or difference.before or ""
    return text.startswith("FOREIGN KEY") and difference.kind != "changed"


def _compared_columns(
    old: tuple[Column, ...], new: tuple[Column, ...], altered: Collection[str]
) -> tuple[Column, ...]:
    before, now = {c.name: c for c in old}, {c.name for c in new}
    found = [_compared_column(before.get(c.name), c) if c.name in altered else c for c in new]
    return (*found, *(replace(c, mark=Mark.REMOVED) for c in old if c.name not in now))


def _compared_column(old: Column | None, new: Column) -> Column:
    if old is None:
        return replace(new, mark=Mark.ADDED)
    return replace(new, mark=Mark.CHANGED, was=type_text(old) if type_text(old) != type_text(new) else "")


def type_text(column: Column) -> str:
    """Its type, with `?` where it may be null."""
    return column.type + ("?" if column.nullable else "")


def _compared_references(old: Picture, new: Picture, altered: Collection[str]) -> Iterator[Reference]:
    olds, news = {r.name: r for r in old.references}, {r.name: r for r in new.references}
    for name in sorted(olds.keys() | news.keys()):
        if name not in news:
            yield replace(olds[name], mark=Mark.REMOVED)
        elif name not in olds:
            yield replace(news[name], mark=Mark.ADDED)
        else:
            yield replace(news[name], mark=Mark.CHANGED if name in altered else Mark.SAME)


def _by_table(
    found: Iterable[Difference], drawn: Collection[str]
) -> tuple[dict[str, list[Difference]], list[tuple[Mark, str]]]:
    """The differences that hang on a drawn table, and those that hang on none."""
    carried: dict[str, list[Difference]] = {}
    beside: list[tuple[Mark, str]] = []
    for difference in found:
        if kind_of(difference.object) in _UNSEEN:
            continue
        table = table_of(difference.object, difference.after or difference.before or "")
        if table in drawn:
            carried.setdefault(table, []).append(difference)
        elif not table:
            beside.append((Mark(difference.kind), difference.object))
    return carried, beside
