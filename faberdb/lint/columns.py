"""Rules about columns of tables that are in use: added, changed, dropped, renamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from faberdb.grammar.columns import modifiers_of, type_of
from faberdb.grammar.parser import pb
from faberdb.lint.reading import added_columns, added_constraints, alters, safer
from faberdb.lint.rule import Hit, Look, Rule
from faberdb.lint.types import keeps_rows
from faberdb.risk import Risk
from faberdb.statements import Certainty, Hazard


def _volatile_default(look: Look) -> Iterator[Hit]:
    for column in added_columns(look):
        rewrites = column.rewrites
        if (
            column.default is None
            or rewrites is Certainty.NO
            or column.serial
            or column.stored
            or column.identity
        ):
            continue
        sure = "writes" if rewrites is Certainty.YES else "may write"
        yield Hit(
            message=f"the default of {column.name} {sure} every row of {look.table} anew, while nobody reads it",
            relations=(look.table,),
            rewrite=f"ALTER TABLE {look.table} ADD COLUMN {column.name} {column.type};\n"
            f"ALTER TABLE {look.table} ALTER COLUMN {column.name} SET DEFAULT ...;\n"
            "-- then fill the old rows in batches, in a migration of their own",
        )


def _computed(look: Look) -> Iterator[Hit]:
    for column in added_columns(look):
        word = (
            "stored"
            if column.stored
            else "serial"
            if column.serial
            else "identity"
            if column.identity
            else ""
        )
        if word:
            yield Hit(
                message=f"the {word} column {column.name} writes every row of {look.table} anew,"
                f" while nobody reads it",
                relations=(look.table,),
                rewrite=f"ALTER TABLE {look.table} ADD COLUMN {column.name} "
                + ("bigint;" if word != "stored" else "...;")
                + "\n-- then fill it in batches, and give it its default or trigger before that",
            )


def _required(look: Look) -> Iterator[Hit]:
    for column in added_columns(look):
        plain = not (column.serial or column.stored or column.identity or column.primary)
        if column.not_null and column.default is None and plain:
            yield Hit(
                message=f"{column.name} has no value for the rows that {look.table} has: it fails unless it is empty,"
                " and the running application does not fill it",
                rewrite=f"ALTER TABLE {look.table} ADD COLUMN {column.name} {column.type};\n"
                "-- fill it in batches, then SET NOT NULL through a validated check",
            )


def _keyed(look: Look) -> Iterator[Hit]:
    for column in added_columns(look):
        if column.unique or column.primary:
            name = f"{look.table.rsplit('.', 1)[-1]}_{column.name}_key".replace('"', "")
            yield Hit(
                message=f"{column.name} builds an index over {look.table} while nobody reads or writes it",
                relations=(look.table,),
                rewrite=f"ALTER TABLE {look.table} ADD COLUMN {column.name} {column.type};\n"
                f'CREATE UNIQUE INDEX CONCURRENTLY "{name}" ON {look.table} ({column.name});\n'
                f'ALTER TABLE {look.table} ADD CONSTRAINT "{name}" UNIQUE USING INDEX "{name}";',
            )


def _checked(look: Look) -> Iterator[Hit]:
    for column in added_columns(look):
        if column.checked:
            yield Hit(
                message=f"the CHECK of {column.name} reads all rows of {look.table}, while nobody reads or writes it",
                relations=(look.table,),
                rewrite=f"ALTER TABLE {look.table} ADD COLUMN {column.name} {column.type};\n"
                f"ALTER TABLE {look.table} ADD CONSTRAINT ... CHECK (...) NOT VALID;\n"
                f"-- in a migration of its own\nALTER TABLE {look.table} VALIDATE CONSTRAINT ...;",
            )


def _referencing(look: Look) -> Iterator[Hit]:
    for column in added_columns(look):
        for other in column.references:
            if not look.new(other):
                yield Hit(
                    message=f"{column.name} locks {other} against writes while {look.table} is"
                    f" locked against everything",
                    relations=(look.table, other),
                    rewrite=f"ALTER TABLE {look.table} ADD COLUMN {column.name} {column.type};\n"
                    f"ALTER TABLE {look.table} ADD CONSTRAINT ... FOREIGN KEY ({column.name})"
                    f" REFERENCES {other} NOT VALID;\n"
                    f"-- in a migration of its own\nALTER TABLE {look.table} VALIDATE CONSTRAINT ...;",
                )


def _set_not_null(look: Look) -> Iterator[Hit]:
    live = look.live.relation(look.table)
    for command in alters(look, "AT_SetNotNull"):
        name = command.target
        proven = live is not None and (name in live.checked_not_null or name not in live.nullable)
        validated = any(c.target for b in look.before for c in alters(b, "AT_ValidateConstraint"))
        if not proven and not validated:
            yield Hit(message=_reads_all(look, name), relations=(look.table,), rewrite=safer(look))
    for constraint in added_constraints(look, "CONSTR_NOTNULL"):
        if not constraint.skip_validation:
            column = constraint.keys[0].string.sval
            yield Hit(message=_reads_all(look, column), relations=(look.table,), rewrite=f"ALTER TABLE {look.table} "
                      f"ADD CONSTRAINT ... NOT NULL {column} NOT VALID;\n-- then VALIDATE CONSTRAINT")  # fmt: skip


def _reads_all(look: Look, column: str) -> str:
    return f"NOT NULL of {column} reads all rows of {look.table} while nobody reads or writes it"


def _type(look: Look) -> Iterator[Hit]:
    live = look.live.relation(look.table)
    for command in alters(look, "AT_AlterColumnType"):
        definition = command.node.column_def
        now = live.columns.get(command.target, "") if live is not None else ""
        using = definition.raw_default.WhichOneof("node") is not None
        new = type_of(definition.type_name)
        if (
            now
            and not using
            and keeps_rows(now, new, modifiers_of(definition.type_name), look.live.time_zone)
        ):
            continue
        was = f" from {now}" if now else ""
        yield Hit(
            message=f"{command.target}{was} to {new} writes every row of {look.table} and its indexes anew,"
            f" while nobody reads it{'' if now else ', unless the types are stored alike'}",
            relations=(look.table,),
            rewrite=f"ALTER TABLE {look.table} ADD COLUMN {_beside(command.target)} {new};\n"
            "-- keep both filled by a trigger, fill old rows in batches, let the application read the new one,"
            " then drop the old",
        )


def _beside(name: str) -> str:
    return f'"{name.strip(chr(34))}_new"'


def _drop_not_null(look: Look) -> Iterator[Hit]:
    for command in alters(look, "AT_DropNotNull"):
        yield Hit(
            message=f"{look.table}.{command.target} may be null from now on, and its readers may not expect it"
        )


def _expression(look: Look) -> Iterator[Hit]:
    for command in alters(look, "AT_SetExpression"):
        yield Hit(
            message=f"a new expression of {command.target} writes every row of {look.table} anew",
            relations=(look.table,),
        )


def _default(look: Look) -> Iterator[Hit]:
    for command in alters(look, "AT_ColumnDefault"):
        yield Hit(message=f"rows that omit {command.target} come in differently from now on")


def _drop_column(look: Look) -> Iterator[Hit]:
    live = look.live.relation(look.table)
    for command in alters(look, "AT_DropColumn"):
        hang = f"; on {look.table} hang {', '.join(live.dependents)}" if live and live.dependents else ""
        yield Hit(
            message=f"{look.table}.{command.target} is gone at once, and a running application that"
            f" names it fails{hang}",
            rewrite="-- first release an application that does not name it, then drop it",
        )


def _rename(look: Look) -> Iterator[Hit]:
    if look.kind != "rename_stmt" or look.new(look.table) or look.body.rename_type != pb.OBJECT_COLUMN:
        return
    old, new = look.body.subname, look.body.newname
    yield Hit(
        message=f"{look.table}.{old} is {new} at once, and a running application that says {old} fails",
        rewrite=f"ALTER TABLE {look.table} ADD COLUMN {new} ...;\n"
        "-- keep both filled by a trigger, fill old rows in batches, let the application say the new name,"
        " then drop the old",
    )


COLUMN_RULES: Final = (
    Rule(
        code="add-column-volatile-default",
        title="A new column whose default differs from row to row",
        why="PostgreSQL keeps one value for all old rows only where the default is the same for each. Otherwise it"
        " writes the table anew under ACCESS EXCLUSIVE.",
        risk=Risk.HIGH,
        check=_volatile_default,
        bad="ALTER TABLE account ADD COLUMN token uuid DEFAULT gen_random_uuid();",
        good="ALTER TABLE account ADD COLUMN token uuid;\n"
        "ALTER TABLE account ALTER COLUMN token SET DEFAULT gen_random_uuid();",
        squawk=("adding-field-with-default",),
    ),
    Rule(
        code="add-column-computed",
        title="A new column that is generated and stored, serial or identity",
        why="Its value has to be written into every row that is there, under ACCESS EXCLUSIVE.",
        risk=Risk.HIGH,
        check=_computed,
        bad="ALTER TABLE account ADD COLUMN serial_no bigserial;",
        good="ALTER TABLE account ADD COLUMN serial_no bigint;",
        squawk=("adding-serial-primary-key-field",),
    ),
    Rule(
        code="add-column-required",
        title="A new column that is NOT NULL and has no default",
        why="It fails on a table with rows; on an empty one, the application that is still running cannot insert.",
        risk=Risk.HIGH,
        check=_required,
        bad="ALTER TABLE draft ADD COLUMN kind text NOT NULL;",
        good="ALTER TABLE draft ADD COLUMN kind text NOT NULL DEFAULT 'plain';",
        squawk=("adding-required-field", "adding-not-nullable-field"),
    ),
    Rule(
        code="add-column-unique",
        title="A new column with a unique or primary key of its own",
        why="The key's index is built under ACCESS EXCLUSIVE: nobody reads the table until it is done.",
        risk=Risk.HIGH,
        check=_keyed,
        bad="ALTER TABLE account ADD COLUMN slug text UNIQUE;",
        good="ALTER TABLE account ADD COLUMN slug text;",
    ),
    Rule(
        code="add-column-check",
        title="A new column with a CHECK",
        why="All rows are read to see whether they keep it, under ACCESS EXCLUSIVE.",
        risk=Risk.MEDIUM,
        check=_checked,
        bad="ALTER TABLE account ADD COLUMN age int CHECK (age > 0);",
        good="ALTER TABLE account ADD COLUMN age int;\n"
        "ALTER TABLE account ADD CONSTRAINT age_positive CHECK (age > 0) NOT VALID;",
    ),
    Rule(
        code="add-column-foreign-key",
        title="A new column with a foreign key",
        why="Two tables are locked at once, the one that it points to against writes.",
        risk=Risk.MEDIUM,
        check=_referencing,
        bad="ALTER TABLE purchase ADD COLUMN payer bigint REFERENCES account (id);",
        good="ALTER TABLE purchase ADD COLUMN payer bigint;",
    ),
    Rule(
        code="set-not-null",
        title="NOT NULL on a column without a validated check",
        why="All rows are read under ACCESS EXCLUSIVE. A validated CHECK (c IS NOT NULL) is believed instead.",
        risk=Risk.HIGH,
        check=_set_not_null,
        bad="ALTER TABLE account ALTER COLUMN note SET NOT NULL;",
        good="ALTER TABLE account ADD CONSTRAINT note_there CHECK (note IS NOT NULL) NOT VALID;",
        squawk=("adding-not-nullable-field",),
    ),
    Rule(
        code="change-type",
        title="A column's type changed so that rows are written anew",
        why="The table and its indexes are written anew under ACCESS EXCLUSIVE, and what reads the column may break.",
        risk=Risk.HIGH,
        check=_type,
        bad="ALTER TABLE account ALTER COLUMN seen TYPE bigint;",
        good="ALTER TABLE account ALTER COLUMN note TYPE text;",
        hazard=Hazard.ALTER_COLUMN_TYPE,
        squawk=("changing-column-type",),
    ),
    Rule(
        code="drop-not-null",
        title="A column that may be null from now on",
        why="Readers that never saw a null may fail at the first, and it is hard to go back.",
        risk=Risk.MEDIUM,
        check=_drop_not_null,
        bad="ALTER TABLE account ALTER COLUMN email DROP NOT NULL;",
        good="ALTER TABLE account ALTER COLUMN email SET DEFAULT '';",
        squawk=("ban-drop-not-null",),
    ),
    Rule(
        code="change-generated-expression",
        title="Another expression for a stored column",
        why="Every row is written anew under ACCESS EXCLUSIVE.",
        risk=Risk.HIGH,
        check=_expression,
        bad="ALTER TABLE account ALTER COLUMN doubled SET EXPRESSION AS (visits * 3);",
        good="ALTER TABLE account ADD COLUMN tripled int;",
        squawk=("ban-alter-generated-expression",),
    ),
    Rule(
        code="change-default",
        title="Another default",
        why="An application that leaves the column out writes something else from one moment to the next.",
        risk=Risk.LOW,
        check=_default,
        bad="ALTER TABLE account ALTER COLUMN note SET DEFAULT 'x';",
        good="ALTER TABLE account ADD COLUMN remark text DEFAULT 'x';",
        squawk=("ban-set-default", "ban-drop-default"),
        optional=True,
    ),
    Rule(
        code="drop-column",
        title="A column dropped",
        why="Its values are gone, and a running application that names it fails at once.",
        risk=Risk.MEDIUM,
        check=_drop_column,
        bad="ALTER TABLE account DROP COLUMN note;",
        good="ALTER TABLE account ALTER COLUMN note SET STATISTICS 0;",
        hazard=Hazard.DROP_COLUMN,
        squawk=("ban-drop-column",),
    ),
    Rule(
        code="rename-column",
        title="A column renamed",
        why="There is no moment at which the old and the new application both work.",
        risk=Risk.MEDIUM,
        check=_rename,
        bad="ALTER TABLE account RENAME COLUMN note TO remark;",
        good="ALTER TABLE account ADD COLUMN remark text;",
        hazard=Hazard.RENAME,
        squawk=("renaming-column",),
    ),
)
