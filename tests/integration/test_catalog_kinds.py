"""A change in each kind of object is seen and named; a dump and restore of them all is no change."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from faberdb.catalog import KINDS, describe, differences, kind_of, read_schema
from faberdb.connection import connect, run
from faberdb.dsn import Dsn
from faberdb.embedded import client_program
from faberdb.subprocesses import run_program


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A change inside a schema of its own, `@`, and the objects that it must be seen in."""

    setup: str
    change: str
    seen: tuple[str, ...]


CASES = {
    "a schema": Case(
        setup="",
        change="CREATE SCHEMA extra_place",
        seen=("schema extra_place", "owner of schema extra_place"),
    ),
    "a schema's comment": Case(
        setup="", change="COMMENT ON SCHEMA @ IS 'shop'", seen=("comment on schema @",)
    ),
    "a table": Case(
        setup="",
        change="CREATE TABLE t (id int)",
        seen=("table @.t", "column @.t.id", "owner of table @.t"),
    ),
    "a table made unlogged": Case(
        setup="CREATE TABLE t (id int)", change="ALTER TABLE t SET UNLOGGED", seen=("table @.t",)
    ),
    "storage options": Case(
        setup="CREATE TABLE t (id int, note text)",
        change="ALTER TABLE t SET (fillfactor = 70, toast.autovacuum_enabled = off)",
        seen=("table @.t",),
    ),
    "row-level security": Case(
        setup="CREATE TABLE t (id int)", change="ALTER TABLE t ENABLE ROW LEVEL SECURITY", seen=("table @.t",)
    ),
    "forced row-level security": Case(
        setup="CREATE TABLE t (id int)", change="ALTER TABLE t FORCE ROW LEVEL SECURITY", seen=("table @.t",)
    ),
    "replica identity": Case(
        setup="CREATE TABLE t (id int)", change="ALTER TABLE t REPLICA IDENTITY FULL", seen=("table @.t",)
    ),
    "replica identity by an index": Case(
        setup="CREATE TABLE t (id int NOT NULL); CREATE UNIQUE INDEX u ON t (id)",
        change="ALTER TABLE t REPLICA IDENTITY USING INDEX u",
        seen=("table @.t",),
    ),
    "inheritance": Case(
        setup="CREATE TABLE p (id int); CREATE TABLE c (id int, more int)",
        change="ALTER TABLE c INHERIT p",
        seen=("table @.c",),
    ),
    "an inherited column": Case(
        setup="CREATE TABLE p (id int); CREATE TABLE c (more int) INHERITS (p)",
        change="ALTER TABLE p ADD COLUMN note text",
        seen=("column @.p.note", "column @.c.note"),
    ),
    "a partition's bound": Case(
        setup="CREATE TABLE p (d date NOT NULL CHECK (d > '2000-01-01'), r int) PARTITION BY RANGE (d);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
        change="ALTER TABLE p DETACH PARTITION p1;"
        "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM ('2020-01-01') TO ('2022-01-01')",
        seen=("table @.p1",),
    ),
    "a foreign key of a partitioned table": Case(
        setup="CREATE TABLE a (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE b (id int, k int) PARTITION BY RANGE (id);"
        "CREATE TABLE b1 PARTITION OF b FOR VALUES FROM (0) TO (10); CREATE INDEX bk ON b (k)",
        change="ALTER TABLE b ADD CONSTRAINT b_k FOREIGN KEY (k) REFERENCES a (id)",
        seen=("constraint @.b.b_k",),
    ),
    "a column's type": Case(
        setup="CREATE TABLE t (n numeric(10,2))",
        change="ALTER TABLE t ALTER n TYPE numeric(12,2)",
        seen=("column @.t.n",),
    ),
    "a column's default": Case(
        setup="CREATE TABLE t (n timestamptz)",
        change="ALTER TABLE t ALTER n SET DEFAULT now()",
        seen=("column @.t.n",),
    ),
    "a column's nullability": Case(
        setup="CREATE TABLE t (n int)", change="ALTER TABLE t ALTER n SET NOT NULL", seen=("column @.t.n",)
    ),
    "a renamed column": Case(
        setup="CREATE TABLE t (n int)",
        change="ALTER TABLE t RENAME n TO m",
        seen=("column @.t.m", "column @.t.n"),
    ),
    "a column's collation": Case(
        setup="CREATE TABLE t (n text)",
        change='ALTER TABLE t ALTER n TYPE text COLLATE "C"',
        seen=("column @.t.n",),
    ),
    "an identity": Case(
        setup="CREATE TABLE t (n int NOT NULL)",
        change="ALTER TABLE t ALTER n ADD GENERATED ALWAYS AS IDENTITY",
        seen=("sequence @.t_n_seq", "column @.t.n", "owner of sequence @.t_n_seq"),
    ),
    "a generated column": Case(
        setup="CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED)",
        change="ALTER TABLE t ALTER b SET EXPRESSION AS (a * 3)",
        seen=("column @.t.b",),
    ),
    "a virtual column": Case(
        setup="CREATE TABLE t (a int)",
        change="ALTER TABLE t ADD b int GENERATED ALWAYS AS (a * 2) VIRTUAL",
        seen=("column @.t.b",),
    ),
    "a column's storage": Case(
        setup="CREATE TABLE t (a text)",
        change="ALTER TABLE t ALTER a SET STORAGE EXTERNAL",
        seen=("column @.t.a",),
    ),
    "a column's compression": Case(
        setup="CREATE TABLE t (a text)",
        change="ALTER TABLE t ALTER a SET COMPRESSION pglz",
        seen=("column @.t.a",),
    ),
    "a column's statistics and options": Case(
        setup="CREATE TABLE t (a text)",
        change="ALTER TABLE t ALTER a SET STATISTICS 500, ALTER a SET (n_distinct = 5)",
        seen=("column @.t.a",),
    ),
    "a column's comment": Case(
        setup="CREATE TABLE t (a text)",
        change="COMMENT ON COLUMN t.a IS 'naïve'",
        seen=("comment on column @.t.a",),
    ),
    "a NOT NULL that is not validated": Case(
        setup="CREATE TABLE t (a text)",
        change="ALTER TABLE t ADD NOT NULL a NOT VALID",
        seen=("column @.t.a",),
    ),
    "a primary key": Case(
        setup="CREATE TABLE t (id int NOT NULL)",
        change="ALTER TABLE t ADD PRIMARY KEY (id)",
        seen=("constraint @.t.t_pkey",),
    ),
    "the comment on a key's index": Case(
        setup="CREATE TABLE t (id int PRIMARY KEY)",
        change="COMMENT ON INDEX t_pkey IS 'x'",
        seen=("comment on index of constraint @.t.t_pkey",),
    ),
    "a unique constraint's nulls": Case(
        setup="CREATE TABLE t (a int, CONSTRAINT u UNIQUE (a))",
        change="ALTER TABLE t DROP CONSTRAINT u, ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (a)",
        seen=("constraint @.t.u",),
    ),
    "a check over varchar": Case(
        setup="CREATE TABLE t (s varchar(10) CONSTRAINT c CHECK (s IN ('a', 'it''s', 'x, y')))",
        change="ALTER TABLE t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (s IN ('a', 'it''s'))",
        seen=("constraint @.t.c",),
    ),
    "a validated foreign key": Case(
        setup="CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a_id int);"
        "ALTER TABLE b ADD CONSTRAINT fk FOREIGN KEY (a_id) REFERENCES a ON DELETE CASCADE NOT VALID",
        change="ALTER TABLE b VALIDATE CONSTRAINT fk",
        seen=("constraint @.b.fk",),
    ),
    "a deferrable foreign key": Case(
        setup="CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a_id int CONSTRAINT fk REFERENCES a)",
        change="ALTER TABLE b ALTER CONSTRAINT fk DEFERRABLE INITIALLY DEFERRED",
        seen=("constraint @.b.fk",),
    ),
    "an exclusion": Case(
        setup="CREATE TABLE t (d daterange)",
        change="ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING gist (d WITH &&)",
        seen=("constraint @.t.x",),
    ),
    "an index": Case(setup="CREATE TABLE t (a text)", change="CREATE INDEX i ON t (a)", seen=("index @.i",)),
    "an index's condition": Case(
        setup="CREATE TABLE t (a varchar, b int); CREATE INDEX i ON t (lower(a)) WHERE a IN ('x', 'y')",
        change="DROP INDEX i; CREATE INDEX i ON t (lower(a)) WHERE a NOT IN ('x', 'y')",
        seen=("index @.i",),
    ),
    "an index's operator class": Case(
        setup="CREATE TABLE t (a text); CREATE INDEX i ON t (a)",
        change="DROP INDEX i; CREATE INDEX i ON t (a text_pattern_ops)",
        seen=("index @.i",),
    ),
    "an index's options": Case(
        setup="CREATE TABLE t (a text); CREATE INDEX i ON t (lower(a))",
        change="ALTER INDEX i SET (fillfactor = 60); ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 9;"
        "ALTER TABLE t CLUSTER ON i",
        seen=("index @.i",),
    ),
    "a key's options": Case(
        setup="CREATE TABLE t (a int PRIMARY KEY)",
        change="ALTER INDEX t_pkey SET (fillfactor = 60); ALTER TABLE t CLUSTER ON t_pkey",
        seen=("constraint @.t.t_pkey",),
    ),
    "a partition's index": Case(
        setup="CREATE TABLE p (id int) PARTITION BY HASH (id); CREATE INDEX pi ON p (id);"
        "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        change="CREATE INDEX other ON p0 (id)",
        seen=("index @.other",),
    ),
    "a sequence": Case(
        setup="CREATE SEQUENCE s", change="ALTER SEQUENCE s INCREMENT 7 CYCLE", seen=("sequence @.s",)
    ),
    "a sequence's owner column": Case(
        setup="CREATE SEQUENCE s; CREATE TABLE t (a int)",
        change="ALTER SEQUENCE s OWNED BY t.a",
        seen=("sequence @.s",),
    ),
    "a view": Case(
        setup="CREATE TABLE t (a int, s varchar); CREATE VIEW v AS SELECT * FROM t WHERE s IN ('1', '2')",
        change="CREATE OR REPLACE VIEW v AS SELECT * FROM t WHERE s IN ('1', '3')",
        seen=("view @.v",),
    ),
    "a view's options": Case(
        setup="CREATE VIEW v AS SELECT 1 AS a",
        change="ALTER VIEW v SET (security_barrier = true, security_invoker = true)",
        seen=("view @.v",),
    ),
    "a view's column default": Case(
        setup="CREATE VIEW v AS SELECT 1 AS a",
        change="ALTER VIEW v ALTER a SET DEFAULT 3",
        seen=("column @.v.a",),
    ),
    "a materialised view": Case(
        setup="CREATE MATERIALIZED VIEW m AS SELECT 1 AS a",
        change="CREATE UNIQUE INDEX mi ON m (a); COMMENT ON MATERIALIZED VIEW m IS 'c'",
        seen=("index @.mi", "comment on materialized view @.m"),
    ),
    "a function's body": Case(
        setup="CREATE FUNCTION f(a int, b text = 'x') RETURNS int LANGUAGE sql AS $$ SELECT a $$",
        change="CREATE OR REPLACE FUNCTION f(a int, b text = 'x') RETURNS int LANGUAGE sql"
        " AS $$ SELECT a + 1 $$",
        seen=("function @.f(integer, text)",),
    ),
    "an overload": Case(
        setup="CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        change="CREATE FUNCTION f(a text) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END",
        seen=("function @.f(text)", "owner of function @.f(text)"),
    ),
    "a procedure": Case(
        setup="CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$",
        change="ALTER PROCEDURE p() SET work_mem = '5MB'",
        seen=("procedure @.p()",),
    ),
    "an aggregate": Case(
        setup="CREATE AGGREGATE g (int) (sfunc = int4pl, stype = int, initcond = '0')",
        change="CREATE OR REPLACE AGGREGATE g (int) (sfunc = int4pl, stype = int, initcond = '1')",
        seen=("aggregate @.g(integer)",),
    ),
    "a trigger": Case(
        setup="CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NEW; END $$; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        change="ALTER TABLE t DISABLE TRIGGER g",
        seen=("trigger @.t.g",),
    ),
    "a partitioned table's trigger": Case(
        setup="CREATE TABLE p (id int) PARTITION BY HASH (id); CREATE FUNCTION f() RETURNS trigger LANGUAGE"
        " plpgsql AS $$ BEGIN RETURN NEW; END $$;"
        "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0);",
        change="CREATE TRIGGER g AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f()",
        seen=("trigger @.p.g",),
    ),
    "a rule": Case(
        setup="CREATE TABLE t (a int)",
        change="CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        seen=("rule @.t.r",),
    ),
    "a policy": Case(
        setup="CREATE TABLE t (a int); CREATE POLICY p ON t USING (a > 0)",
        change="ALTER POLICY p ON t TO pg_monitor USING (a > 1) WITH CHECK (a > 2)",
        seen=("policy @.t.p",),
    ),
    "statistics": Case(
        setup="CREATE TABLE t (a int, b int); CREATE STATISTICS s (ndistinct) ON a, b FROM t",
        change="ALTER STATISTICS s SET STATISTICS 50",
        seen=("statistics @.s",),
    ),
    "an enum's label": Case(
        setup="CREATE TYPE e AS ENUM ('a', 'c')",
        change="ALTER TYPE e ADD VALUE 'b' BEFORE 'c'",
        seen=("enum @.e",),
    ),
    "a domain": Case(
        setup="CREATE DOMAIN d AS text", change="ALTER DOMAIN d SET NOT NULL", seen=("domain @.d",)
    ),
    "a domain's check": Case(
        setup="CREATE DOMAIN d AS varchar(9) DEFAULT 'x'",
        change="ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE IN ('x', 'y'))",
        seen=("domain constraint @.d.c",),
    ),
    "a composite type": Case(
        setup="CREATE TYPE c AS (a int, b text)",
        change="ALTER TYPE c ADD ATTRIBUTE n numeric(4,1); COMMENT ON COLUMN c.a IS 'first'",
        seen=("attribute @.c.n", "comment on attribute @.c.a"),
    ),
    "a range type": Case(
        setup="CREATE TYPE r AS RANGE (subtype = numeric)",
        change="DROP TYPE r; CREATE TYPE r AS RANGE (subtype = float8, subtype_diff = float8mi)",
        seen=("type @.r",),
    ),
    "an extension": Case(setup="", change="CREATE EXTENSION citext SCHEMA @", seen=("extension citext",)),
    "a publication": Case(
        setup="CREATE TABLE t (a int PRIMARY KEY, b int); CREATE PUBLICATION pub_@ FOR TABLE t",
        change="ALTER PUBLICATION pub_@ SET TABLE t (a) WHERE (a > 5)",
        seen=("publication pub_@",),
    ),
    "an event trigger": Case(
        setup="CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$",
        change="CREATE EVENT TRIGGER ev_@ ON ddl_command_end WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION f()",
        seen=("event trigger ev_@", "owner of event trigger ev_@"),
    ),
    "a grant": Case(
        setup="CREATE TABLE t (a int)",
        change="GRANT SELECT, INSERT ON t TO pg_monitor WITH GRANT OPTION",
        seen=("grants on table @.t",),
    ),
    "a column's grant": Case(
        setup="CREATE TABLE t (a int)",
        change="GRANT UPDATE (a) ON t TO pg_monitor",
        seen=("grants on column @.t.a",),
    ),
    "a revoked default": Case(
        setup="CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        change="REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC",
        seen=("grants on function @.f()",),
    ),
    "default privileges": Case(
        setup="",
        change="ALTER DEFAULT PRIVILEGES IN SCHEMA @ GRANT SELECT ON TABLES TO pg_monitor",
        seen=("default privileges FOR ROLE postgres IN SCHEMA @ ON TABLES",),
    ),
    "an owner": Case(
        setup="CREATE TABLE t (a int)",
        change="ALTER TABLE t OWNER TO pg_monitor",
        seen=("owner of table @.t",),
    ),
    "an operator and its class": Case(
        setup="CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)",
        change="CREATE OPERATOR CLASS oc FOR TYPE int USING hash AS OPERATOR 1 ===, FUNCTION 1 hashint4(int)",
        seen=(
            "operator class @.oc USING hash",
            "operator family @.oc USING hash",
            "owner of operator class @.oc USING hash",
            "owner of operator family @.oc USING hash",
        ),
    ),
    "an operator": Case(
        setup="CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)",
        change="ALTER OPERATOR === (int, int) SET (restrict = eqsel)",
        seen=("operator @.=== (integer, integer)",),
    ),
    "a cast": Case(
        setup="CREATE TYPE mood AS ENUM ('x')",
        change="CREATE CAST (text AS mood) WITH INOUT",
        seen=("cast text AS @.mood",),
    ),
    "a collation": Case(
        setup="",
        change="CREATE COLLATION plain (provider = libc, locale = 'C')",
        seen=("collation @.plain", "owner of collation @.plain"),
    ),
    "text search": Case(
        setup="CREATE TEXT SEARCH CONFIGURATION tc (COPY = simple); CREATE TEXT SEARCH DICTIONARY td"
        " (TEMPLATE = simple)",
        change="ALTER TEXT SEARCH CONFIGURATION tc ALTER MAPPING FOR word WITH td;"
        "ALTER TEXT SEARCH DICTIONARY td (Accept = false)",
        seen=("text search configuration @.tc", "text search dictionary @.td"),
    ),
    "a foreign server": Case(
        setup="CREATE FOREIGN DATA WRAPPER w_@",
        change="CREATE SERVER s_@ FOREIGN DATA WRAPPER w_@ OPTIONS (host 'h', password 'hush')",
        seen=("server s_@", "owner of server s_@"),
    ),
    "a foreign table": Case(
        setup="CREATE FOREIGN DATA WRAPPER w_@; CREATE SERVER s_@ FOREIGN DATA WRAPPER w_@;"
        "CREATE FOREIGN TABLE ft (a int OPTIONS (k 'v')) SERVER s_@",
        change="ALTER FOREIGN TABLE ft OPTIONS (ADD name 'x')",
        seen=("foreign table @.ft",),
    ),
    "names that need quoting": Case(
        setup='CREATE TABLE "Order.Line" ("select" int, "a ""b" text)',
        change='CREATE INDEX "Order.Line.idx" ON "Order.Line" ("select", "a ""b")',
        seen=('index @."Order.Line.idx"',),
    ),
}
PLACES = {label: f"case_{number}" for number, label in enumerate(CASES)}


