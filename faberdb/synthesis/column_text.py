"""A column's definition taken apart by PostgreSQL's own grammar."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from faberdb.grammar.parser import NotInGrammar, parse

_PREFIX: Final = "CREATE TABLE t (c "


class ColumnText(Struct, frozen=True, kw_only=True):
    """The parts of a definition such as `text COLLATE "C" NOT NULL DEFAULT 'x'::text`."""

    type: str  # with its collation
    required: bool
    default: str  # the expression, "" for none
    identity: str  # GENERATED ... AS IDENTITY, "" for none
    generated: str  # GENERATED ALWAYS AS (...) ..., "" for none

    @property
    def text(self) -> str:
        """The definition again."""
        default = f"DEFAULT {self.default}" if self.default else ""
        required = "NOT NULL" if self.required else ""
        return " ".join(p for p in (self.type, required, default, self.identity, self.generated) if p)

    @property
    def without_default(self) -> str:
        """The definition of the same column with no default."""
        return replace(self, default="").text


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
