"""A script as PostgreSQL reads it: split into statements, each with what it does and how it can hurt.

Splitting and classifying use PostgreSQL's own grammar, never regular expressions. Refuses to know which
tool a script belongs to and what a policy thinks of it (`faberdb.risk`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from faberdb.errors import UnreadableSql
from faberdb.grammar.parser import NotInGrammar, parse
from faberdb.lock_modes import strongest

if TYPE_CHECKING:
    from faberdb.grammar.effects import Effects
    from faberdb.grammar.facts import Facts


class Hazard(StrEnum):
    """A way in which a statement loses data or breaks what uses the schema. Values are configuration keys."""

    DROP_DATABASE = "drop_database"
    DROP_SCHEMA = "drop_schema"
    DROP_TABLE = "drop_table"
    TRUNCATE = "truncate"
    DELETE_WITHOUT_WHERE = "delete_without_where"
    UPDATE_WITHOUT_WHERE = "update_without_where"
    DELETE_WITH_WHERE = "delete_with_where"
    DROP_COLUMN = "drop_column"
    DROP_CONSTRAINT = "drop_constraint"
    ALTER_COLUMN_TYPE = "alter_column_type"
    RENAME = "rename"  # of a table, column, type, ...: the running application still uses the old name
    DROP_OBJECT = "drop_object"  # a view, index, type, function, trigger, extension, ...


class Certainty(StrEnum):
    """What the text of a statement says about what happens."""

    YES = "yes"
    NO = "no"
    DEPENDS = "depends"  # on what is in the database


class Statement(Struct, frozen=True, kw_only=True):
    """One statement of a script."""

    text: str  # without its semicolon and without the comments before it
    line: int  # in the script, from 1: where `text` begins
    verb: str  # the command's name, such as "ALTER TABLE" or "CREATE INDEX CONCURRENTLY"
    objects: tuple[str, ...]  # what it touches, quoted where needed, schema-qualified as written
    hazards: tuple[Hazard, ...]
    transactional: bool  # False: PostgreSQL refuses it inside a transaction block
    transaction_control: bool  # BEGIN, COMMIT, ..., or code that may contain them
    opaque: bool  # runs code that cannot be judged from outside (DO, CALL)
    locks: tuple[
        tuple[str, str], ...
    ]  # relation and mode, ROW EXCLUSIVE and up, on what the script did not make
    creates: tuple[str, ...]  # the relations that it makes
    rewrites: Certainty  # whether a table's rows are all written anew
    scans: tuple[str, ...]  # relations that it may read as a whole while it holds its locks
    destroys: str  # what is gone afterwards, in words; "" for nothing
    adds_only: bool  # nothing that existed before changes or goes

    @property
    def lock(self) -> str:
        """The strongest of its locks, "" for none."""
        return strongest(mode for _, mode in self.locks)

    @property
    def reversible(self) -> bool:
        """Whether another statement can bring back what was; of code that runs unseen nobody knows."""
        return not self.destroys and not self.opaque


class ConcurrentIndex(Struct, frozen=True, kw_only=True):
    """The index that a CREATE INDEX CONCURRENTLY makes."""

    name: str
    table: str
    schema: str  # "" where the statement leaves it to the search path


ADD_ENUM_VALUE: Final = "ALTER TYPE ADD VALUE"

# Every statement that controls transactions or the session, runs code, speaks over the connection or is
# refused inside a transaction either begins with one of these words or holds one of those.
_FIRST_WORDS: Final = (
    "ABORT|BEGIN|CALL|CLUSTER|COMMIT|COPY|DISCARD|DO|END|PREPARE|REINDEX|RELEASE|RESET|ROLLBACK|SAVEPOINT|SET"
    "|START|VACUUM"
)
_INNER_WORDS: Final = "ADD\\s+VALUE|CONCURRENTLY|DATABASE|SET_CONFIG|SUBSCRIPTION|SYSTEM|TABLESPACE"
_UNUSUAL: Final = re.compile(
    rf"(?:^|;|\*/)\s*(?:{_FIRST_WORDS})\b|{_INNER_WORDS}|\0", re.IGNORECASE | re.MULTILINE
)
_MAY_COMMIT: Final = re.compile(r"\b(commit|rollback)\b", re.IGNORECASE)
_LEADING_LINE_COMMENT: Final = re.compile(r"--[^\n]*\n?")
_COPY_DATA: Final = re.compile(r"^\s*copy\b[^;]*\bfrom\s+stdin\b", re.IGNORECASE | re.MULTILINE)


def parse_script(script: str, *, source: str) -> tuple[Statement, ...]:
    """Split and classify a script.

    Args:
        script: SQL text; comments and empty statements are no statements.
        source: how an error names the script, such as a revision's name.

    Raises:
        UnreadableSql: PostgreSQL's grammar does not accept it, or psql's own syntax is in it.
    """
    return _parse(script, source)


@lru_cache(maxsize=1024)  # a release reads each script when it plans, checks and applies
def _parse(script: str, source: str) -> tuple[Statement, ...]:
    from faberdb.grammar.effects import effects_of  # noqa: PLC0415 -- they know our nouns, and load the grammar
    from faberdb.grammar.readers import facts_of  # noqa: PLC0415

    created: set[str] = set()
    statements = []
    for node, text, line in _split(script, source):
        facts = facts_of(node)
        if facts.copies:
            raise _over_the_wire(source, line, facts.copies)
        statements.append(_statement(facts, effects_of(node, facts), text, line, created))
        if not _indexes_older(facts, created):
            created.update(facts.creates)
    return tuple(statements)


def _indexes_older(facts: Facts, created: set[str]) -> bool:
    """Whether it makes an index on a table that was there: what locks the index later locks that table."""
    return facts.verb.startswith("CREATE INDEX") and not created.issuperset(facts.objects)


def _statement(facts: Facts, effects: Effects, text: str, line: int, created: set[str]) -> Statement:
    known = created | {""} if facts.objects and created.issuperset(facts.objects) else created
    return Statement(
        text=text,
        line=line,
        verb=facts.verb,
        objects=facts.objects,
        hazards=facts.hazards,
        transactional=facts.transactional,
        transaction_control=facts.transaction_control or (facts.opaque and _may_commit(facts, text)),
        opaque=facts.opaque,
        locks=tuple((name, mode) for name, mode in facts.locks if name not in known),
        creates=facts.creates,
        rewrites=effects.rewrites,
        scans=tuple(name for name in effects.scans if name not in created),
        destroys=effects.destroys,
        adds_only=facts.adds_only,
    )


def _may_commit(facts: Facts, text: str) -> bool:
    return facts.verb == "CALL" or _MAY_COMMIT.search(text) is not None


def surely_ordinary(script: str) -> bool:
    """Whether a look at the words alone shows that a script fits in one transaction and leaves the session
    as it was. False says nothing; parsing does.

    Before a statement's first word stands the script's begin, a semicolon, a line's end or a comment's end,
    and white space: so no statement is missed, and words inside texts only cost the shortcut.
    """
    return _UNUSUAL.search(script) is None


def fits_one_transaction(statements: Sequence[Statement]) -> bool:
    """Whether a script can run as a whole or not at all: each statement may be in a transaction, none controls
    it, and none uses an enum's value that another one adds."""
    if not all(s.transactional and not s.transaction_control for s in statements):
        return False
    return not any(
        s.verb == ADD_ENUM_VALUE and _used(_added_value(s), statements[n + 1 :])
        for n, s in enumerate(statements)
    )