def statements(text: str, place: str) -> str:
    return text.replace("@", place)


@pytest.mark.parametrize("label", CASES)
def test_a_change_is_seen_and_named(server: Dsn, label: str) -> None:
    case, place = CASES[label], PLACES[label]
    with connect(server, purpose="test") as conn, conn.transaction(force_rollback=True):
        run(conn, "CREATE SCHEMA {place}", place=place)
        run(conn, "SET LOCAL search_path = {place}, public", place=place)
        if case.setup:
            conn.execute(statements(case.setup, place))
        before = read_schema(conn)
        conn.execute(statements(case.change, place))
        after = read_schema(conn)

    assert before.fingerprint != after.fingerprint
    found = differences(before, after)
    assert {d.object for d in found} == {statements(name, place) for name in case.seen}
    assert all("\n" not in describe(d) and "hush" not in describe(d) for d in found)


def test_a_dump_and_restore_is_no_change(create_database: Callable[..., Dsn], tmp_path: Path) -> None:
    origin, copy = create_database("origin"), create_database("copy")
    with connect(origin, purpose="test") as conn:
        for label, case in CASES.items():
            place = PLACES[label]
            run(conn, "CREATE SCHEMA {place}", place=place)
            run(conn, "SET search_path = {place}, public", place=place)
            conn.execute(statements(f"{case.setup};{case.change}", place))
        run(conn, "RESET search_path")
        before = read_schema(conn)
    archive = tmp_path / "archive"
    run_program(
        [client_program("pg_dump"), "-Fd", "-f", archive],
        environment=origin.process_environment(),
        timeout_s=60,
        what="pg_dump",
    )
    run_program(
        [client_program("pg_restore"), "--exit-on-error", "-d", copy.database, archive],
        environment=copy.process_environment(),
        timeout_s=60,
        what="pg_restore",
    )
    with connect(copy, purpose="test") as conn:
        after = read_schema(conn)

    assert [describe(d) for d in differences(before, after)] == []
    assert before.fingerprint == after.fingerprint


def test_every_common_kind_of_object_has_a_case() -> None:
    rare = {
        "access method",
        "conversion",
        "foreign-data wrapper",
        "language",
        "text search parser",
        "text search template",
        "transform",
    }
    told = {
        kind_of(re.sub(r"^comment on index of .*", "comment on x", name))
        for c in CASES.values()
        for name in c.seen
    }
    assert set(KINDS) - told - rare == {"materialized view"}
