"""What the rules are told of a real database, and squawk's opinion of real files."""

from __future__ import annotations

import pytest

from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.grammar.columns import modifiers_of, type_of
from faberdb.grammar.parser import parse
from faberdb.lint.example import EXAMPLE_SCHEMA
from faberdb.lint.linting import lint_scripts
from faberdb.lint.live import read_live
from faberdb.lint.squawk import ask_squawk, find_squawk
from faberdb.lint.types import keeps_rows


def test_a_relation_is_seen_with_its_size_types_indexes_and_dependents(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute(EXAMPLE_SCHEMA.encode())
        conn.execute('CREATE TABLE "Camel" ("Key" bigint PRIMARY KEY, ref bigint REFERENCES account)')
        conn.execute("CREATE PUBLICATION news FOR TABLE account")
        conn.execute("ALTER TABLE account ADD CONSTRAINT noted CHECK (note IS NOT NULL)")
        conn.execute("ANALYZE")
        found = read_live(conn, {"account", "account_code", '"Camel"', "nowhere", "a.b.c", ""})
    account = found.relations["account"]
    assert account.rows == 100
    assert account.size > 8192
    assert not account.busy
    assert account.columns["note"] == "character varying(20)"
    assert "email" not in account.nullable
    assert account.checked_not_null == {"note"}
    assert account.indexed == {"id", "code"}
    assert account.primary_key == "account_pkey"
    assert account.dependents == (
        'foreign key "Camel_ref_fkey" of "Camel"',
        "materialized view totals",
        "publication news",
        "view emails",
    )
    assert found.relations["account_code"].rows == 100  # an index stands for its table
    assert found.relations['"Camel"'].columns == {'"Key"': "bigint", "ref": "bigint"}
    assert "nowhere" not in found.relations


def test_a_table_with_traffic_is_busy(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute("CREATE TABLE t (id int)")
        conn.execute("INSERT INTO t SELECT generate_series(1, 8000)")
        conn.commit()
        conn.execute("SELECT pg_stat_force_next_flush()")
        conn.commit()
        assert read_live(conn, {"t"}).relations["t"].busy


def test_what_hangs_on_a_dropped_table_is_named(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="test") as conn:
        conn.execute(EXAMPLE_SCHEMA.encode())
        conn.execute("CREATE FUNCTION seen() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM Account'")
        conn.execute("CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1 AS accounts'")
        conn.execute("CREATE PUBLICATION everything FOR ALL TABLES")
        live = read_live(conn, {"account"})
    (*_, cascade) = lint_scripts({"x": "DROP TABLE account CASCADE"}, live=live)["x"].findings
    for dependent in ("view emails", "function seen(), by its text", "publication everything"):
        assert dependent in cascade.message
    assert "other()" not in cascade.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("varchar(20)", "varchar(40)"), ("varchar(20)", "varchar(10)"), ("varchar(20)", "text"), ("varchar", "text"),
        ("text", "varchar(20)"), ("text", "varchar"), ("numeric(10,2)", "numeric(12,2)"),
        ("numeric(10,2)", "numeric(12,3)"), ("numeric(10,2)", "numeric"), ("numeric", "numeric(10,2)"),
        ("int", "bigint"), ("int", "int"), ("timestamp", "timestamptz"), ("timestamptz", "timestamp"),
        ("timestamp(3)", "timestamp(6)"), ("timestamp(6)", "timestamp(3)"), ("timestamp(3)", "timestamptz(3)"),
        ("timestamp(3)", "timestamptz"),
        ("char(2)", "char(4)"), ("char(2)", "text"), ("varbit(4)", "varbit(8)"), ("text", "bytea"),
        ("cidr", "inet"), ("json", "jsonb"), ("time(3)", "time"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_change_of_type_said_to_keep_the_rows_keeps_them(
    old: str, new: str, zone: str, fresh_database: Dsn
) -> None:
    (item,) = parse(f"ALTER TABLE t ALTER COLUMN c TYPE {new}").stmts
    wanted = getattr(item.stmt.alter_table_stmt.cmds[0].alter_table_cmd, "def").column_def.type_name
    with connect(fresh_database, purpose="test") as conn:
        conn.execute("SELECT set_config('TimeZone', %s, false)", (zone,))
        conn.execute(f"CREATE TABLE t (c {old})".encode())
        live = read_live(conn, {"t"})
        before = conn.execute("SELECT pg_relation_filenode('t')").fetchone()
        using = f" USING c::{new}" if (old, new) in {("text", "bytea"), ("json", "jsonb")} else ""
        conn.execute(f"ALTER TABLE t ALTER COLUMN c TYPE {new}{using}".encode())
        kept = conn.execute("SELECT pg_relation_filenode('t')").fetchone() == before
    claimed = keeps_rows(
        live.relations["t"].columns["c"], type_of(wanted), modifiers_of(wanted), live.time_zone
    )
    assert claimed is kept


@pytest.mark.skipif(find_squawk() is None, reason="squawk is not installed")
def test_squawk_is_asked_once_for_all_scripts() -> None:
    second = ask_squawk({"a": "REVOKE SELECT ON t FROM r;", "b": "SELECT 1;\nCREATE INDEX i ON t (c);"})
    assert second.note == ""
    assert {o.rule for o in second.opinions["b"]} >= {"require-concurrent-index-creation"}
    assert {o.line for o in second.opinions["b"]} == {2}
