"""Statements that block an application while they work, each taken apart into ones that do not.

Works on PostgreSQL's own parse tree. Knows nothing of files and databases: whether a form leads to the same
schema is proven elsewhere.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from faberdb.grammar.names import dotted, relation
from faberdb.grammar.parser import parse, pb, written

_NAME_BYTES: Final = 63


class Form(Struct, frozen=True, kw_only=True):
    """What takes one statement's place."""

    quick: tuple[str, ...] = ()  # together with their neighbours in a transaction
    alone: tuple[str, ...] = ()  # after the quick ones; each refused inside a transaction
    then: tuple[str, ...] = ()  # after those; quick again
    validate: tuple[str, ...] = ()  # when all else is done: they read whole tables and block nobody
    finish: tuple[str, ...] = ()  # after the validation
    why: tuple[str, ...] = ()  # what the statement as it is does to an application


def safer_form(text: str) -> Form | None:
    """The form of one statement on relations that exist already; None where there is none to offer."""
    (item,) = parse(text).stmts
    kind = item.stmt.WhichOneof("node")
    if kind == "index_stmt":
        return _index(item.stmt)
    if kind == "alter_table_stmt" and item.stmt.alter_table_stmt.objtype == pb.OBJECT_TABLE:
        return _alter_table(item.stmt)
    return None


def _index(node: Any) -> Form | None:
    build = node.index_stmt
    if build.concurrent or not build.idxname:
        return None
    safer = copy.deepcopy(node)
    safer.index_stmt.concurrent = True
    return Form(
        alone=(_sql(safer),),
        why=(
            f"CREATE INDEX {build.idxname} makes all writes to {relation(build.relation)} wait while it builds",
        ),
    )


def _alter_table(node: Any) -> Form | None:
    forms = [_command(node.alter_table_stmt, command) for command in node.alter_table_stmt.cmds]
    if all(form is None for form in forms):
        return None
    kept = copy.deepcopy(node)
    del kept.alter_table_stmt.cmds[:]
    for command, form in zip(node.alter_table_stmt.cmds, forms, strict=True):
        if form is None:
            kept.alter_table_stmt.cmds.add().CopyFrom(command)
    found = [form for form in forms if form is not None]
    return Form(
        quick=((_sql(kept),) if kept.alter_table_stmt.cmds else ()) + _all(f.quick for f in found),
        alone=_all(f.alone for f in found),
        then=_all(f.then for f in found),
        validate=_all(f.validate for f in found),
        finish=_all(f.finish for f in found),
        why=_all(f.why for f in found),
    )


def _all(parts: Iterator[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(text for part in parts for text in part)


def _command(table: Any, item: Any) -> Form | None:
    command = item.alter_table_cmd
    name = pb.AlterTableType.Name(command.subtype)
    if name == "AT_SetNotNull":
        return _not_null(table, command)
    if name == "AT_AddConstraint" and getattr(command, "def").constraint.conname:
        constraint = getattr(command, "def").constraint
        kind = pb.ConstrType.Name(constraint.contype)
        if kind in {"CONSTR_FOREIGN", "CONSTR_CHECK"}:
            return _validated(table, item)
        if kind in {"CONSTR_UNIQUE", "CONSTR_PRIMARY"} and not constraint.indexname:
            return _keyed(table, constraint, kind)
    return None


def _validated(table: Any, item: Any) -> Form | None:
    constraint = getattr(item.alter_table_cmd, "def").constraint
    if constraint.skip_validation or not constraint.is_enforced:
        return None
    foreign = constraint.HasField("pktable")
    both = f" and {relation(constraint.pktable)}" if foreign else ""
    waits = "writes" if foreign else "reads and writes"
    return Form(
        quick=(_alter(table, _unvalidated(item)),),
        validate=(
            f"ALTER TABLE {relation(table.relation)} VALIDATE CONSTRAINT {dotted([constraint.conname])}",
        ),
        why=(
            f"{constraint.conname} makes {waits} of {relation(table.relation)}{both} wait while all rows are checked",
        ),
    )


def _unvalidated(item: Any) -> Any:
    safer = copy.deepcopy(item)
    constraint = getattr(safer.alter_table_cmd, "def").constraint
    constraint.skip_validation = True
    constraint.initially_valid = False
    return safer


def _keyed(table: Any, constraint: Any, kind: str) -> Form:
    """A unique or primary key through an index of its name, which becomes the key's."""
    where, name = relation(table.relation), dotted([constraint.conname])
    word = "UNIQUE" if kind == "CONSTR_UNIQUE" else "PRIMARY KEY"
    columns, included = _columns(constraint.keys), _columns(constraint.including)
    build = f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {where} ({columns})"
    build += f" INCLUDE ({included})" if included else ""
    build += " NULLS NOT DISTINCT" if constraint.nulls_not_distinct else ""
    use = f"ALTER TABLE {where} ADD CONSTRAINT {name} {word} USING INDEX {name}"
    use += " DEFERRABLE" if constraint.deferrable else ""
    use += " INITIALLY DEFERRED" if constraint.initdeferred else ""
    return Form(
        alone=(build,),
        then=(use,),
        why=(f"{constraint.conname} makes reads and writes of {where} wait while its index builds",),
    )


def _columns(nodes: Any) -> str:
    return ", ".join(dotted([node.string.sval]) for node in nodes)


def _not_null(table: Any, command: Any) -> Form:
    where, column = relation(table.relation), dotted([command.name])
    tail = "_filled"
    head = f"{table.relation.relname}_{command.name}".encode()[: _NAME_BYTES - len(tail)].decode(
        errors="ignore"
    )
    check = dotted([head + tail])
    return Form(
        quick=(f"ALTER TABLE {where} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID",),
        validate=(f"ALTER TABLE {where} VALIDATE CONSTRAINT {check}",),
        finish=(
            f"ALTER TABLE {where} ALTER COLUMN {column} SET NOT NULL",
            f"ALTER TABLE {where} DROP CONSTRAINT {check}",
        ),
        why=(f"SET NOT NULL makes reads and writes of {where} wait while all rows are checked",),
    )


def _alter(table: Any, item: Any) -> str:
    node = pb.Node()
    node.alter_table_stmt.CopyFrom(table)
    del node.alter_table_stmt.cmds[:]
    node.alter_table_stmt.cmds.add().CopyFrom(item)
    return _sql(node)


def _sql(node: Any) -> str:
    result = pb.ParseResult()
    result.stmts.add().stmt.CopyFrom(node)
    return written(result)
