"""Names in the many shapes that the grammar gives them, as text that can be read back as SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeVar

from faberdb.grammar.parser import is_keyword, pb

T = TypeVar("T")
_PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_$]*")
_NAME_FIELDS: Final = {"list": "items", "object_with_args": "objname", "type_name": "names"}
_OBJECT_WORDS: Final = {
    "MATVIEW": "MATERIALIZED VIEW",
    "FDW": "FOREIGN DATA WRAPPER",
    "FOREIGN_SERVER": "SERVER",
    "STATISTIC_EXT": "STATISTICS",
    "TSCONFIGURATION": "TEXT SEARCH CONFIGURATION",
    "TSDICTIONARY": "TEXT SEARCH DICTIONARY",
    "TSPARSER": "TEXT SEARCH PARSER",
    "TSTEMPLATE": "TEXT SEARCH TEMPLATE",
    "OPCLASS": "OPERATOR CLASS",
    "OPFAMILY": "OPERATOR FAMILY",
}


def relation(range_var: Any) -> str:
    """A table's, view's or index's name as written."""
    return dotted([range_var.schemaname, range_var.relname])


def relation_of(body: Any) -> tuple[str, ...]:
    """The one relation that most statements have in a field of its own."""
    for field in ("relation", "table", "view", "sequence"):
        if field in body.DESCRIPTOR.fields_by_name and body.HasField(field):
            return (relation(getattr(body, field)),)
    return ()


def name_of(node: Any, *, leave_out_last: bool = False) -> str:
    """The dotted name in any of the shapes that the grammar gives an object's name."""
    kind = node.WhichOneof("node")
    if kind == "range_var":
        return relation(node.range_var)
    if kind == "string":
        return dotted([node.string.sval])
    if kind not in _NAME_FIELDS:
        return ""
    parts = strings(getattr(getattr(node, kind), _NAME_FIELDS[kind]))
    return dotted(parts[:-1] if leave_out_last else parts)


def strings(nodes: Iterable[Any]) -> list[str]:
    """The texts among a list of nodes."""
    return [n.string.sval for n in nodes if n.WhichOneof("node") == "string"]


def dotted(names: Iterable[str]) -> str:
    """The parts of a name, quoted where needed; empty parts are left out."""
    return ".".join(_quoted(n) for n in names if n)


@lru_cache(maxsize=4096)
def _quoted(name: str) -> str:
    plain = _PLAIN_NAME.fullmatch(name) and not is_keyword(name)
    return name if plain else '"' + name.replace('"', '""') + '"'


def object_type(value: int) -> str:
    """An `ObjectType` of the grammar as SQL spells it."""
    name = str(pb.ObjectType.Name(value)).removeprefix("OBJECT_")
    return _OBJECT_WORDS.get(name, name.replace("_", " "))


def unique(items: Iterable[T]) -> tuple[T, ...]:
    """In order, each once."""
    return tuple(dict.fromkeys(items))
