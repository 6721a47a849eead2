"""Rules about tables as a whole: rewriting, locking, partitions, triggers, enums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from faberdb.grammar.names import relation
from faberdb.grammar.parser import pb
from faberdb.lint.reading import alters
from faberdb.lint.rule import Check, Hit, Look, Rule
from faberdb.lock_modes import LOCK_MODES
from faberdb.risk import Risk


def _vacuum_full(look: Look) -> Iterator[Hit]:
    if look.kind == "vacuum_stmt" and any(o.def_elem.defname == "full" for o in look.body.options):
        yield Hit(
            message=f"{', '.join(look.statement.objects) or 'every table'} is written anew while nobody reads it",
            relations=look.statement.objects,
            rewrite=f"VACUUM {', '.join(look.statement.objects)};\n-- or pg_repack, which locks only for moments",
        )


def _cluster(look: Look) -> Iterator[Hit]:
    if look.kind == "cluster_stmt":
        yield Hit(
            message=f"{look.table or 'every clustered table'} is written anew while nobody reads it",
            relations=look.statement.objects,
            rewrite="-- pg_repack orders a table and locks it only for moments",
        )


def _altering(*names: str, said: str, rewrite: str = "") -> Check:
    def check(look: Look) -> Iterator[Hit]:
        for command in alters(look, *names):
            target = command.target or look.table
            yield Hit(
                message=said.format(table=look.table, target=target),
                relations=(look.table,),
                rewrite=rewrite.format(table=look.table, target=target),
            )

    return check


def _refresh(look: Look) -> Iterator[Hit]:
    if look.kind == "refresh_mat_view_stmt" and not look.body.concurrent and not look.new(look.table):
        yield Hit(
            message=f"nobody reads {look.table} while it is filled",
            relations=(look.table,),
            rewrite=f"REFRESH MATERIALIZED VIEW CONCURRENTLY {look.table};\n-- which needs a unique index on it",
        )


def _locking(look: Look) -> Iterator[Hit]:
    if look.kind == "lock_stmt" and LOCK_MODES.index(look.statement.lock) > LOCK_MODES.index(
        "SHARE UPDATE EXCLUSIVE"
    ):
        yield Hit(
            message=f"{', '.join(look.statement.objects)} is held in {look.statement.lock} to the"
            f" end of the transaction",
            relations=look.statement.objects,
        )


def _attach(look: Look) -> Iterator[Hit]:
    for command in alters(look, "AT_AttachPartition"):
        part = relation(command.node.partition_cmd.name)
        checked = any(
            part in b.statement.objects
            and any(True for _ in alters(b, "AT_ValidateConstraint", "AT_AddConstraint"))
            for b in look.before
        )
        if not look.new(part) and not checked and look.body.objtype != pb.OBJECT_INDEX:
            yield Hit(
                message=f"all rows of {part} are read, and those of a default partition too, while"
                f" nobody uses {part}",
                relations=(part,),
                rewrite=f"ALTER TABLE {part} ADD CONSTRAINT within CHECK (...) NOT VALID;\n"
                f"-- in a migration of its own\nALTER TABLE {part} VALIDATE CONSTRAINT within;\n"
                f"-- and then\n{look.statement.text};",
            )


def _detach(look: Look) -> Iterator[Hit]:
    for command in alters(look, "AT_DetachPartition"):
        if not command.node.partition_cmd.concurrent:
            part = relation(command.node.partition_cmd.name)
            yield Hit(
                message=f"nobody reads {look.table}, the whole partitioned table, until {part} is out of it",
                relations=(look.table,),
                rewrite=f"ALTER TABLE {look.table} DETACH PARTITION {part} CONCURRENTLY;",
            )


def _trigger(look: Look) -> Iterator[Hit]:
    if look.kind == "create_trig_stmt" and not look.new(look.table):
        yield Hit(
            message=f"writes to {look.table} wait for it, and it for them; then each write does more",
            relations=(look.table,),
        )


def _rule(look: Look) -> Iterator[Hit]:
    if look.kind == "rule_stmt" and not look.new(look.table):
        yield Hit(
            message=f"statements on {look.table} mean something else from now on",
            rewrite="-- a trigger says the same and is understood",
        )


def _enum(look: Look) -> Iterator[Hit]:
    if look.kind == "create_enum_stmt":
        yield Hit(
            message=f"no value of {look.table} can ever be removed",
            rewrite="-- a table of values with a foreign key, or text with a CHECK, can change both ways",
        )


def _enum_order(look: Look) -> Iterator[Hit]:
    if look.kind == "alter_enum_stmt" and not look.body.old_val and not look.body.new_val_neighbor:
        yield Hit(
            message=f"{look.body.new_val!r} comes last in the order of {look.table}",
            rewrite="ADD VALUE ... AFTER ...",
        )


UPKEEP_RULES: Final = (
    Rule(
        code="vacuum-full",
        title="VACUUM FULL",
        why="The table and its indexes are written anew under ACCESS EXCLUSIVE.",
        risk=Risk.HIGH,
        check=_vacuum_full,
        bad="VACUUM FULL account;",
        good="VACUUM account;",
        squawk=("prefer-repack",),
    ),
    Rule(
        code="cluster",
        title="CLUSTER",
        why="The table and its indexes are written anew under ACCESS EXCLUSIVE.",
        risk=Risk.HIGH,
        check=_cluster,
        bad="CLUSTER account USING account_pkey;",
        good="ANALYZE account;",
        squawk=("prefer-repack",),
    ),
    Rule(
        code="move-storage",
        title="A table moved to another tablespace or access method",
        why="Its files are copied under ACCESS EXCLUSIVE.",
        risk=Risk.HIGH,
        check=_altering(
            "AT_SetTableSpace", "AT_SetAccessMethod", said="{table} is copied while nobody reads it"
        ),
        bad="ALTER TABLE account SET TABLESPACE pg_default;",
        good="ALTER TABLE account SET (fillfactor = 90);",
    ),
    Rule(
        code="set-logged",
        title="SET LOGGED or SET UNLOGGED",
        why="The table is written anew under ACCESS EXCLUSIVE; an unlogged one is empty after a crash.",
        risk=Risk.HIGH,
        check=_altering(
            "AT_SetLogged", "AT_SetUnLogged", said="{table} is written anew while nobody reads it"
        ),
        bad="ALTER TABLE draft SET UNLOGGED;",
        good="CREATE UNLOGGED TABLE scratch (id bigint PRIMARY KEY);",
    ),
    Rule(
        code="refresh-blocks",
        title="A materialized view refreshed without CONCURRENTLY",
        why="Nobody reads it until it is filled again.",
        risk=Risk.MEDIUM,
        check=_refresh,
        bad="REFRESH MATERIALIZED VIEW totals;",
        good="REFRESH MATERIALIZED VIEW CONCURRENTLY totals;",
    ),
    Rule(
        code="lock-table",
        title="LOCK TABLE",
        why="A lock taken by hand is held until the transaction ends, whatever it then does.",
        risk=Risk.HIGH,
        check=_locking,
        bad="LOCK TABLE account IN ACCESS EXCLUSIVE MODE;",
        good="LOCK TABLE account IN ROW EXCLUSIVE MODE;",
    ),
    Rule(
        code="attach-partition",
        title="A partition attached without a check that fits it",
        why="All its rows are read under ACCESS EXCLUSIVE, unless a valid CHECK says already that they belong there.",
        risk=Risk.HIGH,
        check=_attach,
        bad="ALTER TABLE event ATTACH PARTITION event_old FOR VALUES FROM (0) TO (100);",
        good="CREATE TABLE event_new (LIKE event);\n"
        "ALTER TABLE event ATTACH PARTITION event_new FOR VALUES FROM (200) TO (300);",
    ),
    Rule(
        code="detach-partition",
        title="A partition detached without CONCURRENTLY",
        why="The whole partitioned table is locked with ACCESS EXCLUSIVE.",
        risk=Risk.HIGH,
        check=_detach,
        bad="ALTER TABLE event DETACH PARTITION event_1;",
        good="ALTER TABLE event DETACH PARTITION event_1 CONCURRENTLY;",
        squawk=("require-concurrent-partition-detach",),
    ),
    Rule(
        code="detach-inheritance",
        title="A table taken out of its parent",
        why="What reads the parent no longer sees its rows.",
        risk=Risk.MEDIUM,
        check=_altering("AT_DropInherit", said="the rows of {table} are no longer seen through its parent"),
        bad="ALTER TABLE child NO INHERIT parent;",
        good="ALTER TABLE draft INHERIT plain;",
        squawk=("ban-detach-inheritance",),
    ),
    Rule(
        code="create-trigger",
        title="A trigger on a table in use",
        why="Writes wait for the lock; afterwards each one runs it, and fails where it fails.",
        risk=Risk.MEDIUM,
        check=_trigger,
        bad="CREATE TRIGGER noted AFTER INSERT ON account FOR EACH ROW EXECUTE FUNCTION note_it();",
        good="CREATE TABLE fresh (id bigint PRIMARY KEY);\n"
        "CREATE TRIGGER noted AFTER INSERT ON fresh FOR EACH ROW EXECUTE FUNCTION note_it();",
    ),
    Rule(
        code="disable-trigger",
        title="Triggers disabled",
        why="Foreign keys are triggers too: what comes in meanwhile is never checked.",
        risk=Risk.HIGH,
        check=_altering(
            "AT_DisableTrig",
            "AT_DisableTrigAll",
            "AT_DisableTrigUser",
            said="rows of {table} come in unchecked",
        ),
        bad="ALTER TABLE account DISABLE TRIGGER ALL;",
        good="ALTER TABLE account ENABLE TRIGGER ALL;",
        squawk=("ban-disable-trigger",),
    ),
    Rule(
        code="create-rule",
        title="A rewrite rule",
        why="It changes what statements mean, in ways that few expect, with volatile functions above all.",
        risk=Risk.MEDIUM,
        check=_rule,
        bad="CREATE RULE never AS ON DELETE TO draft DO INSTEAD NOTHING;",
        good="CREATE TABLE fresh (id bigint PRIMARY KEY);",
    ),
    Rule(
        code="row-security",
        title="Row level security switched on or off",
        why="From one moment to the next other rows are seen; without a policy, none.",
        risk=Risk.MEDIUM,
        check=_altering(
            "AT_EnableRowSecurity",
            "AT_DisableRowSecurity",
            "AT_ForceRowSecurity",
            "AT_NoForceRowSecurity",
            said="from now on other rows of {table} are seen",
        ),
        bad="ALTER TABLE account ENABLE ROW LEVEL SECURITY;",
        good="CREATE POLICY own ON account USING (true);",
        squawk=("ban-alter-row-level-security",),
    ),
    Rule(
        code="replica-identity",
        title="Another replica identity",
        why="Subscribers of the table may no longer find the rows that change.",
        risk=Risk.MEDIUM,
        check=_altering("AT_ReplicaIdentity", said="changes of {table} are replicated by other columns"),
        bad="ALTER TABLE account REPLICA IDENTITY FULL;",
        good="ALTER TABLE account SET (fillfactor = 90);",
        squawk=("ban-replica-identity",),
    ),
    Rule(
        code="enum-type",
        title="A new enum",
        why="A value can be added and renamed, never removed.",
        risk=Risk.LOW,
        check=_enum,
        bad="CREATE TYPE size AS ENUM ('s', 'm');",
        good="CREATE TABLE size (name text PRIMARY KEY);",
        optional=True,
    ),
    Rule(
        code="enum-value-unordered",
        title="A value added to an enum without its place",
        why="It comes last, and an enum's order is what ORDER BY and < follow.",
        risk=Risk.LOW,
        check=_enum_order,
        bad="ALTER TYPE mood ADD VALUE 'calm';",
        good="ALTER TYPE mood ADD VALUE 'calm' BEFORE 'sad';",
        squawk=("require-enum-value-ordering",),
        optional=True,
    ),
)
