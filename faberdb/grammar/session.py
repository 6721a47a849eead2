"""Statements about transactions, the session and the server's upkeep."""

from __future__ import annotations

from typing import Any

from faberdb.grammar.facts import Facts
from faberdb.grammar.names import name_of, relation, relation_of, unique
from faberdb.grammar.parser import pb
from faberdb.lock_modes import LOCK_MODES


def transaction(body: Any) -> Facts:
    """BEGIN, COMMIT, SAVEPOINT, ..."""
    name = pb.TransactionStmtKind.Name(body.kind).removeprefix("TRANS_STMT_").replace("_", " ")
    if name == "START":
        name = "START TRANSACTION"
    prepared = name.endswith(" PREPARED")
    return Facts(verb=name, transaction_control=True, transactional=not prepared)


def set_parameter(body: Any) -> Facts:
    """SET and RESET."""
    resets = body.kind in {pb.VAR_RESET, pb.VAR_RESET_ALL}
    verb = "RESET" if resets else "SET LOCAL" if body.is_local else "SET"
    return Facts(verb=verb, adds_only=True)


def vacuum(body: Any) -> Facts:
    """VACUUM and ANALYZE."""
    full = any(o.def_elem.defname == "full" for o in body.options)
    mode = "ACCESS EXCLUSIVE" if full else "SHARE UPDATE EXCLUSIVE"
    objects = unique(relation(r.vacuum_relation.relation) for r in body.rels)
    return Facts(
        verb="VACUUM" if body.is_vacuumcmd else "ANALYZE",
        objects=objects,
        locks=tuple((name, mode) for name in objects or ("",)),
        transactional=not body.is_vacuumcmd,
    )


def reindex(body: Any) -> Facts:
    """REINDEX."""
    concurrently = any(p.def_elem.defname == "concurrently" for p in body.params)
    one = body.kind in {pb.REINDEX_OBJECT_INDEX, pb.REINDEX_OBJECT_TABLE}
    own, mode = relation_of(body), "SHARE UPDATE EXCLUSIVE" if concurrently else "ACCESS EXCLUSIVE"
    locks = [(name, mode) for name in own or ("",)]
    if body.kind == pb.REINDEX_OBJECT_TABLE and not concurrently:  # readers still need its indexes to plan
        locks = [*((name, "SHARE") for name in own), ("", mode)]
    return Facts(
        verb="REINDEX CONCURRENTLY" if concurrently else "REINDEX",
        objects=own,
        locks=tuple(locks),
        transactional=one and not concurrently,
    )


def lock_tables(body: Any) -> Facts:
    """LOCK TABLE."""
    objects = unique(relation(r.range_var) for r in body.relations)
    mode = LOCK_MODES[body.mode]
    return Facts(verb="LOCK TABLE", objects=objects, locks=tuple((name, mode) for name in objects))


def grant(body: Any) -> Facts:
    """GRANT and REVOKE on objects."""
    names = [name_of(o) for o in body.objects]
    return Facts(verb="GRANT" if body.is_grant else "REVOKE", objects=unique(n for n in names if n))
