"""Names as the catalogue spells them: their parts, and the table that an object hangs on.

Refuses to know what a name is for: who draws or writes SQL asks here how it is put together.
"""

from __future__ import annotations

import re
from typing import Any, Final

from faberdb.catalog.schema import kind_of
from faberdb.grammar.names import relation
from faberdb.grammar.parser import NotInGrammar, parse

NAME_PART: Final = re.compile(r'"(?:[^"]|"")*"|[^."]+')
# The catalogue's own words after what pg_get_constraintdef and pg_get_indexdef print.
_SUFFIX: Final = re.compile(
    r"( PARTITION OF \S+)?( TABLESPACE \S+)?( STATISTICS \([^)]*\))?( CLUSTER)?( INVALID)?$"
)


def name_parts(name: str) -> list[str]:
    """The parts of a dotted, quoted name, as they are."""
    return [p[1:-1].replace('""', '"') if p.startswith('"') else p for p in NAME_PART.findall(name)]


def split_name(name: str) -> tuple[str, str]:
    """`schema.table.part` as its table and the part, both still quoted."""
    parts = NAME_PART.findall(name)
    return ".".join(parts[:-1]), parts[-1]


def identity_of(name: str) -> str:
    """An object's name without its kind."""
    return name[len(kind_of(name)) + 1 :]


def table_of(name: str, definition: str) -> str:
    """The table that an object hangs on, "" for none that its name or definition tells."""
    kind = kind_of(name)
    identity = identity_of(name)
    if kind in {"table", "foreign table"}:
        return identity
    if kind in {"column", "constraint", "trigger", "rule", "policy"}:
        return split_name(identity)[0]
    if kind == "index":
        node = statement_of(definition)
        return relation(node.index_stmt.relation) if node is not None else ""
    if kind in {"comment on", "owner of", "grants on", "column order of"}:
        return table_of(identity, "") if kind_of(identity) != "index" else ""
    return ""


def statement_of(text: str) -> Any | None:
    """The parse tree of one statement, without what the catalogue adds to it; None where it is none."""
    for candidate in (text, _SUFFIX.sub("", text)):
        try:
            return parse(candidate).stmts[0].stmt
        except NotInGrammar:
            continue
    return None
