"""From a parse tree's node to its facts, and the statements that hold other statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from faberdb.grammar import definitions, session
from faberdb.grammar.facts import Facts
from faberdb.grammar.locks import LOCK_OF_STATEMENT
from faberdb.grammar.names import dotted, object_type, relation, relation_of, strings, unique
from faberdb.grammar.parser import pb
from faberdb.lock_modes import merged
from faberdb.statements import Hazard


def facts_of(node: Any) -> Facts:
    """Read a statement's parse tree (a `Node` of the grammar)."""
    kind = node.WhichOneof("node")
    body = getattr(node, kind)
    reader = _READERS.get(kind)
    return reader(body) if reader else _by_name(kind, body)


def _by_name(kind: str, body: Any) -> Facts:
    """A statement whose parse node's name says enough, such as `create_policy_stmt`."""
    verb = _VERBS.get(kind) or kind.removesuffix("_stmt").replace("_", " ").upper()
    replaces = getattr(body, "replace", False)
    adds = verb.startswith("CREATE") and not replaces
    objects = relation_of(body) or _own_name(kind, body)
    return Facts(
        verb=verb,
        objects=objects,
        locks=() if kind == "view_stmt" and not replaces else _documented(kind, relation_of(body)),
        transactional=kind not in _OUTSIDE_TRANSACTIONS,
        adds_only=adds,
        creates=objects if adds and kind in {"view_stmt", "create_seq_stmt"} else (),
    )


