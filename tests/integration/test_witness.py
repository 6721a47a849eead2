"""What the database of a copy saw of each kind of statement: mode, relation, rewrite, scan, rows, time."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from faberdb.budget import Budget
from faberdb.connection import connect, run
from faberdb.dsn import Dsn
from faberdb.errors import Contended, FaberError
from faberdb.plan import PlannedStatement, Step
from faberdb.progress import silent
from faberdb.revision import Revision
from faberdb.risk import Risk
from faberdb.statements import parse_script
from faberdb.tools import open_tool
from faberdb.witness import Witness, Witnessed
from faberdb.witness.install import Means

BUDGET = Budget(lock_timeout_s=5, statement_timeout_s=60)
ROWS = 20_000
Watched = Callable[..., list[Witnessed]]


@pytest.fixture
def copy(fresh_database: Dsn) -> Dsn:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute(
            "CREATE TABLE account (id int PRIMARY KEY, owner text, balance int);"
            "CREATE TABLE entry (id int PRIMARY KEY, account int);"
            f"INSERT INTO account SELECT n, 'owner ' || n, n FROM generate_series(1, {ROWS}) n;"
            f"INSERT INTO entry SELECT n, n FROM generate_series(1, {ROWS}) n".encode()
        )
    return fresh_database


@pytest.fixture
def watched(copy: Dsn, tmp_path: Path) -> Watched:
    """Runs scripts as one revision each, by the tool's own executor, and tells what was seen."""

    def watch(*scripts: str, dsn: Dsn = copy, means: Means = Means.EVENTS) -> list[Witnessed]:
        for number, script in enumerate(scripts):
            folder = tmp_path / "migrations" / f"{number:04}_test"
            folder.mkdir(parents=True)
            (folder / "migration.sql").write_text(script)
        tool = open_tool("prisma", directory=tmp_path / "migrations", schema_file=None)
        with connect(dsn, purpose="test") as conn:
            tool.ensure_tracking(conn)
            with Witness(conn, tracking=tool.tracking_tables, schema="public") as witness:
                assert witness.means is means
                for revision in tool.revisions():
                    with suppress(FaberError), witness.watching(step(revision)):
                        tool.apply(conn, revision, BUDGET, silent)
        return witness.seen

    return watch


def step(revision: Revision) -> Step:
    return Step(
        revision=revision.name,
        checksum=revision.checksum,
        atomic=True,
        budget=BUDGET,
        undo="aborted",
        statements=tuple(
            PlannedStatement(
                text=s.text,
                line=s.line,
                verb=s.verb,
                objects=s.objects,
                lock=s.lock,
                risk=Risk.LOW,
                transactional=s.transactional,
            )
            for s in parse_script(revision.script, source=revision.name)
        ),
    )


def locks(seen: Witnessed) -> set[tuple[str, str]]:
    return {(lock.relation, lock.mode) for lock in seen.locks}


def scans(seen: Witnessed) -> dict[str, int]:
    return {s.relation: s.rows for s in seen.scans}


def test_a_new_column_keeps_everybody_out(watched: Watched) -> None:
    (seen,) = watched("ALTER TABLE account ADD COLUMN note text;")
    assert locks(seen) == {("account", "ACCESS EXCLUSIVE")}
    assert (seen.rewrites, seen.scans, seen.rows) == ((), (), None)


def test_an_index_keeps_writers_out_while_the_table_is_read(watched: Watched) -> None:
    (seen,) = watched("CREATE INDEX ON account (owner);")
    assert locks(seen) == {("account", "SHARE")}
    assert scans(seen) == {"account": ROWS}


def test_an_index_built_concurrently_lets_writers_go_on_in_several_transactions(watched: Watched) -> None:
    (seen,) = watched("CREATE INDEX CONCURRENTLY slow ON account (md5(owner || repeat('x', 2000)));")
    assert ("account", "SHARE UPDATE EXCLUSIVE") in locks(seen)
    assert not locks(seen) & {("account", "SHARE"), ("account", "ACCESS EXCLUSIVE")}
    assert seen.transactions == 2


def test_an_index_rebuilt_concurrently_keeps_nobody_out(watched: Watched) -> None:
    _, seen = watched(
        "CREATE INDEX CONCURRENTLY slow ON account (md5(owner || repeat('x', 2000)));",
        "REINDEX INDEX CONCURRENTLY slow;",
    )
    assert not [mode for _, mode in locks(seen) if mode != "SHARE UPDATE EXCLUSIVE"]
    assert not seen.disagrees


def test_a_foreign_key_keeps_writers_out_of_both_tables(watched: Watched) -> None:
    (seen,) = watched("ALTER TABLE entry ADD FOREIGN KEY (account) REFERENCES account (id);")
    assert {("account", "SHARE ROW EXCLUSIVE"), ("entry", "SHARE ROW EXCLUSIVE")} <= locks(seen)
    assert scans(seen)["entry"] == ROWS


