"""What is written in a table's box: which columns, how long they may be, and how large the box gets.

Sizes are of a monospaced face at 11 pixels, whose letters are at most 6.7 wide.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec import Struct

from faberdb.diagram.change import type_text
from faberdb.diagram.parts import Column, Mark, Picture, Table

HEAD: Final = 26.0
ROW: Final = 18.0
FOOT: Final = 6.0
LETTER: Final = 6.7
TAG: Final = 30.0  # the room for PK and FK
_NAME, _TYPE, _TITLE = 30, 34, 40  # letters
_NOTES: Final = 4


class Row(Struct, frozen=True, kw_only=True):
    """One line of a box."""

    text: str
    detail: str = ""  # at the right, in a lighter tone
    tag: str = ""
    mark: Mark = Mark.SAME
    column: str = ""  # whose line it is, "" for a line about others


class Sheet(Struct, frozen=True, kw_only=True):
    """A box with its lines."""

    table: Table
    title: str
    rows: tuple[Row, ...]

    @property
    def width(self) -> float:
        """In pixels, wide enough for every line."""
        lines = [TAG + (len(r.text) + 3 + len(r.detail)) * LETTER + 8 for r in self.rows]
        return round(max([len(self.title) * 7.4 + 26, 120.0, *lines]), 1)

    @property
    def height(self) -> float:
        """In pixels."""
        return HEAD + ROW * len(self.rows) + FOOT

    def port(self, column: str) -> float:
        """How far below the top a column's wires end; the title's middle for one that is not shown."""
        for n, row in enumerate(self.rows):
            if row.column == column:
                return HEAD + ROW * n + ROW / 2 + 2
        return HEAD / 2


def sheet_of(table: Table, picture: Picture, limit: int) -> Sheet:
    """A table's box with at most so many columns; keys in use and what changed are always shown."""
    wired = {c for r in picture.references if r.child == table.name for c in r.columns}
    wired |= {c for r in picture.references if r.parent == table.name for c in r.parent_columns}
    if picture.compared and not table.mark:
        limit = min(limit, 1)  # a neighbour says where the change stands; the change is read
    shown = _shown(table.columns, wired, limit)
    rows = [_row(c, table) for c in table.columns if c.name in shown]
    hidden = len(table.columns) - len(rows)
    if hidden:
        rows.append(Row(text=f"… {hidden} {'more ' if rows else ''}column{'s' if hidden > 1 else ''}"))
    if table.partitions:
        rows.append(Row(text=f"in {table.partitions} partition{'s' if table.partitions > 1 else ''}"))
    rows += [Row(text=_cut(text, _NAME + 12), mark=mark) for mark, text in table.notes[:_NOTES]]
    if len(table.notes) > _NOTES:
        rows.append(Row(text=f"… {len(table.notes) - _NOTES} more changes"))
    return Sheet(table=table, title=_cut(table.label, _TITLE), rows=tuple(rows))


def _shown(columns: tuple[Column, ...], wired: Collection[str], limit: int) -> set[str]:
    shown = {c.name for c in columns if c.mark or c.name in wired}
    for column in columns:
        if len(shown) >= limit:
            break
        shown.add(column.name)
    if len(columns) - len(shown) == 1:  # the line that says "1 more" is no shorter than the column
        shown = {c.name for c in columns}
    return shown


def _row(column: Column, table: Table) -> Row:
    detail = type_text(column)
    mark = column.mark
    if mark is Mark.CHANGED:
        detail = f"{column.was} → {detail}" if column.was else f"{detail}, default"
    if table.mark in {Mark.ADDED, Mark.REMOVED}:
        mark = Mark.SAME  # the title says it for all
    tag = "PK" if column.primary else "FK" if column.foreign else ""
    return Row(
        text=_cut(column.name, _NAME), detail=_cut(detail, _TYPE), tag=tag, mark=mark, column=column.name
    )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
