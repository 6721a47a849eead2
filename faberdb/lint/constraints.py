"""Rules about constraints on tables that are in use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from faberdb.grammar.names import dotted, relation
from faberdb.grammar.parser import pb
from faberdb.lint.reading import added_constraints, alters, new_columns, safer, texts
from faberdb.lint.rule import Hit, Look, Rule
from faberdb.risk import Risk
from faberdb.statements import Hazard


def _foreign_key(look: Look) -> Iterator[Hit]:
    for constraint in added_constraints(look, "CONSTR_FOREIGN"):
        other = relation(constraint.pktable)
        if not constraint.skip_validation:
            columns = ", ".join(texts(constraint.fk_attrs))
            yield Hit(
                message=f"{_name(constraint)} makes writes to {look.table} and {other} wait while all rows of"
                f" {look.table} are checked",
                relations=(look.table,),
                rewrite=safer(look)
                or f"ALTER TABLE {look.table} ADD CONSTRAINT ... FOREIGN KEY ({columns}) REFERENCES"
                f" {other} NOT VALID;\n"
                f"-- in a migration of its own\nALTER TABLE {look.table} VALIDATE CONSTRAINT ...;",
            )


def _check(look: Look) -> Iterator[Hit]:
    for constraint in added_constraints(look, "CONSTR_CHECK"):
        if not constraint.skip_validation and constraint.is_enforced:
            yield Hit(
                message=f"{_name(constraint)} makes reads and writes of {look.table} wait while all rows are checked",
                relations=(look.table,),
                rewrite=safer(look)
                or f"ALTER TABLE {look.table} ADD CONSTRAINT ... CHECK (...) NOT VALID;\n"
                f"-- in a migration of its own\nALTER TABLE {look.table} VALIDATE CONSTRAINT ...;",
            )


def _unique(look: Look) -> Iterator[Hit]:
    for constraint in added_constraints(look, "CONSTR_UNIQUE"):
        if not constraint.indexname:
            yield _builds(look, constraint, "UNIQUE")


def _primary(look: Look) -> Iterator[Hit]:
    for constraint in added_constraints(look, "CONSTR_PRIMARY"):
        if not constraint.indexname:
            yield _builds(look, constraint, "PRIMARY KEY")


def _builds(look: Look, constraint: Any, word: str) -> Hit:
    columns = ", ".join(texts(constraint.keys))
    return Hit(
        message=f"{_name(constraint)} makes reads and writes of {look.table} wait while its index is built",
        relations=(look.table,),
        rewrite=safer(look)
        or f"CREATE UNIQUE INDEX CONCURRENTLY name ON {look.table} ({columns});\n"
        f"ALTER TABLE {look.table} ADD CONSTRAINT name {word} USING INDEX name;",
    )


def _primary_by_index(look: Look) -> Iterator[Hit]:
    live = look.live.relation(look.table)
    for constraint in (c.node.constraint for c in alters(look, "AT_AddConstraint", "AT_AddIndexConstraint")):
        if (
            constraint.indexname
            and constraint.contype == pb.CONSTR_PRIMARY
            and not (live is not None and not live.nullable)
        ):
            yield Hit(
                message=f"if a column of {constraint.indexname} may be null, all rows of {look.table} are read for"
                " that while nobody reads or writes it",
                relations=(look.table,),
                rewrite="-- make its columns NOT NULL through a validated check first",
            )


def _exclusion(look: Look) -> Iterator[Hit]:
    for constraint in added_constraints(look, "CONSTR_EXCLUSION"):
        yield Hit(
            message=f"{_name(constraint)} makes reads and writes of {look.table} wait while its index is built",
            relations=(look.table,),
            rewrite="-- no safe form exists: add it in a quiet hour, or to a new table that is then filled",
        )


def validated_with_add(look: Look) -> Iterator[Hit]:
    """A constraint that its own transaction added."""
    for command in alters(look, "AT_ValidateConstraint"):
        added = {
            c.node.constraint.conname for b in look.together for c in alters(b, "AT_AddConstraint") if c.node
        }
        if command.target.strip('"') in added:
            yield Hit(
                message=f"{command.target} is validated in the transaction that added it: the lock of the adding is"
                f" held while all rows of {look.table} are read",
                relations=(look.table,),
                rewrite=f"-- in a migration of its own\n{look.statement.text};",
            )


def _dropped(look: Look) -> Iterator[Hit]:
    for command in alters(look, "AT_DropConstraint"):
        yield Hit(message=f"{command.target} no longer guards {look.table}: rows that break it may come in")


def _primary_dropped(look: Look) -> Iterator[Hit]:
    live = look.live.relation(look.table)
    for command in alters(look, "AT_DropConstraint"):
        known = live.primary_key if live else ""
        if command.target == known or (not known and command.target.strip('"').endswith("_pkey")):
            yield Hit(
                message=f"{look.table} is left without its primary key: replication of its changes stops, and so may"
                " upserts",
                rewrite="-- build the new key concurrently first, and exchange both in one ALTER TABLE",
            )


def _without_index(look: Look) -> Iterator[Hit]:
    """A foreign key whose columns no index begins with."""
    live = look.live.relation(look.table)
    new = look.kind == "create_stmt" or look.new(look.table)
    if live is None and not new:
        return
    for column, other in _pointing(look):
        indexed = live is not None and column in live.indexed
        if not indexed and not any(column in s.text and "INDEX" in s.verb for s in _around(look)):
            name = dotted([f"{look.table.rsplit('.', 1)[-1]}_{column}_idx".replace('"', "")])
            yield Hit(
                message=f"no index of {look.table} begins with {column}: each delete in {other} reads it as a whole",
                relations=(look.table,),
                rewrite=f"CREATE INDEX CONCURRENTLY {name} ON {look.table} ({column});",
            )


def _pointing(look: Look) -> Iterator[tuple[str, str]]:
    yield from (
        (c.name, c.references[0]) for c in new_columns(look) if c.references and not (c.primary or c.unique)
    )
    for constraint in _foreign_keys(look):
        yield texts(constraint.fk_attrs)[0], relation(constraint.pktable)


def _foreign_keys(look: Look) -> Iterator[Any]:
    if look.kind == "create_stmt":
        elements = [e.constraint for e in look.body.table_elts if e.HasField("constraint")]
    elif look.kind == "alter_table_stmt":
        commands = [getattr(c.alter_table_cmd, "def") for c in look.body.cmds]
        elements = [d.constraint for d in commands if d.WhichOneof("node") == "constraint"]
    else:
        return
    yield from (c for c in elements if c.HasField("pktable"))


def _around(look: Look) -> tuple[Any, ...]:
    near = (*(b.statement for b in look.before), *look.after)
    return tuple(s for s in near if look.table in s.objects)


def _domain(look: Look) -> Iterator[Hit]:
    if look.kind == "create_domain_stmt" and look.body.constraints:
        yield Hit(
            message=f"the constraint of {look.table} can later be changed only by reading every table that uses it",
            rewrite=f"CREATE DOMAIN {look.table} AS ...;\n-- with CHECK constraints on the tables,"
            f" each NOT VALID first",
        )


def _domain_altered(look: Look) -> Iterator[Hit]:
    if look.kind == "alter_domain_stmt" and look.body.subtype in {"C", "O"}:
        if getattr(look.body, "def").constraint.skip_validation:
            return
        yield Hit(
            message=f"every table with a column of {look.table} is read, with SHARE locks on all of them",
            rewrite=f"ALTER DOMAIN {look.table} ADD CONSTRAINT ... CHECK (...) NOT VALID;\n"
            f"-- in a migration of its own\nALTER DOMAIN {look.table} VALIDATE CONSTRAINT ...;",
        )


def _name(constraint: Any) -> str:
    return dotted([constraint.conname]) or "the constraint"


CONSTRAINT_RULES: Final = (
    Rule(
        code="foreign-key-validated",
        title="A foreign key added and validated at once",
        why="Both tables refuse writes until every row was looked up. NOT VALID takes the lock for a moment, and"
        " VALIDATE lets writes go on.",
        risk=Risk.HIGH,
        check=_foreign_key,
        bad="ALTER TABLE purchase ADD CONSTRAINT buyer FOREIGN KEY (account_id) REFERENCES account (id);",
        good="ALTER TABLE purchase ADD CONSTRAINT buyer FOREIGN KEY (account_id) REFERENCES account (id) NOT VALID;",
        squawk=("adding-foreign-key-constraint", "constraint-missing-not-valid"),
    ),
    Rule(
        code="check-validated",
        title="A CHECK added and validated at once",
        why="All rows are read under ACCESS EXCLUSIVE. NOT VALID takes the lock for a moment, and VALIDATE lets reads"
        " and writes go on.",
        risk=Risk.HIGH,
        check=_check,
        bad="ALTER TABLE account ADD CONSTRAINT not_negative CHECK (visits >= 0);",
        good="ALTER TABLE account ADD CONSTRAINT not_negative CHECK (visits >= 0) NOT VALID;",
        squawk=("constraint-missing-not-valid",),
    ),
    Rule(
        code="unique-constraint",
        title="A unique constraint that builds its own index",
        why="The index is built under a lock that excludes everybody. An index built concurrently"
        " can become the key.",
        risk=Risk.HIGH,
        check=_unique,
        bad="ALTER TABLE account ADD CONSTRAINT one_email UNIQUE (email);",
        good="ALTER TABLE account ADD CONSTRAINT one_code UNIQUE USING INDEX account_code;",
        squawk=("disallowed-unique-constraint",),
    ),
    Rule(
        code="primary-key",
        title="A primary key that builds its own index",
        why="The index is built, and NOT NULL is checked, under a lock that excludes everybody.",
        risk=Risk.HIGH,
        check=_primary,
        bad="ALTER TABLE keyless ADD CONSTRAINT keyless_pkey PRIMARY KEY (id);",
        good="ALTER TABLE keyless ADD CONSTRAINT keyless_pkey PRIMARY KEY USING INDEX keyless_id;",
        squawk=("adding-serial-primary-key-field",),
    ),
    Rule(
        code="primary-key-using-index",
        title="A primary key from an index over columns that may be null",
        why="A primary key makes its columns NOT NULL, and reads all rows for that under ACCESS EXCLUSIVE.",
        risk=Risk.MEDIUM,
        check=_primary_by_index,
        bad="ALTER TABLE keyless ADD CONSTRAINT keyless_pkey PRIMARY KEY USING INDEX keyless_maybe;",
        good="ALTER TABLE keyless ADD CONSTRAINT keyless_check CHECK (maybe IS NOT NULL) NOT VALID;",
    ),
    Rule(
        code="exclusion-constraint",
        title="An exclusion constraint on a table in use",
        why="Its index cannot be built beforehand: it is built under a lock that excludes everybody.",
        risk=Risk.HIGH,
        check=_exclusion,
        bad="ALTER TABLE booking ADD CONSTRAINT apart EXCLUDE USING gist (during WITH &&);",
        good="CREATE TABLE stay (id bigint PRIMARY KEY, during tstzrange, EXCLUDE USING gist (during WITH &&));",
    ),
    Rule(
        code="validated-with-add",
        title="A constraint validated in the transaction that adds it",
        why="The strong lock of the adding is held until the commit, so over the reading of all rows too.",
        risk=Risk.HIGH,
        check=validated_with_add,
        bad="ALTER TABLE account ADD CONSTRAINT not_negative CHECK (visits >= 0) NOT VALID;\n"
        "ALTER TABLE account VALIDATE CONSTRAINT not_negative;",
        good="ALTER TABLE account VALIDATE CONSTRAINT visits_sane;",
        squawk=("constraint-missing-not-valid",),
    ),
    Rule(
        code="drop-constraint",
        title="A constraint dropped",
        why="What it kept out can come in, and bringing it back means reading all rows.",
        risk=Risk.MEDIUM,
        check=_dropped,
        bad="ALTER TABLE account DROP CONSTRAINT visits_sane;",
        good="ALTER TABLE account VALIDATE CONSTRAINT visits_sane;",
        hazard=Hazard.DROP_CONSTRAINT,
        squawk=("ban-drop-constraint",),
    ),
    Rule(
        code="drop-primary-key",
        title="A primary key dropped",
        why="Updates and deletes of the table can no longer be replicated, and ON CONFLICT loses its target.",
        risk=Risk.HIGH,
        check=_primary_dropped,
        bad="ALTER TABLE draft DROP CONSTRAINT draft_pkey;",
        good="ALTER TABLE account DROP CONSTRAINT visits_sane;",
    ),
    Rule(
        code="foreign-key-without-index",
        title="A foreign key whose column has no index",
        why="Each delete or change of key in the other table reads this one as a whole, and holds locks meanwhile.",
        risk=Risk.MEDIUM,
        check=_without_index,
        bad="CREATE TABLE review (id bigint PRIMARY KEY, account_id bigint REFERENCES account (id));",
        good="CREATE TABLE review (id bigint PRIMARY KEY, account_id bigint REFERENCES account (id));\n"
        "CREATE INDEX review_account_id ON review (account_id);",
    ),
    Rule(
        code="domain-with-constraint",
        title="A domain with a constraint",
        why="Its constraint cannot be changed without reading all tables that use it.",
        risk=Risk.LOW,
        check=_domain,
        bad="CREATE DOMAIN amount AS numeric CHECK (VALUE >= 0);",
        good="CREATE DOMAIN amount AS numeric;",
        squawk=("ban-create-domain-with-constraint",),
    ),
    Rule(
        code="domain-constraint-added",
        title="A constraint added to a domain in use",
        why="Every table with a column of it is locked against writes and read, one after the other.",
        risk=Risk.HIGH,
        check=_domain_altered,
        bad="ALTER DOMAIN percent ADD CONSTRAINT small CHECK (VALUE <= 100);",
        good="ALTER DOMAIN percent ADD CONSTRAINT small CHECK (VALUE <= 100) NOT VALID;",
        squawk=("ban-alter-domain-with-add-constraint",),
    ),
)
