"""Scripts as PostgreSQL's grammar reads them."""

from __future__ import annotations

import pytest

from faberdb.errors import UnreadableSql
from faberdb.statements import (
    ConcurrentIndex,
    Hazard,
    Statement,
    concurrent_index,
    parse_script,
    surely_ordinary,
)


def only(script: str) -> Statement:
    (statement,) = parse_script(script, source="20260101_x")
    return statement


@pytest.mark.parametrize(
    ("script", "hazards"),
    [
        ("DROP DATABASE shop", {"drop_database"}),
        ("DROP SCHEMA old CASCADE", {"drop_schema"}),
        ("DROP TABLE IF EXISTS a, b", {"drop_table"}),
        ("TRUNCATE a", {"truncate"}),
        ("DELETE FROM a", {"delete_without_where"}),
        ("DELETE FROM a WHERE true", {"delete_without_where"}),
        ("DELETE FROM a USING b WHERE a.id = b.id", {"delete_with_where"}),
        ("UPDATE a SET x = 1", {"update_without_where"}),
        ("UPDATE a SET x = 1 WHERE y", set()),
        ("WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone", {"delete_without_where"}),
        ("INSERT INTO b WITH g AS (DELETE FROM a WHERE x RETURNING *) SELECT * FROM g", {"delete_with_where"}),
        ("MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE", {"delete_with_where"}),
        ("ALTER TABLE a DROP COLUMN b", {"drop_column"}),
        ("ALTER TABLE a DROP CONSTRAINT b", {"drop_constraint"}),
        ("ALTER DOMAIN a DROP CONSTRAINT b", {"drop_constraint"}),
        ("ALTER TABLE a ALTER COLUMN b TYPE bigint", {"alter_column_type"}),
        ("ALTER TABLE a DROP COLUMN b, ALTER c TYPE int, DROP c, DROP CONSTRAINT d",
         {"drop_column", "alter_column_type", "drop_constraint"}),
        ("ALTER TABLE a RENAME TO b", {"rename"}),
        ("ALTER TABLE a RENAME COLUMN b TO c", {"rename"}),
        ("ALTER TYPE a RENAME VALUE 'b' TO 'c'", {"rename"}),
        ("ALTER TYPE a ADD VALUE 'b'", set()),
        ("DROP VIEW a", {"drop_object"}),
        ("DROP TYPE a CASCADE", {"drop_object", "drop_column"}),
        ("DROP OWNED BY a", {"drop_table", "drop_object"}),
        ("ALTER TABLE a ADD COLUMN b int NOT NULL DEFAULT 0", set()),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM a; DROP TABLE b'", set()),
    ],
)  # fmt: skip
def test_every_hazard_is_found_and_nothing_else(script: str, hazards: set[str]) -> None:
    found = only(script).hazards
    assert {h.value for h in found} == hazards
    assert len(found) == len(hazards)


