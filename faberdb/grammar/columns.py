"""A column's definition, as CREATE TABLE and ALTER TABLE ADD COLUMN have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from faberdb.grammar.names import dotted, relation, strings
from faberdb.grammar.parser import pb
from faberdb.grammar.volatility import volatile
from faberdb.statements import Certainty

SERIALS: Final = frozenset(
    {"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"}
)  # words of the parser, not types


class Column(Struct, frozen=True, kw_only=True):
    """What its definition says."""

    name: str  # quoted where needed
    type: str  # PostgreSQL's own name for it, such as "int4" or "bpchar"; quoted and qualified where it is a user's
    modifiers: tuple[int, ...]  # such as the length in varchar(20)
    is_array: bool
    default: Certainty | None  # whether its default is volatile; None without one
    not_null: bool
    unique: bool
    primary: bool
    stored: bool  # GENERATED ALWAYS AS (...) STORED
    identity: bool
    checked: bool
    references: tuple[str, ...]

    @property
    def serial(self) -> bool:
        """Whether it is of one of the serial types, which make a sequence and a default."""
        return self.type in SERIALS

    @property
    def rewrites(self) -> Certainty:
        """Whether adding it writes every row of its table anew."""
        if self.serial or self.identity or self.stored:
            return Certainty.YES
        own_type = self.default is None and ("." in self.type or not _known(self.type))
        return Certainty.DEPENDS if own_type else self.default or Certainty.NO


def column_of(definition: Any) -> Column:
    """Read a `ColumnDef` of the grammar."""
    constraints = [c.constraint for c in definition.constraints]
    kinds = {pb.ConstrType.Name(c.contype) for c in constraints}
    defaults = [c.raw_expr for c in constraints if c.contype == pb.CONSTR_DEFAULT]
    generated = [c for c in constraints if c.contype == pb.CONSTR_GENERATED]
    return Column(
        name=dotted([definition.colname]),
        type=type_of(definition.type_name),
        modifiers=modifiers_of(definition.type_name),
        is_array=bool(definition.type_name.array_bounds),
        default=volatile(defaults[0]) if defaults else None,
        not_null="CONSTR_NOTNULL" in kinds,
        unique="CONSTR_UNIQUE" in kinds,
        primary="CONSTR_PRIMARY" in kinds,
        stored=any(getattr(c, "generated_kind", "s") != "v" for c in generated),
        identity="CONSTR_IDENTITY" in kinds,
        checked="CONSTR_CHECK" in kinds,
        references=tuple(relation(c.pktable) for c in constraints if c.HasField("pktable")),
    )


def columns_of_table(create: Any) -> Iterator[Column]:
    """The columns of a `CreateStmt`."""
    yield from (column_of(e.column_def) for e in create.table_elts if e.HasField("column_def"))


def type_of(type_name: Any) -> str:
    """A type's name; PostgreSQL's own without its schema."""
    names = strings(type_name.names)
    return names[-1] if names[:-1] in ([], ["pg_catalog"]) else dotted(names)


def modifiers_of(type_name: Any) -> tuple[int, ...]:
    """The numbers in brackets behind a type."""
    return tuple(m.a_const.ival.ival for m in type_name.typmods if m.HasField("a_const"))


_KNOWN: Final = frozenset(
    {
        "bool",
        "bit",
        "bpchar",
        "bytea",
        "char",
        "cidr",
        "citext",
        "date",
        "daterange",
        "float4",
        "float8",
        "hstore",
        "inet",
        "int2",
        "int4",
        "int4range",
        "int8",
        "int8range",
        "interval",
        "json",
        "jsonb",
        "macaddr",
        "money",
        "name",
        "numeric",
        "numrange",
        "oid",
        "point",
        "text",
        "time",
        "timestamp",
        "timestamptz",
        "timetz",
        "tsquery",
        "tsrange",
        "tstzrange",
        "tsvector",
        "uuid",
        "varbit",
        "varchar",
        "vector",
        "xml",
    }
)


def _known(name: str) -> bool:
    return name in _KNOWN or name in SERIALS
