"""A column's definition taken apart by PostgreSQL's own grammar, and the ALTER TABLE that changes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from faberdb.grammar.parser import NotInGrammar, parse

_PREFIX = "CREATE TABLE t (c "


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnText:
    """The parts of a definition such as `text COLLATE "C" NOT NULL DEFAULT 'x'::text`."""

    type: str  # with its collation
    required: bool
    default: str  # the expression, "" for none
    identity: str  # GENERATED ... AS IDENTITY, "" for none
    generated: str  # GENERATED ALWAYS AS (...) ..., "" for none


def column_text(definition: str) -> ColumnText | None:
    """The parts, or None where the definition says more than these."""
    raw = definition.encode()
    try:
        (statement,) = parse(f"{_PREFIX}{definition})").stmts
        (element,) = statement.stmt.create_stmt.table_elts
    except (NotInGrammar, ValueError):
        return None
    column = element.column_def
    if column.storage_name or column.compression or column.fdwoptions:
        return None
    starts = [c.constraint.location - len(_PREFIX) for c in column.constraints]
    ends = [*starts[1:], len(raw)] if starts else []
    found = {"type": raw[: starts[0] if starts else None].decode().strip()}
    for start, end in zip(starts, ends, strict=True):
        text = raw[start:end].decode().strip()
        part = _part(text)
        if not part or part in found:
            return None
        found[part] = text
    return ColumnText(
        type=found["type"],
        required="required" in found,
        default=found.get("default", "").removeprefix("DEFAULT "),
        identity=found.get("identity", ""),
        generated=found.get("generated", ""),
    )


def _part(text: str) -> str:
    if text == "NOT NULL":
        return "required"
    if text.startswith("DEFAULT "):
        return "default"
    if text.startswith("GENERATED "):
        return "identity" if text.endswith(" AS IDENTITY") else "generated"
    return ""


def altered(table: str, column: str, before: str, after: str) -> tuple[str, ...] | None:
    """The statements that change a column from one definition to the other; None where that is not known."""
    old, new = column_text(before), column_text(after)
    if old is None or new is None or old.generated != new.generated:
        return None
    return tuple(
        f"ALTER TABLE {table} ALTER COLUMN {column} {change}" for change in _changes(old, new, column)
    )


def _changes(old: ColumnText, new: ColumnText, column: str) -> Iterator[str]:
    retyped = old.type != new.type
    if old.identity and not new.identity:
        yield "DROP IDENTITY"
    if old.default and (retyped or not new.default):
        yield "DROP DEFAULT"  # what a default is cast to by itself may not be what is meant
    if retyped:
        yield f"TYPE {new.type} USING {column}::{new.type.split(' COLLATE ')[0]}"
    if new.default and (retyped or old.default != new.default):
        yield f"SET DEFAULT {new.default}"
    if new.required != old.required:
        yield "SET NOT NULL" if new.required else "DROP NOT NULL"
    if new.identity and not old.identity:
        yield f"ADD {new.identity}"
    elif new.identity != old.identity and new.identity:
        yield f"SET {new.identity.removesuffix(' AS IDENTITY')}"
