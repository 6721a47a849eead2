"""A picture as Mermaid's `erDiagram`, for pages that draw it: GitHub, GitLab, Prefect's second UI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from faberdb.diagram.parts import Column, Mark, Picture, Reference, Table
from faberdb.diagram.rows import sheet_of

_NO_WORD: Final = re.compile(r"[^A-Za-z0-9_]")
_STYLES: Final = {
    Mark.ADDED: "fill:#d6f2e1,stroke:#1a7f4b,color:#11613a",
    Mark.REMOVED: "fill:#fadcd9,stroke:#c0362c,color:#9b241b",
    Mark.CHANGED: "fill:#fdebc8,stroke:#b26a00,color:#7d4a00",
}


def diagram_mermaid(picture: Picture, *, columns: int = 24) -> str:
    """The picture's text; a line for each table, column and reference.

    Args:
        picture: what is in it.
        columns: at most so many in a table. Keys in use and changes are always there.
    """
    names = {t.name: f"t{n}" for n, t in enumerate(picture.tables)}
    lines = ["erDiagram"]
    for table in picture.tables:
        lines += _table(table, picture, names[table.name], columns)
    lines += [_reference(r, names) for r in picture.references]
    if picture.compared:
        lines += [f"    classDef {mark.value} {style}" for mark, style in _STYLES.items()]
        lines += [f"    class {names[t.name]} {t.mark.value}" for t in picture.tables if t.mark]
    return "\n".join(lines) + "\n"


def _table(table: Table, picture: Picture, name: str, limit: int) -> Iterator[str]:
    sheet = sheet_of(table, picture, limit)
    columns = {c.name: c for c in table.columns}
    yield f'    {name}["{_quoted(table.label)}"] {{'
    yield from (f"        {_column(columns[r.column])}" for r in sheet.rows if r.column)
    yield "    }"


def _column(column: Column) -> str:
    keys = [key for key, has in (("PK", column.primary), ("FK", column.foreign)) if has]
    words = ["null"] if column.nullable else []
    if column.mark:
        words.append(f"{column.mark.value}: {column.was} before" if column.was else column.mark.value)
    type_ = _word(column.type) + ("[]" if column.type.endswith("[]") else "")
    parts = [type_, _word(column.name), ", ".join(keys)]
    parts.append(f'"{_quoted("; ".join(words))}"' if words else "")
    return " ".join(p for p in parts if p)


def _reference(reference: Reference, names: dict[str, str]) -> str:
    parent = "|o" if reference.optional else "||"
    child = "o|" if reference.single else "o{"
    words = ", ".join(reference.columns) + (f" ({reference.mark.value})" if reference.mark else "")
    line = f"{names[reference.parent]} {parent}--{child} {names[reference.child]}"
    return f'    {line} : "{_quoted(words)}"'


def _word(text: str) -> str:
    """As Mermaid takes a type or an attribute: letters, digits and `_`, a letter first."""
    word = _NO_WORD.sub("_", text).strip("_") or "_"
    return word if word[0].isalpha() else f"c_{word}"


def _quoted(text: str) -> str:
    return " ".join(text.replace('"', "'").split())