def _added_value(statement: Statement) -> str:
    ((node, _, _),) = _split(statement.text, statement.verb)
    return str(node.alter_enum_stmt.new_val)


def _used(value: str, statements: Sequence[Statement]) -> bool:
    """PostgreSQL refuses it until the value is committed; one too many costs only the single transaction."""
    literal = "'" + value.replace("'", "''") + "'"
    return any(s.verb != ADD_ENUM_VALUE and (s.opaque or literal in s.text) for s in statements)


def concurrent_index(statement: Statement) -> ConcurrentIndex | None:
    """What a CREATE INDEX CONCURRENTLY makes; None for other statements and for an index without a name."""
    if statement.verb != "CREATE INDEX CONCURRENTLY":
        return None
    ((node, _, _),) = _split(statement.text, statement.verb)
    build = node.index_stmt
    if not build.idxname:
        return None
    return ConcurrentIndex(name=build.idxname, table=build.relation.relname, schema=build.relation.schemaname)


def _split(script: str, source: str) -> Iterator[tuple[Any, str, int]]:
    """Each statement's parse tree, text and line. The grammar counts bytes, so this does too."""
    if "\0" in script:
        raise _refusal(source, script[: script.index("\0")].count("\n") + 1, "it contains a NUL byte", "")
    try:
        tree = parse(script)
    except NotInGrammar as error:
        raise _unreadable(script, source, error.message, error.position) from None
    raw = script.encode()
    counted, line = 0, 1
    for item in tree.stmts:
        end = item.stmt_location + item.stmt_len if item.stmt_len else len(raw)
        text = raw[item.stmt_location : end].decode()
        body = _without_leading_comments(text)
        start = item.stmt_location + len(text[: len(text) - len(body)].encode())
        line += raw.count(b"\n", counted, start)
        counted = start
        yield item.stmt, body.rstrip(), line


