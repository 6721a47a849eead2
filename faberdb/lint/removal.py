"""Rules about what is dropped, emptied, renamed or moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from faberdb.grammar.parser import pb
from faberdb.lint.rule import Check, Hit, Look, Rule
from faberdb.risk import Risk
from faberdb.statements import Hazard


def _old(look: Look) -> tuple[str, ...]:
    return tuple(o for o in look.statement.objects if not look.new(o))


def _dropping(*verbs: str, said: str) -> Check:
    def check(look: Look) -> Iterator[Hit]:
        gone = _old(look)
        if look.statement.verb in verbs and gone:
            hang = [f"{d} hangs on {n}" for n in gone if (r := look.live.relation(n)) for d in r.dependents]
            more = f"; {', '.join(hang)}" if hang else ""
            yield Hit(message=f"{', '.join(gone)}: {said}{more}", rewrite=_LATER)

    return check


_LATER: Final = (
    "-- first release an application that does not use it, and look that nobody does; then drop it"
)


def _dropped_object(look: Look) -> Iterator[Hit]:
    known = {"DROP TABLE", "DROP FOREIGN TABLE", "DROP SCHEMA", "DROP DATABASE", "DROP INDEX"}
    verb = look.statement.verb
    if verb.startswith("DROP ") and verb not in known and "CONCURRENTLY" not in verb and _old(look):
        yield Hit(
            message=f"{verb.removeprefix('DROP ').lower()} {', '.join(_old(look))} is gone at once for a running"
            " application"
        )


def _cascade(look: Look) -> Iterator[Hit]:
    if look.kind == "drop_stmt" and look.body.behavior == pb.DROP_CASCADE and _old(look):
        known = [d for o in _old(look) if (r := look.live.relation(o)) for d in r.dependents]
        what = f" ({', '.join(known)})" if known else ""
        yield Hit(
            message=f"CASCADE drops what depends on {', '.join(_old(look))}{what}, named in no line of this script",
            rewrite="-- drop each dependent by its name, then this without CASCADE",
        )


def _truncate(cascades: bool) -> Check:
    def check(look: Look) -> Iterator[Hit]:
        if (
            look.kind == "truncate_stmt"
            and _old(look)
            and (look.body.behavior == pb.DROP_CASCADE or not cascades)
        ):
            names = ", ".join(_old(look))
            yield Hit(
                message=f"all tables with foreign keys to {names} are emptied too, named in no line of this script"
                if cascades
                else f"all rows of {names} are gone",
                rewrite="-- name every table that is to be emptied" if cascades else "",
            )

    return check


def _renaming(wanted: Callable[[int], bool], what: str) -> Check:
    def check(look: Look) -> Iterator[Hit]:
        if look.kind == "rename_stmt" and _old(look) and wanted(look.body.rename_type):
            old, new = _old(look)[0], look.body.newname
            view = f"ALTER TABLE {old} RENAME TO {new};\nCREATE VIEW {old} AS SELECT * FROM {new};"
            yield Hit(
                message=f"{what} {old} is {new} at once, and a running application that says the old name fails",
                rewrite=f"-- in one transaction, until no application says the old name\n{view}"
                if what == "table"
                else "",
            )

    return check


_UNSAID: Final = {pb.OBJECT_TABLE, pb.OBJECT_COLUMN, pb.OBJECT_TABCONSTRAINT, pb.OBJECT_INDEX}


def _enum_renamed(look: Look) -> Iterator[Hit]:
    if look.kind == "alter_enum_stmt" and look.body.old_val:
        yield Hit(message=f"{look.body.old_val!r} of {look.table} is gone at once for a running application")


def _moved(look: Look) -> Iterator[Hit]:
    if look.kind == "alter_object_schema_stmt" and _old(look):
        yield Hit(
            message=f"{', '.join(_old(look))} is in {look.body.newschema} at once; names with the old schema fail",
            rewrite="-- in the same transaction, leave a view of the old name behind",
        )


REMOVAL_RULES: Final = (
    Rule(
        code="drop-database",
        title="A database dropped",
        why="Everything in it is gone.",
        risk=Risk.CRITICAL,
        check=_dropping("DROP DATABASE", said="the whole database is gone"),
        bad="DROP DATABASE elsewhere;",
        good="ALTER TABLE account ADD COLUMN remark text;",
        hazard=Hazard.DROP_DATABASE,
        squawk=("ban-drop-database",),
    ),
    Rule(
        code="drop-schema",
        title="A schema dropped",
        why="Everything in it is gone with CASCADE, and without it the statement fails as soon as"
        " something is there.",
        risk=Risk.CRITICAL,
        check=_dropping("DROP SCHEMA", said="the schema is gone"),
        bad="DROP SCHEMA attic;",
        good="CREATE SCHEMA cellar;",
        hazard=Hazard.DROP_SCHEMA,
        squawk=("ban-drop-schema",),
    ),
    Rule(
        code="drop-table",
        title="A table dropped",
        why="Its rows are gone, and a running application that names it fails at once.",
        risk=Risk.HIGH,
        check=_dropping("DROP TABLE", "DROP FOREIGN TABLE", said="all its rows are gone"),
        bad="DROP TABLE draft;",
        good="CREATE TABLE unrelated (id bigint PRIMARY KEY);",
        hazard=Hazard.DROP_TABLE,
        squawk=("ban-drop-table",),
    ),
    Rule(
        code="drop-object",
        title="A view, function, type, trigger or other object dropped",
        why="What a running application still uses fails at once.",
        risk=Risk.MEDIUM,
        check=_dropped_object,
        bad="DROP VIEW emails;",
        good="CREATE OR REPLACE VIEW emails AS SELECT email FROM account;",
        hazard=Hazard.DROP_OBJECT,
        squawk=(
            "ban-drop-view",
            "ban-drop-function",
            "ban-drop-type",
            "ban-drop-sequence",
            "ban-drop-domain",
            "ban-drop-extension",
            "ban-drop-policy",
            "ban-drop-trigger",
        ),
    ),
    Rule(
        code="drop-cascade",
        title="DROP ... CASCADE",
        why="It also drops what depends on it, and no line of the script says what that is.",
        risk=Risk.HIGH,
        check=_cascade,
        bad="DROP TABLE account CASCADE;",
        good="DROP TABLE draft;",
    ),
    Rule(
        code="truncate",
        title="A table emptied",
        why="All rows are gone, under ACCESS EXCLUSIVE.",
        risk=Risk.HIGH,
        check=_truncate(cascades=False),
        bad="TRUNCATE draft;",
        good="DELETE FROM draft WHERE id < 0;",
        hazard=Hazard.TRUNCATE,
    ),
    Rule(
        code="truncate-cascade",
        title="TRUNCATE ... CASCADE",
        why="It empties every table with a foreign key to it, and no line of the script says which.",
        risk=Risk.HIGH,
        check=_truncate(cascades=True),
        bad="TRUNCATE account CASCADE;",
        good="TRUNCATE draft;",
        squawk=("ban-truncate-cascade",),
    ),
    Rule(
        code="rename-table",
        title="A table renamed",
        why="There is no moment at which the old and the new application both work.",
        risk=Risk.MEDIUM,
        check=_renaming(lambda kind: kind == pb.OBJECT_TABLE, "table"),
        bad="ALTER TABLE draft RENAME TO sketch;",
        good="CREATE VIEW sketch AS SELECT * FROM draft;",
        hazard=Hazard.RENAME,
        squawk=("renaming-table",),
    ),
    Rule(
        code="rename-object",
        title="A view, type, function or other object renamed",
        why="There is no moment at which the old and the new application both work.",
        risk=Risk.MEDIUM,
        check=_renaming(lambda kind: kind not in _UNSAID, "object"),
        bad="ALTER VIEW emails RENAME TO addresses;",
        good="CREATE VIEW addresses AS SELECT email FROM account;",
        hazard=Hazard.RENAME,
        squawk=("renaming-object",),
    ),
    Rule(
        code="rename-enum-value",
        title="A value of an enum renamed",
        why="The running application still writes the old one, and fails.",
        risk=Risk.MEDIUM,
        check=_enum_renamed,
        bad="ALTER TYPE mood RENAME VALUE 'sad' TO 'low';",
        good="ALTER TYPE mood ADD VALUE 'low';",
        hazard=Hazard.RENAME,
    ),
    Rule(
        code="set-schema",
        title="An object moved into another schema",
        why="There is no moment at which the old and the new application both find it.",
        risk=Risk.MEDIUM,
        check=_moved,
        bad="ALTER TABLE draft SET SCHEMA attic;",
        good="CREATE VIEW attic.draft AS SELECT * FROM public.draft;",
        hazard=Hazard.RENAME,
        squawk=("ban-set-schema",),
    ),
)