def test_a_new_type_writes_the_table_anew_and_says_why(watched: Watched) -> None:
    (seen,) = watched("ALTER TABLE account ALTER COLUMN balance TYPE bigint;")
    assert ("account", "ACCESS EXCLUSIVE") in locks(seen)
    assert [(r.relation, r.reason) for r in seen.rewrites] == [("account", "a column's type")]


def test_a_volatile_default_writes_the_table_anew(watched: Watched) -> None:
    (seen,) = watched("ALTER TABLE account ADD COLUMN token uuid DEFAULT gen_random_uuid();")
    assert [r.reason for r in seen.rewrites] == ["a new column's value"]


def test_a_type_with_the_same_form_writes_nothing_anew(watched: Watched) -> None:
    (seen,) = watched("ALTER TABLE account ALTER COLUMN owner TYPE varchar;")
    assert seen.rewrites == ()


def test_not_null_reads_the_whole_table(watched: Watched) -> None:
    (seen,) = watched("ALTER TABLE account ALTER COLUMN owner SET NOT NULL;")
    assert locks(seen) == {("account", "ACCESS EXCLUSIVE")}
    assert scans(seen) == {"account": ROWS}


def test_an_update_of_every_row_says_how_many(watched: Watched) -> None:
    (seen,) = watched("UPDATE account SET balance = balance + 1;")
    assert locks(seen) == {("account", "ROW EXCLUSIVE")}
    assert (seen.rows, scans(seen)) == (ROWS, {"account": ROWS})
    assert seen.exact


def test_statements_between_others_keep_what_is_theirs(watched: Watched) -> None:
    first, second, third = watched(
        "UPDATE account SET owner = 'x';\nDELETE FROM entry WHERE id <= 10;\nCREATE INDEX ON entry (account);"
    )
    assert (locks(first), first.rows) == ({("account", "ROW EXCLUSIVE")}, ROWS)
    assert (locks(second), second.rows) == ({("entry", "ROW EXCLUSIVE")}, 10)
    assert locks(third) == {("entry", "SHARE")}


def test_a_lock_is_held_until_its_transaction_ends(watched: Watched) -> None:
    first, second = watched(
        "ALTER TABLE account ADD COLUMN note text;\nDO $$ BEGIN PERFORM pg_sleep(0.5); END $$;"
    )
    assert first.took_s < 0.3
    assert 0.5 <= first.locks[0].held_s < 3
    assert 0.5 <= second.took_s < 3


def test_a_lock_is_let_go_between_two_revisions(watched: Watched) -> None:
    first, _ = watched("ALTER TABLE account ADD COLUMN note text;", "SELECT pg_sleep(0.5);")
    assert first.locks[0].held_s < 0.5


def test_a_block_of_code_is_seen_through(watched: Watched) -> None:
    (seen,) = watched(
        "DO $$ BEGIN EXECUTE 'ALTER TABLE entry ADD COLUMN kind int'; UPDATE account SET balance = 0; END $$;"
    )
    assert {("entry", "ACCESS EXCLUSIVE"), ("account", "ROW EXCLUSIVE")} <= locks(seen)
    assert seen.rows == ROWS
    assert seen.disagrees, "the plan could not know"


def test_what_ran_before_a_failure_is_kept(watched: Watched) -> None:
    first, second, third = watched(
        "ALTER TABLE account ADD COLUMN note text;\nUPDATE account SET note = 'x';\n"
        "ALTER TABLE account ADD COLUMN note text;\nDROP TABLE entry;"
    )
    assert locks(first) == {("account", "ACCESS EXCLUSIVE")}
    assert second.rows == ROWS
    assert [s.failed for s in (first, second, third)] == [False, False, True]


def test_a_dropped_table_is_named(watched: Watched) -> None:
    (seen,) = watched("DROP TABLE entry;")
    assert ("entry", "ACCESS EXCLUSIVE") in locks(seen)


def test_what_no_event_trigger_tells_is_seen_from_outside(copy: Dsn, watched: Watched) -> None:
    with connect(copy, purpose="test") as conn:
        conn.execute(b"INSERT INTO account SELECT n, 'more', n FROM generate_series(100000, 400000) n")
    (seen,) = watched("VACUUM FULL account;")
    assert ("account", "ACCESS EXCLUSIVE") in locks(seen)
    assert all(lock.sampled for lock in seen.locks)


def test_a_table_that_the_revision_made_keeps_nobody_out(watched: Watched) -> None:
    first, second = watched("CREATE TABLE fresh (id int);\nALTER TABLE fresh ADD COLUMN note text;")
    assert (first.locks, second.locks) == ((), ())
    assert not first.disagrees
    assert not second.disagrees


def test_a_script_that_silences_the_server_is_seen_all_the_same(watched: Watched) -> None:
    seen = watched(
        "SET client_min_messages = error;\nSET session_replication_role = replica;\n"
        "ALTER TABLE account ADD COLUMN note text;"
    )
    assert ("account", "ACCESS EXCLUSIVE") in locks(seen[-1])


