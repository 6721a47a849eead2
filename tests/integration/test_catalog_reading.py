from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from faberdb.catalog import Schema, describe, differences, read_schema
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import Transient

SHOP = """
CREATE TYPE status AS ENUM ('new', 'paid');
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  placed timestamptz NOT NULL DEFAULT '2024-01-02 03:04:05+00',
  wait interval DEFAULT '1 day 2 hours', ratio float8 DEFAULT 0.1, raw bytea DEFAULT '\\xff',
  state status NOT NULL DEFAULT 'new', code varchar(3) CHECK (code IN ('a', 'b'))
);
CREATE INDEX orders_open ON orders (placed) WHERE state = 'new';
CREATE FUNCTION latest() RETURNS SETOF orders LANGUAGE sql AS 'SELECT * FROM orders ORDER BY placed DESC';
CREATE VIEW paid AS SELECT id, placed FROM orders WHERE state = 'paid' AND placed > '2024-01-01 00:00+00';
"""


def read(dsn: Dsn, *settings: str) -> Schema:
    with connect(dsn, purpose="test") as conn:
        for setting in settings:
            conn.execute(setting.encode())
        return read_schema(conn)


def test_an_empty_database_holds_what_it_was_born_with(fresh_database: Dsn) -> None:
    assert dict(read(fresh_database).objects) == {
        "extension plpgsql": "VERSION 1.0 SCHEMA pg_catalog",
        "grants on schema public": "GRANT USAGE TO PUBLIC",
        "owner of schema public": "pg_database_owner",
        "schema public": "SCHEMA",
    }