def _without_leading_comments(text: str) -> str:
    while True:
        text = text.lstrip()
        if text.startswith("--"):
            text = _LEADING_LINE_COMMENT.sub("", text, count=1)
        elif text.startswith("/*"):
            text = text[_end_of_block_comment(text) :]
        else:
            return text


def _end_of_block_comment(text: str) -> int:
    depth = 0
    for mark in re.finditer(r"/\*|\*/", text):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


_PSQL_VARIABLE: Final = re.compile(r""":(?:'[^'\n]+'|"[^"\n]+"|[A-Za-z_]\w*)""")


def _unreadable(script: str, source: str, message: str, position: int) -> UnreadableSql:
    place = max(position - 1, 0)
    line = script.count("\n", 0, place) + 1
    if script.startswith("\ufeff"):
        return _refusal(source, 1, "it begins with a byte order mark", "save the file as UTF-8 without BOM")
    here = script.splitlines()[line - 1].lstrip() if script.strip() else ""
    command = here if here.startswith("\\") else script[place:]
    if command.startswith("\\") and not _COPY_DATA.search(script, 0, place):
        name = command.split()[0]
        return _refusal(
            source, line, f"{name} is a command of psql, not SQL", "replace it by the SQL it does"
        )
    if _COPY_DATA.search(script, 0, place):
        return _over_the_wire(source, line, "FROM STDIN")
    if variable := _PSQL_VARIABLE.match(script, place):
        return _refusal(
            source, line, f"{variable.group()} is a variable of psql, not SQL", "write the value in its place"
        )
    return _refusal(source, line, message, "correct the script; faber-db plan reads it again")


def _over_the_wire(source: str, line: int, which: str) -> UnreadableSql:
    if which == "TO STDOUT":
        advice = "take it out, or write into a table what is to be kept"
        return _refusal(source, line, "COPY ... TO STDOUT needs psql, which takes the data", advice)
    advice = "write the rows as INSERT statements, or load them from the application"
    return _refusal(source, line, "COPY ... FROM STDIN needs psql, which sends the data", advice)


def _refusal(source: str, line: int, why: str, next_step: str) -> UnreadableSql:
    return UnreadableSql(f"{source}, line {line}: not readable as PostgreSQL.", why=why, next_step=next_step)
