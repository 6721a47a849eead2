"""Reading tables, columns and references from a recorded schema.

The only module that knows how the catalogue spells a column or a constraint. Constraints and indexes are
read with PostgreSQL's own grammar. Positions of columns are not in a schema: keys come first, then the
others by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from faberdb.catalog import Schema, kind_of
from faberdb.catalog.names import name_parts, statement_of, table_of
from faberdb.diagram.parts import Column, Picture, Reference, Table
from faberdb.grammar.names import relation, strings
from faberdb.grammar.parser import pb

_AFTER_TYPE: Final = (
    "COLLATE|NOT NULL|NOT VALID|NO INHERIT|GENERATED|DEFAULT|STORAGE|COMPRESSION|STATISTICS"
    "|WITH|OPTIONS|INHERITED"
)
_COLUMN: Final = re.compile(
    rf'(?P<type>(?:"(?:[^"]|"")*"|(?! (?:{_AFTER_TYPE})\b).)+)'
    r'(?: COLLATE (?:"(?:[^"]|"")*"|[^ "])+)?(?P<required> NOT NULL)?',
    re.DOTALL,
)
_PARTITION: Final = re.compile(r'TABLE PARTITION OF (?P<parent>(?:"(?:[^"]|"")*"|[^ "])+)')
_SHORT: Final = (
    ("timestamp without time zone", "timestamp"),
    ("timestamp with time zone", "timestamptz"),
    (" without time zone", ""),
    ("character varying", "varchar"),
    ("character(", "char("),
    ("double precision", "float8"),
)
_ZONED: Final = re.compile(r"^(timestamp|time)(\(\d\)) with time zone")


def picture_of(schema: Schema) -> Picture:
    """The tables of a schema and what refers to what."""
    found = _Found(schema.objects)
    tables = [
        Table(name=name, columns=tuple(found.columns(name)), partitions=found.partitions.get(name, 0))
        for name in found.tables
    ]
    return Picture(tables=tuple(tables), references=tuple(found.references()))


class _Found:
    """What the objects say, sorted by table."""

    def __init__(self, objects: Mapping[str, str]) -> None:
        self.partitions: dict[str, int] = {}
        self.tables: list[str] = []
        for name, text in objects.items():
            kind = kind_of(name)
            if kind in {"table", "foreign table"}:
                parent = _PARTITION.match(text.removeprefix("UNLOGGED "))
                if parent is None:
                    self.tables.append(name[len(kind) + 1 :])
                else:
                    above = parent["parent"]
                    self.partitions[above] = self.partitions.get(above, 0) + 1
        known = set(self.tables)
        self._columns: dict[str, list[tuple[str, str]]] = {t: [] for t in self.tables}
        self._keys: dict[str, list[tuple[str, ...]]] = {}  # primary first, then everything unique
        self._primary: dict[str, tuple[str, ...]] = {}
        self._foreign: list[tuple[str, str, Any]] = []
        for name, text in objects.items():
            kind = kind_of(name)
            table = table_of(name, text) if kind in {"column", "constraint"} else ""
            if kind == "column" and table in known:
                self._columns[table].append((name_parts(name)[-1], text))
            elif kind == "constraint" and table in known:
                self._constraint(name, table, text)
            elif kind == "index" and text.startswith("CREATE UNIQUE INDEX"):
                self._unique_index(text)

    def columns(self, table: str) -> Iterator[Column]:
        """Keys first, in the key's order."""
        primary = self._primary.get(table, ())
        foreign = {c for _, t, node in self._foreign if t == table for c in strings(node.fk_attrs)}
        found = [
            Column(
                name=name,
                type=_type(text),
                nullable=not _required(text),
                primary=name in primary,
                foreign=name in foreign,
            )
            for name, text in self._columns[table]
        ]

        def place(column: Column) -> tuple[int, int, str]:
            if column.primary:
                return 0, primary.index(column.name), column.name
            return (1 if column.foreign else 2), 0, column.name

        yield from sorted(found, key=place)

    def references(self) -> Iterator[Reference]:
        known = set(self.tables)
        for name, child, node in self._foreign:
            parent = relation(node.pktable)
            if parent not in known:
                continue
            columns = tuple(strings(node.fk_attrs))
            keys = [set(k) for k in self._keys.get(child, [])]
            texts = dict(self._columns[child])
            yield Reference(
                name=name,
                child=child,
                columns=columns,
                parent=parent,
                parent_columns=tuple(strings(node.pk_attrs)) or self._primary.get(parent, ()),
                single=any(k <= set(columns) for k in keys),
                optional=any(not _required(texts[c]) for c in columns if c in texts),
            )

    def _constraint(self, name: str, table: str, text: str) -> None:
        if not text.startswith(("PRIMARY KEY", "UNIQUE", "FOREIGN KEY")):
            return
        node = statement_of(f"ALTER TABLE x ADD {text}")
        if node is None:
            return
        constraint = _constraint(node)
        if constraint.contype == pb.CONSTR_FOREIGN:
            self._foreign.append((name, table, constraint))
            return
        key = tuple(strings(constraint.keys))
        self._keys.setdefault(table, []).append(key)
        if constraint.contype == pb.CONSTR_PRIMARY:
            self._primary[table] = key

    def _unique_index(self, text: str) -> None:
        node = statement_of(text)
        if node is None or node.index_stmt.HasField("where_clause"):
            return
        names = [p.index_elem.name for p in node.index_stmt.index_params]
        if all(names):
            self._keys.setdefault(relation(node.index_stmt.relation), []).append(tuple(names))


def _constraint(node: Any) -> Any:
    # The grammar's field is named `def`, which Python has no syntax for.
    return getattr(node.alter_table_stmt.cmds[0].alter_table_cmd, "def").constraint


def _required(text: str) -> bool:
    found = _COLUMN.match(text)
    return bool(found and found["required"])


def _type(text: str) -> str:
    """Shorter than the standard's spelling, and without the schema and quotes of an own type."""
    found = _COLUMN.match(text)
    spelled = found["type"] if found else text
    spelled = _ZONED.sub(r"\1tz\2", spelled)
    for long, short in _SHORT:
        spelled = spelled.replace(long, short)
    bare, _, array = spelled.partition("[")
    if '"' in bare or "." in bare:
        bare = name_parts(bare)[-1]
    return f"{bare}[{array}" if array else bare