@pytest.mark.parametrize(
    ("script", "lock"),
    [
        ("ALTER TABLE a ADD COLUMN b int", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE a VALIDATE CONSTRAINT b", "SHARE UPDATE EXCLUSIVE"),
        ("ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES c(id) NOT VALID", "SHARE ROW EXCLUSIVE"),
        ("ALTER TABLE a ADD CONSTRAINT f CHECK (b > 0)", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE a VALIDATE CONSTRAINT b, ADD COLUMN c int", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE a DISABLE TRIGGER ALL", "SHARE ROW EXCLUSIVE"),
        ("CREATE INDEX i ON a(b)", "SHARE"),
        ("CREATE INDEX CONCURRENTLY i ON a(b)", "SHARE UPDATE EXCLUSIVE"),
        ("DROP INDEX i", "ACCESS EXCLUSIVE"),
        ("DROP INDEX CONCURRENTLY i", "SHARE UPDATE EXCLUSIVE"),
        ("CREATE TRIGGER t AFTER INSERT ON a EXECUTE FUNCTION f()", "SHARE ROW EXCLUSIVE"),
        ("CREATE TABLE a (b int REFERENCES c(id))", "SHARE ROW EXCLUSIVE"),
        ("CREATE TABLE a (b int)", ""),
        ("CREATE TYPE a AS ENUM ('b')", ""),
        ("CREATE OR REPLACE VIEW a AS SELECT 1", "ACCESS EXCLUSIVE"),
        ("UPDATE a SET b = 1", "ROW EXCLUSIVE"),
        ("WITH g AS (DELETE FROM a RETURNING *) SELECT * FROM g", "ROW EXCLUSIVE"),
        ("LOCK TABLE a IN SHARE MODE", "SHARE"),
        ("SELECT * FROM a", ""),
        ("DROP TRIGGER t ON a", "ACCESS EXCLUSIVE"),
        ("COMMENT ON COLUMN a.b IS 'x'", "SHARE UPDATE EXCLUSIVE"),
    ],
)
def test_the_lock_is_the_strongest_documented_one(script: str, lock: str) -> None:
    assert only(script).lock == lock


def test_an_index_that_the_script_made_on_an_older_table_locks_that_table() -> None:
    *_, dropped = parse_script("CREATE INDEX i ON a (b);\nDROP INDEX CONCURRENTLY i;", source="x")
    assert dropped.lock == "SHARE UPDATE EXCLUSIVE"
    *_, dropped = parse_script("CREATE TABLE a (b int); CREATE INDEX i ON a (b); DROP INDEX i;", source="x")
    assert dropped.lock == ""


def test_relations_that_the_script_made_itself_need_no_lock() -> None:
    script = (
        'CREATE TABLE "A" (b int); CREATE INDEX i ON "A"(b); ALTER TABLE "A" ADD FOREIGN KEY (b) REFERENCES o'
    )
    create, index, foreign_key = parse_script(script, source="x")
    assert (create.lock, index.lock) == ("", "")
    assert foreign_key.lock == "SHARE ROW EXCLUSIVE"  # on o, which was there before


@pytest.mark.parametrize(
    ("script", "locks"),
    [
        (
            "ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES c(id)",
            {"a": "SHARE ROW EXCLUSIVE", "c": "SHARE ROW EXCLUSIVE"},
        ),
        (
            "ALTER TABLE a ADD COLUMN b int REFERENCES c(id)",
            {"a": "ACCESS EXCLUSIVE", "c": "SHARE ROW EXCLUSIVE"},
        ),
        ("CREATE TABLE a (b int REFERENCES c(id))", {"c": "SHARE ROW EXCLUSIVE"}),
        ("CREATE TABLE a PARTITION OF p FOR VALUES IN (1)", {"p": "ACCESS EXCLUSIVE"}),
        (
            "ALTER TABLE p ATTACH PARTITION a FOR VALUES IN (1)",
            {"p": "SHARE UPDATE EXCLUSIVE", "a": "ACCESS EXCLUSIVE"},
        ),
        ("ALTER TABLE p DETACH PARTITION a", {"p": "ACCESS EXCLUSIVE", "a": "ACCESS EXCLUSIVE"}),
        (
            "ALTER TABLE p DETACH PARTITION a CONCURRENTLY",
            {"p": "SHARE UPDATE EXCLUSIVE", "a": "ACCESS EXCLUSIVE"},
        ),
        ("INSERT INTO a SELECT * FROM b", {"a": "ROW EXCLUSIVE"}),
        ("WITH g AS (DELETE FROM b RETURNING *) INSERT INTO a SELECT * FROM g",
         {"a": "ROW EXCLUSIVE", "b": "ROW EXCLUSIVE"}),
        ("REINDEX TABLE a", {"a": "SHARE", "": "ACCESS EXCLUSIVE"}),
    ],
)  # fmt: skip
def test_each_relation_has_the_lock_that_is_taken_on_it(script: str, locks: dict[str, str]) -> None:
    assert dict(only(script).locks) == locks


@pytest.mark.parametrize(
    ("script", "rewrites"),
    [
        ("ALTER TABLE a ADD COLUMN b int", "no"),
        ("ALTER TABLE a ADD COLUMN b timestamptz DEFAULT now()", "no"),
        ("ALTER TABLE a ADD COLUMN b uuid DEFAULT gen_random_uuid()", "yes"),
        ("ALTER TABLE a ADD COLUMN b text DEFAULT lower(random()::text)", "yes"),
        ("ALTER TABLE a ADD COLUMN b text DEFAULT own.made_up()", "depends"),
        ("ALTER TABLE a ADD COLUMN b bigserial", "yes"),
        ("ALTER TABLE a ADD COLUMN b int GENERATED ALWAYS AS (c * 2) STORED", "yes"),
        ("ALTER TABLE a ADD COLUMN b own.domain", "depends"),
        ("ALTER TABLE a ALTER COLUMN b TYPE text", "depends"),
        ("ALTER TABLE a ALTER COLUMN b SET NOT NULL", "no"),
        ("VACUUM FULL a", "yes"),
        ("VACUUM a", "no"),
    ],
)
def test_a_rewrite_is_told_where_the_text_says_so(script: str, rewrites: str) -> None:
    assert only(script).rewrites == rewrites


@pytest.mark.parametrize(
    ("script", "scans"),
    [
        ("ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0)", ("a",)),
        ("ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID", ()),
        ("ALTER TABLE a VALIDATE CONSTRAINT c", ("a",)),
        ("ALTER TABLE a ADD CONSTRAINT c UNIQUE USING INDEX i", ()),
        ("ALTER TABLE a ADD COLUMN b int REFERENCES c(id)", ()),  # no row has a value to look up
        ("ALTER TABLE a ADD COLUMN b int DEFAULT 1 REFERENCES c(id)", ("a",)),
        ("ALTER TABLE p ATTACH PARTITION a FOR VALUES IN (1)", ("a",)),
        ("CREATE INDEX i ON a(b)", ("a",)),
        ("UPDATE a SET b = 1", ("a",)),
        ("UPDATE a SET b = 1 WHERE id = 1", ()),
    ],
)
def test_what_is_read_as_a_whole_is_told(script: str, scans: tuple[str, ...]) -> None:
    assert only(script).scans == scans


@pytest.mark.parametrize(
    ("script", "destroys"),
    [
        ("DROP TABLE a", "all rows of a, and the table"),
        ("ALTER TABLE a DROP COLUMN b, DROP COLUMN c", "the values of a.b; the values of a.c"),
        ("UPDATE a SET b = 1", "the values that changed rows of a had"),
        ("DROP VIEW v", "view v"),
        ("CREATE TABLE a (b int)", ""),
    ],
)
def test_what_is_gone_afterwards_is_said_in_words(script: str, destroys: str) -> None:
    found = only(script)
    assert found.destroys == destroys
    assert found.reversible is not bool(destroys)


def test_a_body_of_statements_is_one_statement() -> None:
    script = (
        "CREATE FUNCTION f(n int) RETURNS int BEGIN ATOMIC SELECT 1; SELECT n; END;\n"
        "/* a; /* b; */ */ SELECT 2; -- c;\nSELECT $a$ ; $b$ ; $a$"
    )
    assert [s.verb for s in parse_script(script, source="x")] == ["CREATE FUNCTION", "SELECT", "SELECT"]


@pytest.mark.parametrize(
    ("script", "transactional"),
    [
        ("CREATE INDEX CONCURRENTLY i ON a(b)", False),
        ("DROP INDEX CONCURRENTLY i", False),
        ("REINDEX INDEX CONCURRENTLY i", False),
        ("REINDEX INDEX i", True),
        ("ALTER TABLE a DETACH PARTITION b CONCURRENTLY", False),
        ("ALTER TABLE a DETACH PARTITION b", True),
        ("VACUUM a", False),
        ("ANALYZE a", True),
        ("CREATE DATABASE a", False),
        ("DROP DATABASE a", False),
        ("CREATE TABLESPACE a LOCATION '/x'", False),
        ("DROP TABLESPACE a", False),
        ("ALTER SYSTEM SET work_mem = '1MB'", False),
        ("CREATE INDEX i ON a(b)", True),
    ],
)
def test_what_postgresql_refuses_inside_a_transaction_is_known(script: str, transactional: bool) -> None:
    assert only(script).transactional is transactional


@pytest.mark.parametrize(
    ("script", "control", "opaque"),
    [
        ("BEGIN", True, False),
        ("COMMIT", True, False),
        ("SAVEPOINT a", True, False),
        ("DO $$ BEGIN DELETE FROM a; END $$", False, True),
        ("DO $$ BEGIN COMMIT; END $$", True, True),
        ("CALL f()", True, True),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$", False, False),
    ],
)
def test_transaction_control_and_opaque_code_are_told(script: str, control: bool, opaque: bool) -> None:
    statement = only(script)
    assert (statement.transaction_control, statement.opaque) == (control, opaque)


@pytest.mark.parametrize(
    ("script", "adds_only"),
    [
        ("CREATE TABLE a (b int)", True),
        ("ALTER TABLE a ADD COLUMN b int, ADD CONSTRAINT c CHECK (b > 0)", True),
        ("CREATE INDEX i ON a(b)", True),
        ("ALTER TYPE a ADD VALUE 'b'", True),
        ("CREATE OR REPLACE VIEW a AS SELECT 1", False),
        ("ALTER TABLE a ADD COLUMN b int, DROP COLUMN c", False),
        ("INSERT INTO a VALUES (1)", False),
        ("DO $$ BEGIN END $$", False),
    ],
)
def test_a_statement_that_only_adds_is_told_from_one_that_changes(script: str, adds_only: bool) -> None:
    assert only(script).adds_only is adds_only


@pytest.mark.parametrize(
    ("script", "verb", "objects"),
    [
        ('CREATE TABLE shop."Order" (id int REFERENCES item)', "CREATE TABLE", ('shop."Order"', "item")),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON a(b)", "CREATE INDEX CONCURRENTLY", ("a",)),
        ("ALTER TABLE a RENAME COLUMN b TO c", "ALTER TABLE", ("a",)),
        ("DROP MATERIALIZED VIEW s.m", "DROP MATERIALIZED VIEW", ("s.m",)),
        ("DROP TRIGGER t ON s.a", "DROP TRIGGER", ("s.a",)),
        ("DROP FUNCTION s.f(int)", "DROP FUNCTION", ("s.f",)),
        ("CREATE TYPE s.mood AS ENUM ('a')", "CREATE TYPE", ("s.mood",)),
        ("CREATE EXTENSION IF NOT EXISTS citext", "CREATE EXTENSION", ("citext",)),
        ("CREATE POLICY p ON a", "CREATE POLICY", ("a",)),
        ("START TRANSACTION", "START TRANSACTION", ()),
        ("SET LOCAL search_path = a", "SET LOCAL", ()),
        ("GRANT SELECT ON a TO public", "GRANT", ("a",)),
    ],
)
def test_verbs_and_objects_are_named_as_people_write_them(
    script: str, verb: str, objects: tuple[str, ...]
) -> None:
    statement = only(script)
    assert (statement.verb, statement.objects) == (verb, objects)


def test_text_and_line_begin_after_the_comments_before_a_statement() -> None:
    script = (
        "-- CreateTable; not a statement\n"
        "/* a /* nested */ é */\n\n"
        "CREATE TABLE a (\n  b text -- ';'\n);\n"
        ";;\n"
        "INSERT INTO a VALUES ('é;''x');\n"
        "DO $f$ BEGIN PERFORM 1; END $f$\n"
    )
    statements = parse_script(script, source="x")
    assert [(s.line, s.text) for s in statements] == [
        (4, "CREATE TABLE a (\n  b text -- ';'\n)"),
        (8, "INSERT INTO a VALUES ('é;''x')"),
        (9, "DO $f$ BEGIN PERFORM 1; END $f$"),
    ]


def test_a_script_of_comments_has_no_statements() -> None:
    assert parse_script("-- This is an empty migration.\n", source="x") == ()


@pytest.mark.parametrize(
    ("script", "line", "word"),
    [
        ("SELECT 1;\nCREATE TABEL a ();\n", 2, "syntax error"),
        ("SELECT 'é';\n\nSELEC 1", 3, "syntax error"),
        ("SELECT 1;\n\\i other.sql\n", 2, r"\i is a command of psql"),
        ("SELECT 1;\nCOPY a FROM STDIN;\n1\t2\n\\.\n", 3, "COPY"),
        ("SELECT 1;\nCOPY a FROM STDIN;\n", 2, "COPY ... FROM STDIN"),
        ("SELECT 1;\nCOPY a FROM STDIN;\n\\.\n", 3, "COPY ... FROM STDIN"),
        ("COPY a TO STDOUT;", 1, "COPY ... TO STDOUT"),
        ("SELECT 1;\nSELECT 'DROP TABLE a' \\gexec\n", 2, r"\gexec is a command of psql"),
        ("SELECT 1;\nINSERT INTO a VALUES (:'name');\n", 2, ":'name' is a variable of psql"),
        ("\ufeffSELECT 1;", 1, "byte order mark"),
        ("SELECT 1;\nSELECT '\0'", 2, "NUL"),
    ],
)
def test_unreadable_sql_is_refused_with_its_line_and_reason(script: str, line: int, word: str) -> None:
    with pytest.raises(UnreadableSql) as caught:
        parse_script(script, source="20260101_broken")
    assert f"20260101_broken, line {line}:" in caught.value.what
    assert word in caught.value.why


@pytest.mark.parametrize(
    "before", ["", "SELECT 1;", "-- a comment\n", "/* a */ ", "SELECT 1 /* a */; -- b\n  "]
)
@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN", "COMMIT", "SAVEPOINT a", "SET a.b = 'c'", "RESET ALL", "DISCARD ALL", "DO $$ BEGIN END $$",
        "CALL f()", "VACUUM a", "REINDEX SCHEMA s", "create index concurrently i on a(b)", "CREATE DATABASE a",
        "ALTER SYSTEM SET a = 1", "SELECT pg_catalog.set_config('a.b', 'c', false)",
        "CREATE TABLESPACE a LOCATION '/'",
        "ALTER TABLE a DETACH PARTITION b CONCURRENTLY", "DROP SUBSCRIPTION a", "PREPARE TRANSACTION 'a'",
        "COPY a FROM '/b'",
    ],
)  # fmt: skip
def test_no_unusual_statement_passes_for_an_ordinary_script(before: str, statement: str) -> None:
    assert parse_script(f"{before}{statement}", source="x")
    assert not surely_ordinary(f"{before}{statement}")
    assert not surely_ordinary(f"{before}\t{statement.lower()};\nSELECT 1")


def test_what_prisma_generates_passes_for_an_ordinary_script() -> None:
    script = (
        '-- AlterTable\nALTER TABLE "A" ALTER COLUMN "b" SET NOT NULL;\n\n-- AddForeignKey\nALTER TABLE "A" ADD'
        ' CONSTRAINT "f" FOREIGN KEY ("b") REFERENCES "B"("id") ON DELETE SET NULL ON UPDATE CASCADE;\n'
    )
    assert surely_ordinary(script)


def test_a_concurrent_index_is_named_with_its_table() -> None:
    built = concurrent_index(only('CREATE INDEX CONCURRENTLY IF NOT EXISTS "I" ON s.a(b)'))
    assert built == ConcurrentIndex(name="I", table="a", schema="s")
    assert concurrent_index(only("CREATE INDEX CONCURRENTLY ON a(b)")) is None
    assert concurrent_index(only("CREATE INDEX i ON a(b)")) is None


def test_hazards_are_the_keys_of_the_plugins_configuration() -> None:
    assert {
        "drop_table",
        "drop_database",
        "drop_schema",
        "truncate",
        "delete_without_where",
        "drop_column",
    } <= {h.value for h in Hazard}
