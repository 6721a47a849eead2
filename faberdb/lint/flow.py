"""Rules about a script as a whole: transactions, locks held together, rows written beside definitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from faberdb.grammar.parser import long_names
from faberdb.lint.constraints import validated_with_add
from faberdb.lint.reading import alters
from faberdb.lint.rule import Hit, Look, Rule
from faberdb.risk import Risk
from faberdb.statements import Hazard

_ALL: Final = "ACCESS EXCLUSIVE"
_WRITES: Final = {"UPDATE", "DELETE", "MERGE"}


def _held(look: Look) -> dict[str, str]:
    """What its transaction holds in ACCESS EXCLUSIVE already, with the statement's verb."""
    return {n: b.statement.verb for b in look.together for n, m in b.statement.locks if m == _ALL and n}


def _several(look: Look) -> Iterator[Hit]:
    wanted = [n for n, m in look.statement.locks if m == _ALL and n]
    held = _held(look) if wanted else {}
    mine = [n for n in wanted if n not in held]
    if held and mine:
        yield Hit(
            message=f"it waits for {', '.join(mine)} while it keeps everybody from {', '.join(held)}",
            relations=(*held, *mine),
            rewrite="-- a script for each table",
        )


def _more_work(look: Look) -> Iterator[Hit]:
    works = look.statement.verb in _WRITES or look.statement.opaque or bool(look.statement.scans)
    held = _held(look) if works and not _own_lock(look) else {}
    if held and not any(True for said in (_backfill, validated_with_add) for _ in said(look)):
        yield Hit(
            message=f"{look.statement.verb} goes on while nobody reads {', '.join(held)}",
            relations=tuple(held),
            rewrite="-- the quick statements with their locks last, or in a script of their own",
        )


def _own_lock(look: Look) -> bool:
    """Whether it takes the strongest lock itself: then that is what its own rule says."""
    return look.statement.lock == _ALL


def _backfill(look: Look) -> Iterator[Hit]:
    if look.statement.verb not in _WRITES:
        return
    changed = [o for b in look.together for o in b.statement.objects if "ALTER" in b.statement.verb]
    if any(o in changed for o in look.statement.objects):
        yield Hit(
            message=f"rows of {look.table} are written in the transaction that alters it: all wait for its end",
            relations=(look.table,),
            rewrite="-- in a script of its own, in batches of some thousand rows",
        )


def _split(look: Look) -> Iterator[Hit]:
    if look.kind != "alter_table_stmt" or not look.statement.scans:
        return
    earlier = [b for b in look.together if b.kind == "alter_table_stmt" and b.table == look.table]
    if earlier and earlier[-1].statement.scans:
        if any(True for _ in alters(look, "AT_ValidateConstraint")):
            return
        yield Hit(
            message=f"{look.table} is read as a whole by one ALTER TABLE after the other; one with"
            f" both reads it once",
            relations=(look.table,),
            rewrite=f"ALTER TABLE {look.table} ..., ...;",
        )


def _update(look: Look) -> Iterator[Hit]:
    if Hazard.UPDATE_WITHOUT_WHERE in look.statement.hazards and not look.new(look.table):
        yield Hit(
            message=f"every row of {look.table} is written and locked until the end of the transaction",
            relations=(look.table,),
            rewrite="-- again and again, each in its own transaction, until no row changes\n"
            f"UPDATE {look.table} SET ... WHERE id IN (SELECT id FROM {look.table} WHERE ... LIMIT 5000);",
        )


def _delete(look: Look) -> Iterator[Hit]:
    if Hazard.DELETE_WITHOUT_WHERE in look.statement.hazards and not look.new(look.table):
        yield Hit(message=f"every row of {look.table} goes")


def _opaque(look: Look) -> Iterator[Hit]:
    if look.statement.opaque:
        yield Hit(
            message=f"{look.statement.verb} runs code that cannot be judged before it runs: its locks, and what it"
            " destroys, are not known"
        )


def _timeout_off(look: Look) -> Iterator[Hit]:
    if look.kind != "variable_set_stmt" or look.body.name not in {"lock_timeout", "statement_timeout"}:
        return
    values = [a.a_const for a in look.body.args]
    if any(v.HasField("ival") and v.ival.ival == 0 for v in values) or any(
        v.sval.sval in {"0", "0s"} for v in values
    ):
        yield Hit(
            message=f"{look.body.name} is switched off: the release no longer keeps to its budget",
            rewrite=f"-- leave it out: faber-db sets {look.body.name} from the plan",
        )


def _nested(look: Look) -> Iterator[Hit]:
    if look.statement.verb in {"BEGIN", "START TRANSACTION"} and look.in_transaction:
        yield Hit(
            message="a transaction is open already: this begins none, and the next COMMIT ends the first"
        )


def _unfinished(look: Look) -> Iterator[Hit]:
    ends = {"COMMIT", "ROLLBACK", "END"}
    if look.statement.verb in {"BEGIN", "START TRANSACTION"} and not any(s.verb in ends for s in look.after):
        yield Hit(message="no COMMIT follows: nothing of it stays", rewrite="COMMIT;")


def _long_name(look: Look) -> Iterator[Hit]:
    for name in dict.fromkeys(long_names(look.statement.text)):
        yield Hit(message=f"{name} is cut to its first 63 bytes, and may then be another's name")


def _not_again(look: Look) -> Iterator[Hit]:
    if look.in_transaction or not look.statement.verb.startswith(("CREATE TABLE", "CREATE INDEX", "DROP ")):
        return
    if not (getattr(look.body, "if_not_exists", False) or getattr(look.body, "missing_ok", False)):
        yield Hit(message=f"{look.statement.verb} fails where an earlier, half done run did it already")


