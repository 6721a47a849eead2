"""The registry: how each kind of object and each part of one is created, dropped and changed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from faberdb.synthesis import annotations as said
from faberdb.synthesis import (
    columns,
    constraints,
    containers,
    datatypes,
    publications,
    routines,
    sequences,
    tables,
    text_search,
    triggers,
    views,
)
from faberdb.synthesis.kind import Kind, Unwritten, World, nothing

KINDS_WRITTEN: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "schema": Kind(create=containers.create_schema, drop=containers.drop_schema),
        "extension": Kind(
            create=containers.create_extension,
            drop=containers.drop_extension,
            change=containers.change_extension,
        ),
        "enum": Kind(
            create=datatypes.create_enum,
            drop=datatypes.drop_type,
            change=datatypes.change_enum,
            otherwise="a label goes, moves or has another name, and rows may hold it: ALTER TYPE ... RENAME VALUE, "
            "or a new type and ALTER COLUMN ... TYPE ... USING",
        ),
        "domain": Kind(
            create=datatypes.create_domain, drop=datatypes.drop_domain, change=datatypes.change_domain
        ),
        "domain constraint": Kind(
            create=constraints.create_domain_constraint,
            drop=constraints.drop_domain_constraint,
            change=constraints.change_domain_constraint,
        ),
        "type": Kind(create=datatypes.create_composite, drop=datatypes.drop_type),
        "attribute": Kind(
            create=datatypes.create_attribute,
            drop=datatypes.drop_attribute,
            change=datatypes.change_attribute,
            holds="values",
            comes_along=True,
        ),
        "collation": Kind(create=datatypes.create_collation, drop=datatypes.drop_collation),
        "sequence": Kind(
            create=sequences.create_sequence,
            drop=sequences.drop_sequence,
            change=sequences.change_sequence,
            holds="its place in the count",
        ),
        "owned by of": Kind(
            create=sequences.create_ownership,
            drop=sequences.drop_ownership,
            change=sequences.change_ownership,
        ),
        "table": Kind(
            create=tables.create_table, drop=tables.drop_table, change=tables.change_table, holds="rows"
        ),
        "row security of": tables.switch("ENABLE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY"),
        "forced row security of": tables.switch("FORCE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"),
        "replica identity of": Kind(
            create=tables.create_replica, drop=tables.drop_replica, change=tables.change_replica
        ),
        "storage options of": Kind(
            create=tables.set_options, drop=tables.reset_options, change=tables.change_options
        ),
        "attachment of": Kind(create=tables.attach, drop=tables.detach),
        "inheritance of": Kind(create=tables.inherit, drop=tables.disinherit, comes_along=True),
        "column": Kind(
            create=columns.create_column,
            drop=columns.drop_column,
            change=columns.change_column,
            holds="values",
            comes_along=True,
        ),
        "column order of": Kind(create=nothing, drop=nothing, change=columns.change_order),
        "default of": Kind(
            create=columns.create_default, drop=columns.drop_default, change=columns.change_default
        ),
        "storage of": tables.stored("storage of"),
        "compression of": tables.stored("compression of"),
        "statistics target of": tables.stored("statistics target of"),
        "column options of": Kind(
            create=tables.set_options, drop=tables.reset_options, change=tables.change_options
        ),
        "inheriting of": Kind(create=nothing, drop=nothing),  # the inheritance says it
        "constraint": Kind(
            create=constraints.create_constraint,
            drop=constraints.drop_constraint,
            change=constraints.change_constraint,
        ),
        "index": Kind(create=constraints.create_index, drop=constraints.drop_index),
        "clustering of": Kind(create=constraints.cluster, drop=constraints.scatter),
        "statistics": Kind(create=constraints.create_statistics, drop=constraints.drop_statistics),
        "view": Kind(create=views.create_view, drop=views.drop_view, change=views.change_view),
        "materialized view": Kind(create=views.create_materialized, drop=views.drop_materialized),
        "function": Kind(
            create=routines.create_routine, drop=routines.drop_function, change=routines.change_routine
        ),
        "procedure": Kind(
            create=routines.create_routine, drop=routines.drop_procedure, change=routines.change_routine
        ),
        "aggregate": Kind(create=routines.create_aggregate, drop=routines.drop_aggregate),
        "cast": Kind(create=routines.create_cast, drop=routines.drop_cast),
        "operator": Kind(create=routines.create_operator, drop=routines.drop_operator),
        "trigger": triggers.on_table("TRIGGER"),
        "rule": triggers.on_table("RULE"),
        "policy": triggers.on_table("POLICY"),
        "event trigger": Kind(create=triggers.create_event_trigger, drop=triggers.drop_event_trigger),
        "state of": Kind(create=triggers.put_state, drop=triggers.usual_state, change=triggers.change_state),
        "publication": Kind(
            create=publications.create_publication,
            drop=publications.drop_publication,
            change=publications.change_publication,
        ),
        "text search configuration": Kind(
            create=text_search.create_configuration, drop=text_search.drop_configuration
        ),
        "text search dictionary": Kind(
            create=text_search.create_dictionary, drop=text_search.drop_dictionary
        ),
        "owner of": Kind(create=said.create_owner, drop=nothing, change=said.change_owner),
        "grants on": Kind(create=said.create_grants, drop=said.drop_grants, change=said.change_grants),
        "comment on": Kind(create=said.create_comment, drop=said.drop_comment, change=said.change_comment),
        "default privileges": Kind(
            create=said.create_defaults, drop=said.drop_defaults, change=said.change_defaults
        ),
    }
)


def how(kind: str) -> Kind:
    """How a kind is written; one that is not known refuses each act."""
    return KINDS_WRITTEN.get(kind) or _unknown(kind)


def _unknown(kind: str) -> Kind:
    def refuse(_world: World, _who: str, _text: str) -> tuple[str, ...]:
        raise Unwritten(f"a {kind} is not written: the catalogue tells too little of it; write it by hand")

    return Kind(create=refuse, drop=refuse)
