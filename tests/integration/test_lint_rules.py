"""Each rule's examples on a real server: what is claimed of locks and rewrites is what PostgreSQL does."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from faberdb.config.linting import LintSection
from faberdb.connection import Connection, connect
from faberdb.connection import run as make
from faberdb.dsn import Dsn
from faberdb.lint.example import EXAMPLE_SCHEMA
from faberdb.lint.linting import lint_scripts
from faberdb.lint.live import Live, read_live
from faberdb.lint.registry import RULES
from faberdb.lint.rule import Rule
from faberdb.lock_modes import LOCK_MODES, merged, strongest
from faberdb.statements import Certainty, Statement, parse_script

EVERYTHING = LintSection(optional=tuple(rule.code for rule in RULES))
NEVER_RUN = {"DROP DATABASE"}
_WEAK = LOCK_MODES.index("ROW SHARE")


@pytest.fixture(scope="module")
def standing(server: Dsn) -> Iterator[Dsn]:
    """The examples' schema. What a test does here it takes back; what it cannot take back it does on a copy."""
    name = f"t_lint_{uuid.uuid4().hex[:8]}"
    with connect(server, purpose="tests") as conn:
        make(conn, "CREATE DATABASE {name}", name=name)
    dsn = server.with_database(name)
    with connect(dsn, purpose="test") as conn:
        conn.execute(EXAMPLE_SCHEMA.encode())
        conn.execute("ANALYZE")
        conn.commit()
    yield dsn
    with connect(server, purpose="tests") as conn:
        make(conn, "DROP DATABASE {name} WITH (FORCE)", name=name)


@pytest.fixture
def example(
    standing: Dsn, rule: Rule, half: str, create_database: Callable[..., Dsn]
) -> Iterator[Connection]:
    statements = parse_script(getattr(rule, half), source="x")
    lasting = any(not s.transactional or s.transaction_control for s in statements)
    dsn = create_database("lint", template=standing.database) if lasting else standing
    with connect(dsn, purpose="test") as conn:
        yield conn
        conn.rollback()


def observed(conn: Connection, script: str) -> Live:
    found = read_live(conn, {o for s in parse_script(script, source="x") for o in s.objects})
    conn.commit()
    return found


def codes(conn: Connection, script: str) -> set[str]:
    found = lint_scripts({"x": script}, live=observed(conn, script), options=EVERYTHING)
    return {f.code for f in found["x"].findings}


@pytest.mark.parametrize("half", ["bad"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_speaks_of_its_bad_example_and_the_server_does_what_is_claimed(
    rule: Rule, example: Connection
) -> None:
    assert rule.code in codes(example, rule.bad)
    if rule.code == "concurrently-in-transaction":
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            run(example, rule.bad)
    else:
        run(example, rule.bad)


@pytest.mark.parametrize("half", ["good"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_is_silent_about_its_good_example_which_runs(rule: Rule, example: Connection) -> None:
    assert rule.code not in codes(example, rule.good)
    run(example, rule.good)


def run(conn: Connection, script: str) -> None:
    """Run it statement by statement, and compare each one's claims."""
    statements = parse_script(script, source="x")
    conn.commit()
    alone = any(not s.transactional or s.transaction_control for s in statements)
    with autocommit(conn, on=alone):
        known = relations(conn)
        before: list[Statement] = []
        for statement in statements:
            if statement.verb in NEVER_RUN:
                return
            nodes = filenodes(conn)
            conn.execute(statement.text.encode())
            before.append(statement)
            if not alone:
                compare_locks(conn, known, before)
            compare_rewrites(nodes, filenodes(conn), known, statement)


@contextmanager
def autocommit(conn: Connection, *, on: bool) -> Iterator[None]:
    conn.autocommit = on
    yield
    conn.rollback()
    conn.autocommit = False


def relations(conn: Connection) -> dict[str, int]:
    rows = conn.execute(
        "SELECT relname, c.oid::bigint FROM pg_class c WHERE relnamespace = 'public'::regnamespace"
    ).fetchall()
    return dict(rows)


def filenodes(conn: Connection) -> dict[int, int]:
    return dict(
        conn.execute(
            "SELECT oid::bigint, relfilenode::bigint FROM pg_class WHERE relkind IN ('r', 'm')"
        ).fetchall()
    )


def compare_locks(conn: Connection, known: dict[str, int], before: list[Statement]) -> None:
    rows = conn.execute(
        "SELECT relation::bigint, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).fetchall()
    held: dict[int, list[str]] = {}
    for oid, mode in rows:
        held.setdefault(oid, []).append(spelled(mode))
    claimed = dict(merged(lock for s in before for lock in s.locks))
    for name in {o for s in before for o in s.objects} & known.keys():
        took = strongest(m for m in held.get(known[name], []) if LOCK_MODES.index(m) > _WEAK)
        assert took == claimed.get(name, ""), f"{name}: {before[-1].text}"


def spelled(mode: str) -> str:
    """`AccessExclusiveLock` as the documentation has it."""
    words = "".join(f" {c}" if c.isupper() else c for c in mode.removesuffix("Lock"))
    return words.strip().upper()


def compare_rewrites(
    before: dict[int, int], after: dict[int, int], known: dict[str, int], statement: Statement
) -> None:
    for name in statement.objects:
        oid = known.get(name, 0)
        if oid in before and oid in after and statement.verb != "TRUNCATE":
            changed = before[oid] != after[oid]
            if name == statement.objects[0] and statement.rewrites is not Certainty.DEPENDS:
                assert changed is (statement.rewrites is Certainty.YES), statement.text