FLOW_RULES: Final = (
    Rule(
        code="several-exclusive-locks",
        title="Several tables locked against everybody in one transaction",
        why="Each is kept until the end, also while it waits for the next, and two such scripts may deadlock.",
        risk=Risk.HIGH,
        check=_several,
        bad="ALTER TABLE account ADD COLUMN x text;\nALTER TABLE draft ADD COLUMN x text;",
        good="ALTER TABLE account ADD COLUMN x text;\nALTER TABLE account ADD COLUMN y text;",
    ),
    Rule(
        code="work-under-exclusive-lock",
        title="More work after a lock against everybody",
        why="ACCESS EXCLUSIVE is kept to the end of the transaction: what reads or writes rows"
        " after it makes all wait.",
        risk=Risk.HIGH,
        check=_more_work,
        bad="ALTER TABLE draft ADD COLUMN x text;\nUPDATE account SET visits = 0 WHERE visits IS NULL;",
        good="UPDATE account SET visits = 0 WHERE visits IS NULL;\nALTER TABLE draft ADD COLUMN x text;",
    ),
    Rule(
        code="backfill-with-ddl",
        title="Rows written in the transaction that alters their table",
        why="The table's lock is held until the last row is written.",
        risk=Risk.HIGH,
        check=_backfill,
        bad="ALTER TABLE account ADD COLUMN x text;\nUPDATE account SET x = note WHERE x IS NULL;",
        good="UPDATE account SET note = '' WHERE note IS NULL;",
    ),
    Rule(
        code="separate-alters",
        title="One table read as a whole again and again",
        why="Subcommands of one ALTER TABLE share one pass over the rows.",
        risk=Risk.LOW,
        check=_split,
        bad="ALTER TABLE account ALTER COLUMN note SET NOT NULL;\nALTER TABLE account ALTER COLUMN"
        " code SET NOT NULL;",
        good="ALTER TABLE account ALTER COLUMN note SET NOT NULL, ALTER COLUMN code SET NOT NULL;",
    ),
    Rule(
        code="update-all-rows",
        title="UPDATE without WHERE",
        why="Every row is locked and written in one transaction, and the table grows to twice its size.",
        risk=Risk.HIGH,
        check=_update,
        bad="UPDATE account SET visits = 0;",
        good="UPDATE account SET visits = 0 WHERE id < 5000 AND visits IS NULL;",
        hazard=Hazard.UPDATE_WITHOUT_WHERE,
    ),
    Rule(
        code="delete-all-rows",
        title="DELETE without WHERE",
        why="Every row goes, one by one, and the space stays until a VACUUM.",
        risk=Risk.HIGH,
        check=_delete,
        bad="DELETE FROM draft;",
        good="DELETE FROM draft WHERE id < 5000;",
        hazard=Hazard.DELETE_WITHOUT_WHERE,
    ),
    Rule(
        code="opaque-code",
        title="Code that cannot be judged from outside",
        why="What a DO block or a procedure locks, writes and destroys is seen only when it runs, as in a rehearsal.",
        risk=Risk.MEDIUM,
        check=_opaque,
        bad="DO $$ BEGIN ALTER TABLE account ADD COLUMN x text; END $$;",
        good="ALTER TABLE account ADD COLUMN x text;",
    ),
    Rule(
        code="timeout-off",
        title="A time-out switched off",
        why="Without one, a statement that waits for a lock makes everybody behind it wait without end.",
        risk=Risk.HIGH,
        check=_timeout_off,
        bad="SET lock_timeout = 0;",
        good="SET lock_timeout = '2s';",
    ),
    Rule(
        code="nested-begin",
        title="BEGIN inside a transaction",
        why="PostgreSQL only warns, and the next COMMIT ends more than it seems to.",
        risk=Risk.MEDIUM,
        check=_nested,
        bad="BEGIN;\nBEGIN;\nCOMMIT;",
        good="BEGIN;\nCOMMIT;",
        squawk=("transaction-nesting",),
    ),
    Rule(
        code="unfinished-transaction",
        title="BEGIN without COMMIT",
        why="The transaction is rolled back when the session ends, and the migration counts as done.",
        risk=Risk.HIGH,
        check=_unfinished,
        bad="BEGIN;\nALTER TABLE account ADD COLUMN x text;",
        good="BEGIN;\nALTER TABLE account ADD COLUMN x text;\nCOMMIT;",
        squawk=("ban-uncommitted-transaction",),
    ),
    Rule(
        code="name-too-long",
        title="A name of more than 63 bytes",
        why="PostgreSQL cuts it with a mere notice; what the script calls it and what it is called differ.",
        risk=Risk.MEDIUM,
        check=_long_name,
        bad=f"CREATE TABLE {'n' * 64} (id bigint PRIMARY KEY);",
        good=f"CREATE TABLE {'n' * 63} (id bigint PRIMARY KEY);",
        squawk=("identifier-too-long",),
    ),
    Rule(
        code="not-repeatable",
        title="Outside a transaction, and not to be run again",
        why="A script that is not one transaction may stop half done; with IF [NOT] EXISTS it can"
        " begin anew. faber-db's"
        " journal goes on at the right statement, other tools do not.",
        risk=Risk.LOW,
        check=_not_again,
        bad="DROP INDEX CONCURRENTLY account_code;",
        good="DROP INDEX CONCURRENTLY IF EXISTS account_code;",
        squawk=("prefer-robust-stmts",),
        optional=True,
    ),
)
