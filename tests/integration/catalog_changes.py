"""A change in each kind of object that a schema can hold."""

from __future__ import annotations

from msgspec import Struct


class Case(Struct, frozen=True, kw_only=True):
    """A change inside a schema of its own, `@`, and the objects that it must be seen in."""

    setup: str
    change: str
    seen: tuple[str, ...]
    since: int = 15  # the server's major version that knows the statements


_ONE_OF_EACH = """
CREATE TYPE e AS ENUM ('a'); CREATE DOMAIN d AS int CONSTRAINT dk CHECK (VALUE > 0);
CREATE TYPE c AS (a int); CREATE TYPE n AS RANGE (subtype = int); CREATE SEQUENCE s;
CREATE TABLE t (a int, b int, CONSTRAINT k UNIQUE (a)); CREATE INDEX i ON t (b); CREATE VIEW v AS SELECT a FROM t;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE AGGREGATE g (int) (sfunc = int4pl, stype = int);
CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING; CREATE POLICY p ON t; CREATE STATISTICS st ON a, b FROM t;
CREATE PUBLICATION one_@ FOR TABLE t; CREATE EVENT TRIGGER one_@ ON sql_drop EXECUTE FUNCTION ev();
CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq); CREATE CAST (text AS e) WITH INOUT;
CREATE COLLATION l (provider = libc, locale = 'C'); CREATE TEXT SEARCH CONFIGURATION tc (COPY = simple);
"""

