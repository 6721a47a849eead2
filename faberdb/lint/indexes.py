"""Rules about indexes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from faberdb.lint.reading import safer
from faberdb.lint.rule import Hit, Look, Rule
from faberdb.risk import Risk


def _blocking(look: Look) -> Iterator[Hit]:
    if look.kind == "index_stmt" and not look.body.concurrent and not look.new(look.table):
        yield Hit(
            message=f"writes to {look.table} wait while the index {look.body.idxname} is built".replace(
                "  ", " "
            ),
            relations=(look.table,),
            rewrite=safer(look) or "CREATE INDEX CONCURRENTLY name ON ...;",
        )


def _dropping(look: Look) -> Iterator[Hit]:
    if look.statement.verb == "DROP INDEX" and not all(look.new(o) for o in look.statement.objects):
        yield Hit(
            message=f"reads and writes of the table of {', '.join(look.statement.objects)} wait for"
            f" it, and it for them",
            relations=look.statement.objects,
            rewrite="\n".join(f"DROP INDEX CONCURRENTLY {name};" for name in look.statement.objects),
        )


def _rebuilding(look: Look) -> Iterator[Hit]:
    if look.statement.verb == "REINDEX":
        yield Hit(
            message=f"writes to the table wait while {look.table or 'everything'} is built anew, and so do reads",
            relations=look.statement.objects,
            rewrite=look.statement.text[: len("REINDEX")]
            + " (CONCURRENTLY)"
            + look.statement.text[len("REINDEX") :]
            + ";",
        )


def _in_transaction(look: Look) -> Iterator[Hit]:
    if "CONCURRENTLY" in look.statement.verb and not look.statement.transactional and look.in_transaction:
        yield Hit(
            message=f"PostgreSQL refuses {look.statement.verb} inside a transaction block",
            rewrite=f"{look.statement.text};\n-- in a script without BEGIN",
        )


def _unnamed(look: Look) -> Iterator[Hit]:
    if look.kind == "index_stmt" and look.body.concurrent and not look.body.idxname:
        yield Hit(
            message=f"the index on {look.table} has no name: one that a failed build left invalid is not found again",
            rewrite="CREATE INDEX CONCURRENTLY name ON ...;",
        )


def _blindly(look: Look) -> Iterator[Hit]:
    if look.kind == "index_stmt" and look.body.concurrent and look.body.if_not_exists:
        yield Hit(
            message=f"IF NOT EXISTS is content with an invalid {look.body.idxname} that a failed build left",
            rewrite=look.statement.text.replace("IF NOT EXISTS ", "").replace("if not exists ", "") + ";",
        )


def _wide(look: Look) -> Iterator[Hit]:
    if look.kind == "index_stmt" and len(look.body.index_params) > 3 and not look.body.unique:
        count = len(look.body.index_params)
        yield Hit(
            message=f"{look.body.idxname or 'the index'} has {count} columns; beyond the third few queries use one"
        )


def _many_nulls(look: Look) -> Iterator[Hit]:
    if look.kind != "index_stmt" or not look.body.unique or look.body.nulls_not_distinct:
        return
    live = look.live.relation(look.table)
    names = [p.index_elem.name for p in look.body.index_params if p.index_elem.name]
    maybe = [n for n in names if live is not None and n in live.nullable]
    if maybe and not look.body.HasField("where_clause"):
        yield Hit(
            message=f"{', '.join(maybe)} of {look.table} may be null, and rows with a null are never equal here",
            rewrite=f"{look.statement.text} NULLS NOT DISTINCT;",
        )


INDEX_RULES: Final = (
    Rule(
        code="index-blocks-writes",
        title="An index built without CONCURRENTLY",
        why="All writes to the table wait until it is built; CONCURRENTLY lets them go on.",
        risk=Risk.HIGH,
        check=_blocking,
        bad="CREATE INDEX account_note ON account (note);",
        good="CREATE INDEX CONCURRENTLY account_note ON account (note);",
        squawk=("require-concurrent-index-creation",),
    ),
    Rule(
        code="drop-index-blocks",
        title="An index dropped without CONCURRENTLY",
        why="It needs ACCESS EXCLUSIVE on its table: behind one long query, all others wait for it.",
        risk=Risk.MEDIUM,
        check=_dropping,
        bad="DROP INDEX account_code;",
        good="DROP INDEX CONCURRENTLY account_code;",
        squawk=("require-concurrent-index-deletion", "ban-drop-index"),
    ),
    Rule(
        code="reindex-blocks",
        title="An index built anew without CONCURRENTLY",
        why="Writes wait, and so do reads that would use the index.",
        risk=Risk.HIGH,
        check=_rebuilding,
        bad="REINDEX INDEX account_code;",
        good="REINDEX INDEX CONCURRENTLY account_code;",
        squawk=("require-concurrent-reindex",),
    ),
    Rule(
        code="concurrently-in-transaction",
        title="CONCURRENTLY inside a transaction",
        why="PostgreSQL refuses it, so the script always fails there.",
        risk=Risk.HIGH,
        check=_in_transaction,
        bad="BEGIN;\nCREATE INDEX CONCURRENTLY account_note ON account (note);\nCOMMIT;",
        good="CREATE INDEX CONCURRENTLY account_note ON account (note);",
        squawk=("ban-concurrent-index-creation-in-transaction",),
    ),
    Rule(
        code="concurrent-index-unnamed",
        title="An index without a name, built concurrently",
        why="A failed build leaves an invalid index behind, and only by its name it is found and dropped.",
        risk=Risk.LOW,
        check=_unnamed,
        bad="CREATE INDEX CONCURRENTLY ON account (note);",
        good="CREATE INDEX CONCURRENTLY account_note ON account (note);",
    ),
    Rule(
        code="concurrent-index-if-not-exists",
        title="IF NOT EXISTS on an index built concurrently",
        why="After a failed build the invalid index is there, so the second try does nothing and says it went well.",
        risk=Risk.LOW,
        check=_blindly,
        bad="CREATE INDEX CONCURRENTLY IF NOT EXISTS account_note ON account (note);",
        good="CREATE INDEX CONCURRENTLY account_note ON account (note);",
    ),
    Rule(
        code="index-wide",
        title="An index of more than three columns",
        why="It costs at every write, and rarely serves more than an index of its first columns would.",
        risk=Risk.LOW,
        check=_wide,
        bad="CREATE INDEX CONCURRENTLY many ON account (email, note, visits, code);",
        good="CREATE INDEX CONCURRENTLY few ON account (email, note);",
    ),
    Rule(
        code="unique-index-nulls",
        title="A unique index on a column that may be null",
        why="Two nulls are not equal, so rows that look the same both come in.",
        risk=Risk.LOW,
        check=_many_nulls,
        bad="CREATE UNIQUE INDEX CONCURRENTLY once ON account (note);",
        good="CREATE UNIQUE INDEX CONCURRENTLY once ON account (note) NULLS NOT DISTINCT;",
    ),
)
