"""Statements that define, change or drop objects: what they touch, how they hurt, which lock they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from faberdb.grammar.facts import Facts
from faberdb.grammar.locks import LOCK_OF_ALTER
from faberdb.grammar.names import dotted, name_of, object_type, relation, relation_of, strings, unique
from faberdb.grammar.parser import pb
from faberdb.lock_modes import merged, strongest
from faberdb.statements import ADD_ENUM_VALUE, Hazard

_PARTS: Final = {pb.OBJECT_COLUMN, pb.OBJECT_TABCONSTRAINT, pb.OBJECT_ATTRIBUTE, pb.OBJECT_DOMCONSTRAINT}
_ALTER_HAZARDS: Final[Mapping[str, Hazard]] = {
    "AT_DropColumn": Hazard.DROP_COLUMN,
    "AT_DropConstraint": Hazard.DROP_CONSTRAINT,
    "AT_AlterColumnType": Hazard.ALTER_COLUMN_TYPE,
}
_DROP_HAZARDS: Final[Mapping[str, Hazard]] = {
    "OBJECT_TABLE": Hazard.DROP_TABLE,
    "OBJECT_FOREIGN_TABLE": Hazard.DROP_TABLE,
    "OBJECT_SCHEMA": Hazard.DROP_SCHEMA,
}


def create_table(body: Any) -> Facts:
    """CREATE TABLE and CREATE FOREIGN TABLE."""
    foreign = "base_stmt" in body.DESCRIPTOR.fields_by_name
    table = body.base_stmt if foreign else body
    new = relation(table.relation)
    parents = [relation(p.range_var) for p in table.inh_relations]
    referenced = [relation(c.pktable) for c in _constraints(table) if c.HasField("pktable")]
    of_parents = "ACCESS EXCLUSIVE" if table.HasField("partbound") else "SHARE UPDATE EXCLUSIVE"
    needed = [(name, "SHARE ROW EXCLUSIVE") for name in referenced] + [(name, of_parents) for name in parents]
    return Facts(
        verb="CREATE FOREIGN TABLE" if foreign else "CREATE TABLE",
        objects=unique([new, *parents, *referenced]),
        locks=merged((name, mode) for name, mode in needed if name != new),
        adds_only=True,
        creates=(new,),
    )


def _constraints(table: Any) -> Iterator[Any]:
    for element in table.table_elts:
        if element.HasField("constraint"):
            yield element.constraint
        elif element.HasField("column_def"):
            yield from (c.constraint for c in element.column_def.constraints)


def create_index(body: Any) -> Facts:
    """CREATE INDEX."""
    return Facts(
        verb="CREATE INDEX CONCURRENTLY" if body.concurrent else "CREATE INDEX",
        objects=(relation(body.relation),),
        locks=((relation(body.relation), "SHARE UPDATE EXCLUSIVE" if body.concurrent else "SHARE"),),
        transactional=not body.concurrent,
        adds_only=True,
        creates=(dotted([body.relation.schemaname, body.idxname]),) if body.idxname else (),
    )


def alter_table(body: Any) -> Facts:
    """ALTER TABLE and its kin, with all their subcommands."""
    commands = [c.alter_table_cmd for c in body.cmds]
    names = [pb.AlterTableType.Name(c.subtype) for c in commands]
    partitions = [getattr(c, "def").partition_cmd for c in commands if _holds(c, "partition_cmd")]
    others = [relation(t) for c in commands for t in _referenced(c)] + [relation(p.name) for p in partitions]
    concurrently = any(p.concurrent for p in partitions)
    verb = f"ALTER {object_type(body.objtype)}"
    own = relation(body.relation)
    needed = [(own, strongest(_alter_lock(n, c) for n, c in zip(names, commands, strict=True)))]
    needed += [lock for n, c in zip(names, commands, strict=True) for lock in _other_locks(n, c)]
    return Facts(
        verb=f"{verb} DETACH PARTITION CONCURRENTLY" if concurrently else verb,
        objects=unique([own, *others]),
        hazards=unique(_ALTER_HAZARDS[n] for n in names if n in _ALTER_HAZARDS),
        locks=() if body.objtype == pb.OBJECT_TYPE else merged(needed),
        transactional=not concurrently,
        adds_only=set(names) <= {"AT_AddColumn", "AT_AddConstraint", "AT_AddIndexConstraint"},
    )


def _alter_lock(name: str, command: Any) -> str:
    foreign_key = _holds(command, "constraint") and getattr(command, "def").constraint.HasField("pktable")
    if name == "AT_AddConstraint" and foreign_key:
        return "SHARE ROW EXCLUSIVE"
    if name == "AT_DetachPartition" and getattr(command, "def").partition_cmd.concurrent:
        return "SHARE UPDATE EXCLUSIVE"
    return LOCK_OF_ALTER.get(name, "ACCESS EXCLUSIVE")


def _other_locks(name: str, command: Any) -> Iterator[tuple[str, str]]:
    """On the tables that one subcommand touches beside its own."""
    yield from ((relation(table), "SHARE ROW EXCLUSIVE") for table in _referenced(command))
    if _holds(command, "partition_cmd"):
        yield relation(getattr(command, "def").partition_cmd.name), "ACCESS EXCLUSIVE"
    elif name == "AT_AddInherit":
        yield relation(getattr(command, "def").range_var), "SHARE UPDATE EXCLUSIVE"


def _referenced(command: Any) -> Iterator[Any]:
    """The tables that foreign keys of one subcommand point to."""
    if _holds(command, "constraint"):
        constraints = [getattr(command, "def").constraint]
    elif _holds(command, "column_def"):
        constraints = [c.constraint for c in getattr(command, "def").column_def.constraints]
    else:
        return
    yield from (c.pktable for c in constraints if c.HasField("pktable"))


def _holds(command: Any, kind: str) -> bool:
    return bool(getattr(command, "def").WhichOneof("node") == kind)


def drop(body: Any) -> Facts:
    """DROP of anything that is not a database, a role or a tablespace."""
    what = pb.ObjectType.Name(body.remove_type)
    word = object_type(body.remove_type)
    on_table = what in {"OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"}
    objects = [name_of(o, leave_out_last=on_table) for o in body.objects]
    hazards = [_DROP_HAZARDS.get(what, Hazard.DROP_OBJECT)]
    cascades = body.behavior == pb.DROP_CASCADE
    if cascades and what in {"OBJECT_TYPE", "OBJECT_DOMAIN", "OBJECT_EXTENSION", "OBJECT_FUNCTION"}:
        hazards.append(Hazard.DROP_COLUMN)  # CASCADE takes the columns that use it
    locks = on_table or word.endswith(("TABLE", "VIEW", "INDEX", "SEQUENCE"))
    needed = "SHARE UPDATE EXCLUSIVE" if body.concurrent else "ACCESS EXCLUSIVE"
    named = unique(o for o in objects if o)
    return Facts(
        verb=f"DROP {word} CONCURRENTLY" if body.concurrent else f"DROP {word}",
        objects=named,
        hazards=tuple(hazards),
        locks=tuple((name, needed) for name in named) if locks else (),
        transactional=not body.concurrent,
    )


def rename(body: Any) -> Facts:
    """ALTER ... RENAME of an object or a part of one."""
    kind = body.relation_type if body.rename_type in _PARTS else body.rename_type
    index = kind == pb.OBJECT_INDEX
    relation = relation_of(body)
    return Facts(
        verb=f"ALTER {object_type(kind)}",
        objects=relation or unique([name_of(body.object)]),
        hazards=(Hazard.RENAME,),
        locks=tuple((name, "SHARE UPDATE EXCLUSIVE" if index else "ACCESS EXCLUSIVE") for name in relation),
    )


def alter_object(body: Any, *hazards: Hazard) -> Facts:
    """ALTER ... OWNER TO and ALTER ... SET SCHEMA."""
    relation = relation_of(body)
    return Facts(
        verb=f"ALTER {object_type(body.object_type)}",
        objects=relation or unique([name_of(body.object)]),
        hazards=hazards,
        locks=tuple((name, "ACCESS EXCLUSIVE") for name in relation),
    )


def alter_enum(body: Any) -> Facts:
    """ALTER TYPE ... ADD VALUE or RENAME VALUE."""
    renames = bool(body.old_val)
    return Facts(
        verb="ALTER TYPE" if renames else ADD_ENUM_VALUE,
        objects=(dotted(strings(body.type_name)),),
        hazards=(Hazard.RENAME,) if renames else (),
        adds_only=not renames,
    )


def alter_domain(body: Any) -> Facts:
    """ALTER DOMAIN."""
    return Facts(
        verb="ALTER DOMAIN",
        objects=(dotted(strings(body.type_name)),),
        hazards=(Hazard.DROP_CONSTRAINT,) if body.subtype == "X" else (),
    )


def create_routine(body: Any) -> Facts:
    """CREATE FUNCTION and CREATE PROCEDURE."""
    return Facts(
        verb="CREATE PROCEDURE" if body.is_procedure else "CREATE FUNCTION",
        objects=(dotted(strings(body.funcname)),),
        adds_only=not body.replace,
    )


def define(body: Any) -> Facts:
    """CREATE AGGREGATE, OPERATOR, TYPE, COLLATION, ..."""
    return Facts(
        verb=f"CREATE {object_type(body.kind)}",
        objects=(dotted(strings(body.defnames)),),
        adds_only=not body.replace,
    )


def comment(body: Any) -> Facts:
    """COMMENT ON."""
    part = body.objtype in {*_PARTS, pb.OBJECT_TRIGGER, pb.OBJECT_POLICY, pb.OBJECT_RULE}
    name = name_of(body.object, leave_out_last=part)
    relation = part or body.objtype in {pb.OBJECT_TABLE, pb.OBJECT_VIEW, pb.OBJECT_MATVIEW, pb.OBJECT_INDEX}
    return Facts(
        verb="COMMENT",
        objects=(name,) if name else (),
        locks=((name, "SHARE UPDATE EXCLUSIVE"),) if relation and name else (),
        adds_only=True,
    )


def refresh(body: Any) -> Facts:
    """REFRESH MATERIALIZED VIEW."""
    return Facts(
        verb="REFRESH MATERIALIZED VIEW" + (" CONCURRENTLY" if body.concurrent else ""),
        objects=(relation(body.relation),),
        locks=((relation(body.relation), "EXCLUSIVE" if body.concurrent else "ACCESS EXCLUSIVE"),),
    )