CASES: dict[str, Case] = {
    "a schema": Case(
        setup="",
        change="CREATE SCHEMA extra_@",
        seen=("schema extra_@", "owner of schema extra_@"),
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
        since=17,
    ),
    "a virtual column": Case(
        setup="CREATE TABLE t (a int)",
        change="ALTER TABLE t ADD b int GENERATED ALWAYS AS (a * 2) VIRTUAL",
        seen=("column @.t.b",),
        since=18,
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
        since=18,
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
    "a column that is generated no more": Case(
        setup="CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED)",
        change="ALTER TABLE t ALTER b DROP EXPRESSION",
        seen=("column @.t.b",),
    ),
    "another kind of identity": Case(
        setup="CREATE TABLE t (n int GENERATED ALWAYS AS IDENTITY)",
        change="ALTER TABLE t ALTER n SET GENERATED BY DEFAULT",
        seen=("column @.t.n",),
    ),
    "a typed table": Case(
        setup="CREATE TYPE row AS (a int); CREATE TABLE t (a int)",
        change="ALTER TABLE t OF row",
        seen=("table @.t",),
    ),
    "a parent's own check": Case(
        setup="CREATE TABLE p (a int); CREATE TABLE c () INHERITS (p)",
        change="ALTER TABLE p ADD CONSTRAINT k CHECK (a > 0) NO INHERIT",
        seen=("constraint @.p.k",),
    ),
    "a check of the whole row": Case(
        setup="CREATE TABLE t (a int, CONSTRAINT k CHECK (t IS NOT NULL))",
        change="ALTER TABLE t DROP CONSTRAINT k, ADD CONSTRAINT k CHECK (t IS NOT NULL AND a > 0)",
        seen=("constraint @.t.k",),
    ),
    "a check that nothing enforces": Case(
        setup="CREATE TABLE t (a int)",
        change="ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT ENFORCED",
        seen=("constraint @.t.k",),
        since=18,
    ),
    "a key over time": Case(
        setup="CREATE TABLE t (a int4range, d daterange, PRIMARY KEY (a, d WITHOUT OVERLAPS)); CREATE TABLE u (a"
        " int4range, d daterange)",
        change="ALTER TABLE u ADD CONSTRAINT k FOREIGN KEY (a, PERIOD d) REFERENCES t (a, PERIOD d)",
        seen=("constraint @.u.k",),
        since=18,
    ),
    "what a foreign key sets to null": Case(
        setup="CREATE TABLE a (x int, y int, PRIMARY KEY (x, y)); CREATE TABLE b (x int, y int,"
        " CONSTRAINT k FOREIGN KEY (x, y) REFERENCES a ON DELETE SET NULL)",
        change="ALTER TABLE b DROP CONSTRAINT k, ADD CONSTRAINT k FOREIGN KEY (x, y) REFERENCES a"
        " ON DELETE SET NULL (y)",
        seen=("constraint @.b.k",),
    ),
    "an index's order and what it carries along": Case(
        setup="CREATE TABLE t (a int, b int); CREATE INDEX i ON t (a)",
        change="DROP INDEX i; CREATE INDEX i ON t (a DESC NULLS LAST) INCLUDE (b)",
        seen=("index @.i",),
    ),
    "an index's collation": Case(
        setup="CREATE TABLE t (a text); CREATE INDEX i ON t (a)",
        change='DROP INDEX i; CREATE INDEX i ON t (a COLLATE "C")',
        seen=("index @.i",),
    ),
    "an index made unique": Case(
        setup="CREATE TABLE t (a text); CREATE INDEX i ON t (a)",
        change="DROP INDEX i; CREATE UNIQUE INDEX i ON t (a)",
        seen=("index @.i",),
    ),
    "an unlogged sequence": Case(
        setup="CREATE SEQUENCE s", change="ALTER SEQUENCE s SET UNLOGGED", seen=("sequence @.s",)
    ),
    "a materialised view's query": Case(
        setup="CREATE MATERIALIZED VIEW m AS SELECT 1 AS a",
        change="DROP MATERIALIZED VIEW m; CREATE MATERIALIZED VIEW m WITH (fillfactor = 70) AS SELECT 2 AS a"
        " WITH NO DATA",
        seen=("materialized view @.m",),
    ),
    "a function's promises": Case(
        setup="CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        change="ALTER FUNCTION f() IMMUTABLE STRICT SECURITY DEFINER PARALLEL SAFE COST 7",
        seen=("function @.f()",),
    ),
    "a partition's trigger switched off": Case(
        setup="CREATE TABLE p (id int) PARTITION BY HASH (id); CREATE FUNCTION f() RETURNS trigger LANGUAGE"
        " plpgsql AS $$ BEGIN RETURN NEW; END $$;"
        "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "CREATE TRIGGER g AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f()",
        change="ALTER TABLE p0 DISABLE TRIGGER g",
        seen=("trigger @.p0.g",),
    ),
    "a rule switched off": Case(
        setup="CREATE TABLE t (a int); CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        change="ALTER TABLE t DISABLE RULE r",
        seen=("rule @.t.r",),
    ),
    "statistics of an expression": Case(
        setup="CREATE TABLE t (a int, b text)",
        change="CREATE STATISTICS s ON (a % 7), lower(b) FROM t",
        seen=("statistics @.s", "owner of statistics @.s"),
    ),
    "an enum's label renamed": Case(
        setup="CREATE TYPE e AS ENUM ('a', 'c')",
        change="ALTER TYPE e RENAME VALUE 'a' TO 'it''s'",
        seen=("enum @.e",),
    ),
    "a domain's default": Case(
        setup="CREATE DOMAIN d AS int", change="ALTER DOMAIN d SET DEFAULT 7", seen=("domain @.d",)
    ),
    "an attribute's type": Case(
        setup="CREATE TYPE c AS (a int, b text)",
        change="ALTER TYPE c ALTER ATTRIBUTE a TYPE bigint",
        seen=("attribute @.c.a",),
    ),
    "a shell type": Case(
        setup="", change="CREATE TYPE shell", seen=("type @.shell", "owner of type @.shell")
    ),
    "a publication of a schema": Case(
        setup="CREATE PUBLICATION pubs_@ WITH (publish_via_partition_root = true)",
        change="ALTER PUBLICATION pubs_@ SET TABLES IN SCHEMA @; ALTER PUBLICATION pubs_@ SET (publish = 'insert')",
        seen=("publication pubs_@",),
    ),
    "an event trigger switched off": Case(
        setup="CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;"
        "CREATE EVENT TRIGGER evs_@ ON sql_drop EXECUTE FUNCTION f()",
        change="ALTER EVENT TRIGGER evs_@ DISABLE",
        seen=("event trigger evs_@",),
    ),
    "an operator family's member": Case(
        setup="CREATE OPERATOR FAMILY of USING btree",
        change="ALTER OPERATOR FAMILY of USING btree ADD OPERATOR 1 < (int4, int2), FUNCTION 1 (int4, int2)"
        " btint42cmp(int4, int2)",
        seen=("operator family @.of USING btree",),
    ),
    "an access method": Case(
        setup="",
        change="CREATE ACCESS METHOD am_@ TYPE INDEX HANDLER bthandler",
        seen=("access method am_@",),
    ),
    "a conversion": Case(
        setup="",
        change="CREATE CONVERSION cv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        seen=("conversion @.cv", "owner of conversion @.cv"),
    ),
    "a language": Case(
        setup="CREATE FUNCTION h() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'",
        change="CREATE TRUSTED LANGUAGE lang_@ HANDLER h",
        seen=("language lang_@", "owner of language lang_@"),
    ),
    "a transform": Case(
        setup="CREATE TYPE mood AS ENUM ('x')",
        change="CREATE TRANSFORM FOR mood LANGUAGE plpgsql (FROM SQL WITH FUNCTION gtsquery_compress(internal))",
        seen=("transform FOR @.mood LANGUAGE plpgsql",),
    ),
    "a parser and a template of text search": Case(
        setup="",
        change="CREATE TEXT SEARCH PARSER tp (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,"
        " LEXTYPES = prsd_lextype); CREATE TEXT SEARCH TEMPLATE tt (INIT = dsimple_init, LEXIZE = dsimple_lexize)",
        seen=("text search parser @.tp", "text search template @.tt"),
    ),
    "a foreign-data wrapper": Case(
        setup="CREATE FOREIGN DATA WRAPPER ww_@",
        change="ALTER FOREIGN DATA WRAPPER ww_@ OPTIONS (debug 'true')",
        seen=("foreign-data wrapper ww_@",),
    ),
    "comments on all that can have one": Case(
        setup=_ONE_OF_EACH,
        change="COMMENT ON TABLE t IS 'x'; COMMENT ON CONSTRAINT k ON t IS 'x'; COMMENT ON INDEX i IS 'x';"
        "COMMENT ON SEQUENCE s IS 'x'; COMMENT ON VIEW v IS 'x'; COMMENT ON COLUMN v.a IS 'x';"
        "COMMENT ON FUNCTION f() IS 'x'; COMMENT ON PROCEDURE p() IS 'x'; COMMENT ON AGGREGATE g(int) IS 'x';"
        "COMMENT ON TRIGGER r ON t IS 'x'; COMMENT ON RULE r ON t IS 'x'; COMMENT ON POLICY p ON t IS 'x';"
        "COMMENT ON TYPE e IS 'x'; COMMENT ON DOMAIN d IS 'x'; COMMENT ON CONSTRAINT dk ON DOMAIN d IS 'x';"
        "COMMENT ON TYPE c IS 'x'; COMMENT ON TYPE n IS 'x'; COMMENT ON STATISTICS st IS 'x';"
        "COMMENT ON PUBLICATION one_@ IS 'x'; COMMENT ON EVENT TRIGGER one_@ IS 'x';"
        "COMMENT ON OPERATOR === (int, int) IS 'x'; COMMENT ON CAST (text AS e) IS 'x';"
        "COMMENT ON COLLATION l IS 'x'; COMMENT ON TEXT SEARCH CONFIGURATION tc IS 'x'",
        seen=(
            *("comment on table @.t", "comment on constraint @.t.k", "comment on index @.i"),
            *("comment on sequence @.s", "comment on view @.v", "comment on column @.v.a"),
            *("comment on function @.f()", "comment on procedure @.p()", "comment on aggregate @.g(integer)"),
            *("comment on trigger @.t.r", "comment on rule @.t.r", "comment on policy @.t.p"),
            *("comment on enum @.e", "comment on domain @.d", "comment on domain constraint @.d.dk"),
            *("comment on type @.c", "comment on type @.n", "comment on statistics @.st"),
            *("comment on publication one_@", "comment on event trigger one_@"),
            *("comment on operator @.=== (integer, integer)", "comment on cast text AS @.e"),
            *("comment on collation @.l", "comment on text search configuration @.tc"),
        ),
    ),
    "grants on all that can have one": Case(
        setup=_ONE_OF_EACH,
        change="GRANT ALL ON SCHEMA @ TO pg_monitor; GRANT SELECT ON t TO PUBLIC; GRANT USAGE ON SEQUENCE s TO"
        " pg_monitor; GRANT SELECT ON v TO pg_monitor; REVOKE ALL ON FUNCTION f() FROM PUBLIC;"
        "GRANT EXECUTE ON PROCEDURE p() TO pg_monitor; GRANT EXECUTE ON FUNCTION g(int) TO pg_monitor;"
        "REVOKE USAGE ON TYPE e FROM PUBLIC; GRANT USAGE ON DOMAIN d TO pg_monitor;"
        "REVOKE ALL ON TYPE c FROM PUBLIC",
        seen=(
            *("grants on schema @", "grants on table @.t", "grants on sequence @.s", "grants on view @.v"),
            *("grants on function @.f()", "grants on procedure @.p()", "grants on aggregate @.g(integer)"),
            *("grants on enum @.e", "grants on domain @.d", "grants on type @.c"),
        ),
    ),
    "owners of all that can have one": Case(
        setup=_ONE_OF_EACH,
        change="ALTER TABLE t OWNER TO pg_monitor; ALTER SEQUENCE s OWNER TO pg_monitor;"
        "ALTER VIEW v OWNER TO pg_monitor; ALTER FUNCTION f() OWNER TO pg_monitor;"
        "ALTER PROCEDURE p() OWNER TO pg_monitor; ALTER AGGREGATE g(int) OWNER TO pg_monitor;"
        "ALTER TYPE e OWNER TO pg_monitor; ALTER DOMAIN d OWNER TO pg_monitor; ALTER TYPE c OWNER TO pg_monitor;"
        "ALTER TYPE n OWNER TO pg_monitor; ALTER STATISTICS st OWNER TO pg_monitor;"
        "ALTER PUBLICATION one_@ OWNER TO pg_monitor; ALTER OPERATOR === (int, int) OWNER TO pg_monitor;"
        "ALTER COLLATION l OWNER TO pg_monitor; ALTER TEXT SEARCH CONFIGURATION tc OWNER TO pg_monitor;"
        "ALTER SCHEMA @ OWNER TO pg_monitor",
        seen=(
            *("owner of table @.t", "owner of sequence @.s", "owner of view @.v", "owner of function @.f()"),
            *("owner of procedure @.p()", "owner of aggregate @.g(integer)", "owner of enum @.e"),
            *("owner of domain @.d", "owner of type @.c", "owner of type @.n", "owner of statistics @.st"),
            *("owner of publication one_@", "owner of operator @.=== (integer, integer)"),
            *("owner of collation @.l", "owner of text search configuration @.tc", "owner of schema @"),
        ),
    ),
}


def statements(text: str, place: str) -> str:
    """The statements in a schema of that name."""
    return text.replace("@", place)
