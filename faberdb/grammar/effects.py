"""What a statement costs and destroys: rewrites of tables, scans of whole relations, what is gone afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from faberdb.grammar.columns import column_of
from faberdb.grammar.facts import Facts
from faberdb.grammar.names import dotted, relation, unique
from faberdb.grammar.parser import pb
from faberdb.statements import Certainty, Hazard


class Effects(Struct, frozen=True, kw_only=True):
    """One statement's, for `faberdb.statements.Statement`."""

    rewrites: Certainty = Certainty.NO
    scans: tuple[str, ...] = ()
    destroys: str = ""


def effects_of(node: Any, facts: Facts) -> Effects:
    """Read a statement's parse tree (a `Node` of the grammar)."""
    kind = node.WhichOneof("node")
    body = getattr(node, kind)
    reader = _READERS.get(kind)
    found = reader(body) if reader else Effects()
    return Effects(rewrites=found.rewrites, scans=found.scans, destroys=found.destroys or _lost(facts))


def _lost(facts: Facts) -> str:
    names = ", ".join(facts.objects) or "what it names"
    lost = [_LOST[h].format(names=names) for h in facts.hazards if h in _LOST]
    if Hazard.DROP_OBJECT in facts.hazards:
        lost.append(f"{facts.verb.removeprefix('DROP ').removesuffix(' CONCURRENTLY').lower()} {names}")
    if facts.verb in {"UPDATE", "MERGE"}:
        lost.append(f"the values that changed rows of {names} had")
    return "; ".join(unique(lost))


_LOST: Final[Mapping[Hazard, str]] = {
    Hazard.DROP_DATABASE: "the database {names}",
    Hazard.DROP_SCHEMA: "the schema {names}",
    Hazard.DROP_TABLE: "all rows of {names}, and the table",
    Hazard.TRUNCATE: "all rows of {names}",
    Hazard.DELETE_WITHOUT_WHERE: "all rows of {names}",
    Hazard.DELETE_WITH_WHERE: "the deleted rows of {names}",
    Hazard.DROP_CONSTRAINT: "a constraint of {names}: rows that break it may come in",
}


def _alter_table(body: Any) -> Effects:
    table = relation(body.relation)
    found = [_command(table, item.alter_table_cmd) for item in body.cmds]
    return Effects(
        rewrites=_worst(f.rewrites for f in found),
        scans=unique(name for f in found for name in f.scans),
        destroys="; ".join(f.destroys for f in found if f.destroys),
    )


def _worst(answers: Iterable[Certainty]) -> Certainty:
    given = set(answers)
    return next((a for a in (Certainty.YES, Certainty.DEPENDS) if a in given), Certainty.NO)


def _command(table: str, command: Any) -> Effects:
    name = pb.AlterTableType.Name(command.subtype)
    definition = getattr(command, "def")
    if name == "AT_AddColumn":
        column = column_of(definition.column_def)
        reads = (
            column.unique or column.primary or column.checked or (column.not_null and column.default is None)
        )
        reads = reads or (bool(column.references) and column.default is not None)
        return Effects(rewrites=column.rewrites, scans=(table,) if reads else ())
    if name == "AT_AddConstraint":
        constraint = definition.constraint
        reads = not constraint.skip_validation and constraint.is_enforced and not constraint.indexname
        return Effects(scans=(table,) if reads else ())
    if name == "AT_AttachPartition":
        return Effects(scans=(relation(definition.partition_cmd.name),))
    if name == "AT_DropColumn":
        return Effects(destroys=f"the values of {table}.{dotted([command.name])}")
    return Effects(
        rewrites=_REWRITES.get(name, Certainty.NO),
        scans=(table,) if name in _SCANNING or name in _REWRITES else (),
    )


_SCANNING: Final = frozenset({"AT_SetNotNull", "AT_ValidateConstraint"})
_REWRITES: Final[Mapping[str, Certainty]] = {
    "AT_AlterColumnType": Certainty.DEPENDS,  # on the type that the column has now
    "AT_SetExpression": Certainty.YES,
    "AT_SetTableSpace": Certainty.DEPENDS,  # nothing happens where it is there already
    "AT_SetLogged": Certainty.DEPENDS,
    "AT_SetUnLogged": Certainty.DEPENDS,
    "AT_SetAccessMethod": Certainty.DEPENDS,
}


def _own(body: Any, rewrites: Certainty = Certainty.NO) -> Effects:
    return Effects(rewrites=rewrites, scans=(relation(body.relation),) if body.HasField("relation") else ())


def _vacuum(body: Any) -> Effects:
    full = any(o.def_elem.defname == "full" for o in body.options)
    scanned = unique(relation(r.vacuum_relation.relation) for r in body.rels)
    return Effects(rewrites=Certainty.YES, scans=scanned) if full else Effects()


def _written(body: Any) -> Effects:
    """UPDATE and DELETE without a WHERE read all rows; with one, an index may serve."""
    return _own(body) if not body.where_clause.WhichOneof("node") else Effects()


_READERS: Final[Mapping[str, Callable[[Any], Effects]]] = {
    "alter_table_stmt": _alter_table,
    "cluster_stmt": lambda body: _own(body, Certainty.YES),
    "delete_stmt": _written,
    "index_stmt": _own,
    "refresh_mat_view_stmt": lambda body: _own(body, Certainty.NO if body.concurrent else Certainty.YES),
    "reindex_stmt": _own,
    "update_stmt": _written,
    "vacuum_stmt": _vacuum,
}