def test_a_sessions_settings_do_not_change_the_fingerprint(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute(SHOP)
    plain = read(fresh_database)

    other = read(
        fresh_database,
        "SET search_path = pg_temp, information_schema",
        "SET DateStyle = 'German, DMY'",
        "SET IntervalStyle = iso_8601",
        "SET TimeZone = 'Asia/Tokyo'",
        "SET bytea_output = 'escape'",
        "SET extra_float_digits = -10",
        "SET quote_all_identifiers = on",
        "SET standard_conforming_strings = off",
        "SET client_encoding = 'LATIN1'",
    )

    assert differences(plain, other) == ()
    assert (
        plain.objects["column public.orders.state"] == "public.status NOT NULL DEFAULT 'new'::public.status"
    )


def test_the_stamp_that_newer_servers_give_a_column_is_not_part_of_the_schema(fresh_database: Dsn) -> None:
    """Since 17.12 and the releases of that day; each table gets another, also a restored one."""
    with connect(fresh_database, purpose="test") as conn:
        conn.execute("CREATE TABLE t (a int, b int); ALTER TABLE t ALTER b SET (n_distinct = 5)")
        plain = read_schema(conn)
        conn.execute(
            "UPDATE pg_attribute SET attoptions = array_prepend('pg_attver=88927976', attoptions)"
            " WHERE attrelid = 't'::regclass AND attnum > 0"
        )
        assert differences(plain, read_schema(conn)) == ()
    assert plain.objects["column public.t.b"] == "integer WITH (n_distinct=5)"


def test_a_temporary_table_is_not_part_of_the_schema(fresh_database: Dsn) -> None:
    plain = read(fresh_database)

    assert read(fresh_database, "CREATE TEMPORARY TABLE t (id serial PRIMARY KEY)") == plain


def test_two_databases_made_in_another_order_are_equal(create_database: Callable[..., Dsn]) -> None:
    one, other = create_database("one"), create_database("other")
    with connect(one, purpose="test") as conn:
        conn.execute("CREATE TABLE a (x int, y text); CREATE TABLE b (id serial); CREATE INDEX i ON a (x)")
    with connect(other, purpose="test") as conn:
        conn.execute("CREATE TABLE b (id serial); CREATE TABLE a (gone int, y text)")
        conn.execute("ALTER TABLE a DROP gone, ADD x int; CREATE INDEX i ON a (x)")
        conn.execute("SELECT nextval('b_id_seq'); INSERT INTO a VALUES ('row', 1)")
        conn.execute("VACUUM ANALYZE a")

    assert differences(read(one), read(other)) == ()


def test_a_tracking_table_and_all_that_hangs_on_it_can_be_left_out(fresh_database: Dsn) -> None:
    before = read(fresh_database)
    with connect(fresh_database, purpose="test") as conn:
        conn.execute(
            "CREATE TABLE _tracking (id serial PRIMARY KEY, name text UNIQUE CHECK (name <> ''));"
            "CREATE INDEX tracked ON _tracking (lower(name)); COMMENT ON TABLE _tracking IS 'mine';"
            "COMMENT ON INDEX tracked IS 'mine'; GRANT SELECT ON _tracking TO pg_monitor;"
            "CREATE STATISTICS st ON id, name FROM _tracking;"
            "ALTER TABLE _tracking ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON _tracking"
        )
        assert read_schema(conn) != before
        assert differences(before, read_schema(conn, leave_out=("_tracking",))) == ()


def test_what_belongs_to_an_extension_is_told_by_the_extension(fresh_database: Dsn) -> None:
    before = read(fresh_database)
    with connect(fresh_database, purpose="test") as conn:
        conn.execute("CREATE EXTENSION citext")

    assert [d.object for d in differences(before, read(fresh_database))] == ["extension citext"]


def test_granting_what_is_the_default_changes_nothing(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute("CREATE TABLE t (id int)")
        before = read_schema(conn)
        conn.execute("GRANT SELECT ON t TO pg_monitor; REVOKE SELECT ON t FROM pg_monitor")
        conn.execute("GRANT ALL ON t TO postgres")

        assert differences(before, read_schema(conn)) == ()


def test_an_index_that_failed_to_build_is_told(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)")
        before = read_schema(conn)
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)")
        after = read_schema(conn)

    assert after.objects["index public.i"].endswith(" INVALID")
    assert after.as_restored() == before


def test_reading_inside_an_open_transaction_sees_it_and_leaves_it_as_it_was(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        with conn.transaction(force_rollback=True):
            conn.execute("SET LOCAL search_path = information_schema; SET LOCAL TimeZone = 'Asia/Tokyo'")
            conn.execute("CREATE TABLE public.inside (id int)")
            inside = read_schema(conn)
            now = conn.execute(
                "SELECT current_setting('search_path'), current_setting('TimeZone'),"
                " current_setting('transaction_read_only')"
            ).fetchone()
            conn.execute("INSERT INTO public.inside VALUES (1)")
        outside = read_schema(conn)

    assert "table public.inside" in inside.objects
    assert "table public.inside" not in outside.objects
    assert now == ("information_schema", "Asia/Tokyo", "off")


def test_reading_leaves_an_idle_connection_idle(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        read_schema(conn)

        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert conn.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert conn.execute("SHOW transaction_read_only").fetchone() == ("off",)


def test_a_role_without_any_right_reads_the_same(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute(SHOP)
        conn.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        before = read_schema(conn)
        with conn.transaction(force_rollback=True):
            conn.execute("CREATE ROLE t_stranger; SET LOCAL ROLE t_stranger")

            assert differences(before, read_schema(conn)) == ()


def test_a_table_that_someone_rewrites_is_a_reason_to_try_again(fresh_database: Dsn) -> None:
    with (
        connect(fresh_database, purpose="other") as other,
        connect(fresh_database, purpose="test", lock_timeout_s=0.2) as conn,
    ):
        conn.execute(SHOP)
        with other.transaction(force_rollback=True):
            other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(Transient, match="as of one moment"):
                read_schema(conn)
        assert "view public.paid" in read_schema(conn).objects


def test_identity_of_overloads_and_quoted_names_is_exact(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute('CREATE TABLE "a.b" ("c" int); CREATE SCHEMA a; CREATE TABLE a.b (c int)')
        names = set(read_schema(conn).objects)

    assert {'column public."a.b".c', "column a.b.c"} <= names


def test_the_order_of_columns_is_told_to_those_who_ask(create_database: Callable[..., Dsn]) -> None:
    one, other = create_database("one"), create_database("other")
    with connect(one, purpose="test") as conn:
        conn.execute('CREATE TABLE t (a int, "b c" text); CREATE TABLE child (d int) INHERITS (t)')
        plain, ordered = read_schema(conn), read_schema(conn, column_order=True)
    with connect(other, purpose="test") as conn:
        conn.execute('CREATE TABLE t ("b c" text, a int); CREATE TABLE child (d int) INHERITS (t)')
        turned, turned_order = read_schema(conn), read_schema(conn, column_order=True)

    assert plain == turned
    (found,) = differences(ordered, turned_order)
    assert describe(found) == 'changed column order of table public.t: a, "b c" -> "b c", a'
    assert ordered.without({"column order of"}) == plain