def _documented(kind: str, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    mode = LOCK_OF_STATEMENT.get(kind)
    return tuple((name, mode) for name in names or ("",)) if mode else ()


def _own_name(kind: str, body: Any) -> tuple[str, ...]:
    field = _NAME_FIELDS.get(kind)
    if field is None:
        return ()
    value = getattr(body, field)
    if field == "typevar":
        return (relation(value),)
    return (dotted([value] if isinstance(value, str) else strings(value)),)


def _write(kind: str, body: Any, own: Iterable[Hazard]) -> Facts:
    """INSERT, UPDATE, DELETE, MERGE or SELECT, with the writes inside its WITH."""
    inner = [facts_of(cte.common_table_expr.ctequery) for cte in body.with_clause.ctes]
    if kind == "insert_stmt" and body.HasField("select_stmt"):
        inner.append(facts_of(body.select_stmt))
    found = Facts(
        verb=kind.removesuffix("_stmt").upper(),
        objects=relation_of(body),
        hazards=tuple(own),
        locks=_documented(kind, relation_of(body)),
    )
    return replace(
        found,
        objects=unique([*found.objects, *(o for f in inner for o in f.objects)]),
        hazards=unique([*found.hazards, *(h for f in inner for h in f.hazards)]),
        locks=merged([*found.locks, *(lock for f in inner for lock in f.locks)]),
    )


def _delete(body: Any) -> Facts:
    hazard = Hazard.DELETE_WITH_WHERE if _narrows(body.where_clause) else Hazard.DELETE_WITHOUT_WHERE
    return _write("delete_stmt", body, [hazard])


def _update(body: Any) -> Facts:
    hazards = [] if _narrows(body.where_clause) else [Hazard.UPDATE_WITHOUT_WHERE]
    return _write("update_stmt", body, hazards)


def _merge(body: Any) -> Facts:
    deletes = any(c.merge_when_clause.command_type == pb.CMD_DELETE for c in body.merge_when_clauses)
    return _write("merge_stmt", body, [Hazard.DELETE_WITH_WHERE] if deletes else [])


def _select(body: Any) -> Facts:
    facts = _write("select_stmt", body, [])
    if not body.HasField("into_clause"):
        return facts
    new = relation(body.into_clause.rel)
    return replace(facts, verb="SELECT INTO", objects=unique([new, *facts.objects]), creates=(new,))


def _narrows(where: Any) -> bool:
    """Whether a WHERE is there and is more than the word TRUE."""
    return bool(where.WhichOneof("node")) and not where.a_const.boolval.boolval


def _truncate(body: Any) -> Facts:
    objects = unique(relation(r.range_var) for r in body.relations)
    return Facts(
        verb="TRUNCATE",
        objects=objects,
        hazards=(Hazard.TRUNCATE,),
        locks=tuple((name, "ACCESS EXCLUSIVE") for name in objects),
    )


def _copy(body: Any) -> Facts:
    over_the_wire = "FROM STDIN" if body.is_from else "TO STDOUT"
    return Facts(
        verb="COPY",
        objects=relation_of(body),
        locks=tuple((name, "ROW EXCLUSIVE") for name in relation_of(body)) if body.is_from else (),
        copies="" if body.filename or body.is_program else over_the_wire,
    )


def _with_query(verb: str) -> Callable[[Any], Facts]:
    return lambda body: replace(facts_of(body.query), verb=verb)


def _create_table_as(body: Any) -> Facts:
    new = relation(body.into.rel)
    inner = facts_of(body.query)
    return Facts(
        verb=f"CREATE {object_type(body.objtype)}",
        objects=unique([new, *inner.objects]),
        hazards=inner.hazards,
        locks=inner.locks,
        adds_only=not inner.locks,
        creates=(new,),
    )


def _create_schema(body: Any) -> Facts:
    inner = [facts_of(e) for e in body.schema_elts]
    return Facts(
        verb="CREATE SCHEMA",
        objects=(dotted([body.schemaname]),) if body.schemaname else (),
        adds_only=all(f.adds_only for f in inner),
    )


def _drop_database(body: Any) -> Facts:
    return Facts(
        verb="DROP DATABASE",
        objects=(dotted([body.dbname]),),
        hazards=(Hazard.DROP_DATABASE,),
        transactional=False,
    )


def _drop_owned(body: Any) -> Facts:
    hazards = (Hazard.DROP_TABLE, Hazard.DROP_OBJECT)
    return Facts(verb="DROP OWNED", hazards=hazards, locks=(("", "ACCESS EXCLUSIVE"),))


def _opaque(verb: str) -> Callable[[Any], Facts]:
    return lambda body: Facts(verb=verb, opaque=True)


# Verbs that the parse node's name does not spell.
_VERBS: Final[Mapping[str, str]] = {
    "alter_seq_stmt": "ALTER SEQUENCE",
    "alter_stats_stmt": "ALTER STATISTICS",
    "composite_type_stmt": "CREATE TYPE",
    "constraints_set_stmt": "SET CONSTRAINTS",
    "create_am_stmt": "CREATE ACCESS METHOD",
    "create_enum_stmt": "CREATE TYPE",
    "create_event_trig_stmt": "CREATE EVENT TRIGGER",
    "create_foreign_server_stmt": "CREATE SERVER",
    "create_range_stmt": "CREATE TYPE",
    "create_seq_stmt": "CREATE SEQUENCE",
    "create_stats_stmt": "CREATE STATISTICS",
    "create_table_space_stmt": "CREATE TABLESPACE",
    "create_trig_stmt": "CREATE TRIGGER",
    "createdb_stmt": "CREATE DATABASE",
    "drop_table_space_stmt": "DROP TABLESPACE",
    "rule_stmt": "CREATE RULE",
    "variable_show_stmt": "SHOW",
    "view_stmt": "CREATE VIEW",
}

_NAME_FIELDS: Final[Mapping[str, str]] = {
    "composite_type_stmt": "typevar",
    "create_domain_stmt": "domainname",
    "create_enum_stmt": "type_name",
    "create_extension_stmt": "extname",
    "create_range_stmt": "type_name",
    "createdb_stmt": "dbname",
}

# What PostgreSQL refuses inside a transaction block, as far as the node's kind says it.
_OUTSIDE_TRANSACTIONS: Final = frozenset(
    {
        "alter_system_stmt",
        "create_subscription_stmt",
        "create_table_space_stmt",
        "createdb_stmt",
        "discard_stmt",
        "drop_subscription_stmt",
        "drop_table_space_stmt",
    }
)

_READERS: Final[Mapping[str, Callable[[Any], Facts]]] = {
    "alter_domain_stmt": definitions.alter_domain,
    "alter_enum_stmt": definitions.alter_enum,
    "alter_object_schema_stmt": lambda body: definitions.alter_object(body, Hazard.RENAME),
    "alter_owner_stmt": definitions.alter_object,
    "alter_table_stmt": definitions.alter_table,
    "call_stmt": _opaque("CALL"),
    "comment_stmt": definitions.comment,
    "copy_stmt": _copy,
    "create_foreign_table_stmt": definitions.create_table,
    "create_function_stmt": definitions.create_routine,
    "create_schema_stmt": _create_schema,
    "create_stmt": definitions.create_table,
    "create_table_as_stmt": _create_table_as,
    "define_stmt": definitions.define,
    "delete_stmt": _delete,
    "do_stmt": _opaque("DO"),
    "drop_owned_stmt": _drop_owned,
    "drop_stmt": definitions.drop,
    "dropdb_stmt": _drop_database,
    "explain_stmt": _with_query("EXPLAIN"),
    "grant_stmt": session.grant,
    "index_stmt": definitions.create_index,
    "insert_stmt": lambda body: _write("insert_stmt", body, []),
    "lock_stmt": session.lock_tables,
    "merge_stmt": _merge,
    "prepare_stmt": _with_query("PREPARE"),
    "refresh_mat_view_stmt": definitions.refresh,
    "reindex_stmt": session.reindex,
    "rename_stmt": definitions.rename,
    "select_stmt": _select,
    "transaction_stmt": session.transaction,
    "truncate_stmt": _truncate,
    "update_stmt": _update,
    "vacuum_stmt": session.vacuum,
    "variable_set_stmt": session.set_parameter,
}