def test_a_plan_that_claims_too_little_or_too_much_is_told_so(watched: Watched) -> None:
    replaced = watched("ALTER TABLE account ADD COLUMN note text;\nCREATE INDEX ON account (note);")
    assert [s.disagrees for s in replaced] == [False, False]
    assert [s.saw for s in replaced] == [s.claimed for s in replaced]


def test_a_role_without_privileges_is_watched_by_what_it_may(
    server: Dsn, copy: Dsn, watched: Watched
) -> None:
    role = f"plain_{uuid.uuid4().hex[:8]}"
    with connect(copy, purpose="test") as conn:
        run(conn, "CREATE ROLE {role} LOGIN", role=role)
        try:
            run(conn, "ALTER SCHEMA public OWNER TO {role}", role=role)
            run(conn, "ALTER TABLE account OWNER TO {role}", role=role)
            altered, updated = watched(
                "ALTER TABLE account ADD COLUMN note text;",
                "UPDATE account SET balance = 1;",
                dsn=replace(copy, user=role),
                means=Means.END,
            )
            assert locks(altered) == {("account", "ACCESS EXCLUSIVE")}
            assert (locks(updated), updated.rows) == ({("account", "ROW EXCLUSIVE")}, ROWS)
        finally:
            run(conn, "DROP OWNED BY {role} CASCADE", role=role)
            run(conn, "DROP ROLE {role}", role=role)


def test_a_tool_with_a_session_of_its_own_is_watched_too(copy: Dsn) -> None:
    script = "ALTER TABLE account ADD COLUMN note text;\nCREATE INDEX ON entry (account);"
    revision = Revision(name="0001", script=script, checksum="c" * 64)
    with (
        connect(copy, purpose="test") as conn,
        connect(copy, purpose="another tool") as other,
        Witness(conn, tracking=(), schema="public") as witness,
        witness.watching(step(revision)),
    ):
        other.execute(f"BEGIN; {script}; COMMIT".encode())
    first, second = witness.seen
    assert locks(first) == {("account", "ACCESS EXCLUSIVE")}
    assert locks(second) == {("entry", "SHARE")}


def test_a_script_of_many_tables_is_told_as_shortly_as_one_of_few(watched: Watched) -> None:
    tables = "".join(
        f"CREATE TABLE t{n} (id serial PRIMARY KEY, a int REFERENCES account);\n" for n in range(150)
    )
    seen = watched(tables)
    assert len(seen) == 150
    assert locks(seen[0]) >= {("account", "SHARE ROW EXCLUSIVE")}
    assert {lock.relation for s in seen for lock in s.locks} == {"account"}


def test_what_is_too_quick_to_be_seen_is_not_called_lockless(copy: Dsn, watched: Watched) -> None:
    with connect(copy, purpose="test") as conn:
        conn.execute(b"CREATE TABLE tiny (id int)")
    (seen,) = watched("CREATE INDEX CONCURRENTLY ON tiny (id);")
    assert seen.glimpsed
    assert not seen.disagrees


def test_what_no_look_came_after_is_not_called_a_wrong_claim(watched: Watched) -> None:
    seen = watched(
        "BEGIN;\nLOCK TABLE entry IN EXCLUSIVE MODE;\nCOMMIT;\nALTER TABLE entry ADD COLUMN a int;"
    )
    lock, alter = seen[1], seen[3]
    assert (lock.glimpsed, lock.disagrees) == (True, False)
    assert (alter.glimpsed, locks(alter)) == (False, {("entry", "ACCESS EXCLUSIVE")})


def test_of_a_statement_that_was_tried_again_the_last_attempt_is_told(copy: Dsn, tmp_path: Path) -> None:
    folder = tmp_path / "migrations" / "0001_test"
    folder.mkdir(parents=True)
    (folder / "migration.sql").write_text(
        "ALTER TABLE entry ADD COLUMN note text;\nALTER TABLE account ADD COLUMN note text;"
    )
    tool = open_tool("prisma", directory=tmp_path / "migrations", schema_file=None)
    (revision,) = tool.revisions()
    hurried = replace(BUDGET, lock_timeout_s=0.1)
    with connect(copy, purpose="test") as conn, connect(copy, purpose="reader") as reader:
        tool.ensure_tracking(conn)
        with (
            Witness(conn, tracking=tool.tracking_tables, schema="public") as witness,
            witness.watching(step(revision)),
        ):
            with reader.transaction():
                reader.execute(b"SELECT count(*) FROM account")
                with pytest.raises(Contended):
                    tool.apply(conn, revision, hurried, silent)
            tool.apply(conn, revision, hurried, silent)
    assert [(s.line, s.failed, locks(s)) for s in witness.seen] == [
        (1, False, {("entry", "ACCESS EXCLUSIVE")}),
        (2, False, {("account", "ACCESS EXCLUSIVE")}),
    ]
