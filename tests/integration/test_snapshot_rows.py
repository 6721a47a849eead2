from __future__ import annotations

from collections.abc import Callable

import pytest

from faberdb.config.proving import Checksums
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import Refused, Transient
from faberdb.rows import LARGE_OBJECTS, RowChange, count_rows, rows_after
from faberdb.snapshot.contents import list_tables, read_contents, shares
from tests.integration.test_databases import roles

__all__ = ["roles"]


@pytest.fixture
def filled(fresh_database: Dsn) -> Dsn:
    with connect(fresh_database, purpose="tests") as conn:
        conn.execute("""
            CREATE SCHEMA "Ünï"; CREATE TABLE "Ünï"."co""de; DROP TABLE x" (a int);
            INSERT INTO "Ünï"."co""de; DROP TABLE x" SELECT generate_series(1, 3);
            CREATE TABLE plain (a int); INSERT INTO plain SELECT generate_series(1, 7);
            CREATE TABLE empty ();
            CREATE TABLE child () INHERITS (plain); INSERT INTO child VALUES (1), (2);
            CREATE TABLE parted (a int) PARTITION BY RANGE (a);
            CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
            CREATE TABLE part_2 PARTITION OF parted DEFAULT;
            INSERT INTO parted SELECT generate_series(1, 25);
            CREATE UNLOGGED TABLE unlogged (a int); INSERT INTO unlogged VALUES (1);
            CREATE VIEW v AS TABLE plain;
        """)
    return fresh_database


def test_every_row_is_counted_once_where_it_is_stored(filled: Dsn) -> None:
    with connect(filled, purpose="tests") as conn:
        conn.execute("CREATE TEMP TABLE mine (a int)")
        assert count_rows(conn) == {
            '"Ünï"."co""de; DROP TABLE x"': 3,
            "public.child": 2,
            "public.empty": 0,
            "public.part_1": 9,
            "public.part_2": 16,
            "public.plain": 7,
            "public.unlogged": 1,
        }


def test_large_objects_are_counted_where_there_are_any(filled: Dsn) -> None:
    with connect(filled, purpose="tests") as conn:
        assert LARGE_OBJECTS not in count_rows(conn)
        conn.execute("SELECT lo_from_bytea(0, 'one'), lo_from_bytea(0, 'two')")
        assert count_rows(conn)[LARGE_OBJECTS] == 2


def test_a_table_that_was_emptied_has_the_contents_of_one_that_never_had_a_row(filled: Dsn) -> None:
    """Only the first has pages and is scanned; a proof holds it against its restored copy, which has none."""
    with connect(filled, purpose="tests") as conn:
        conn.execute("CREATE TABLE emptied (a int); INSERT INTO emptied VALUES (1), (2); DELETE FROM emptied")
        (pages,) = conn.execute("SELECT pg_relation_size('emptied'), pg_relation_size('empty')").fetchall()
        tables = list_tables(conn)
        seen = read_contents(conn, tables, shares(conn, tables, Checksums.SAMPLE))
        assert seen.rows == count_rows(conn)
    assert pages[0] > pages[1] == 0
    assert seen.rows["public.emptied"] == seen.rows["public.empty"] == 0
    assert seen.checksums["public.emptied"] == seen.checksums["public.empty"]
    assert seen.checksums["public.plain"] != seen.checksums["public.empty"]


def test_all_tables_are_counted_as_of_one_moment_of_the_callers_transaction(filled: Dsn) -> None:
    with connect(filled, purpose="tests") as conn, connect(filled, purpose="tests") as writer:
        with conn.transaction():
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            conn.execute("SELECT 1")
            writer.execute("INSERT INTO plain VALUES (8)")
            assert count_rows(conn)["public.plain"] == 7
        assert count_rows(conn)["public.plain"] == 8


def test_more_tables_than_one_statement_takes_are_counted(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="tests") as conn:
        conn.execute("""
            DO $$ BEGIN FOR i IN 1..1201 LOOP
              EXECUTE format('CREATE TABLE t%s AS SELECT 1 AS a', i); END LOOP; END $$
        """)
        counts = count_rows(conn)
    assert len(counts) == 1201
    assert set(counts.values()) == {1}


def test_rows_that_a_policy_hides_are_not_silently_left_out(filled: Dsn, roles: Callable[[str], Dsn]) -> None:
    reader = roles("").with_database(filled.database)
    with connect(filled, purpose="tests") as conn:
        conn.execute('GRANT USAGE ON SCHEMA "Ünï" TO PUBLIC')
        for schema in ('"Ünï"', "public"):
            conn.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO PUBLIC")
        with connect(reader, purpose="tests") as weak:
            assert count_rows(weak)["public.plain"] == 7
            conn.execute("ALTER TABLE plain ENABLE ROW LEVEL SECURITY")
            with pytest.raises(Refused, match="row-level security"):
                count_rows(weak)


def test_a_role_that_may_not_read_a_table_is_refused(filled: Dsn, roles: Callable[[str], Dsn]) -> None:
    with (
        connect(roles("").with_database(filled.database), purpose="tests") as weak,
        pytest.raises(Refused, match="permission denied"),
    ):
        count_rows(weak)


def test_a_locked_table_is_something_to_try_again(filled: Dsn) -> None:
    with connect(filled, purpose="tests") as other, other.transaction():
        other.execute("LOCK TABLE plain")
        with connect(filled, purpose="tests", lock_timeout_s=0.1) as conn, pytest.raises(Transient):
            count_rows(conn)


def test_only_tables_that_differ_are_told() -> None:
    before = {"public.a": 1, "public.b": 2, "public.gone": 3, "public.empty": 0}
    now = {"public.a": 1, "public.b": 5, "public.new": 4}
    assert rows_after(before, now) == (
        RowChange(table="public.b", before=2, now=5),
        RowChange(table="public.gone", before=3, now=0),
        RowChange(table="public.new", before=0, now=4),
    )
