"""What a copy on the same server does not keep in."""

from __future__ import annotations

import pytest

from faberdb.config.model import Hosting
from faberdb.errors import Refused
from faberdb.reach import beyond_database, refuse_beyond
from faberdb.statements import parse_script

BEYOND = (
    "CREATE ROLE app LOGIN PASSWORD 's3cret'",
    "ALTER USER app NOLOGIN",
    "ALTER ROLE app SET work_mem = '1GB'",
    "DROP ROLE app",
    "GRANT admin TO app",
    "REVOKE admin FROM app",
    "ALTER DATABASE shop SET timezone = 'UTC'",
    "ALTER DATABASE shop OWNER TO app",
    "CREATE DATABASE other",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "CREATE TABLESPACE fast LOCATION '/fast'",
    "DROP SUBSCRIPTION feed",
    "REASSIGN OWNED BY app TO admin",
    "DROP OWNED BY app",
    "COMMENT ON ROLE app IS 'the application'",
    "COMMENT ON DATABASE shop IS 'live'",
    "GRANT CONNECT ON DATABASE shop TO app",
    "SELECT dblink_exec('host=other', 'DELETE FROM account')",
    "SELECT pg_drop_replication_slot('feed')",
    "INSERT INTO copy SELECT * FROM dblink('host=other', 'DELETE FROM account RETURNING id') AS d (id int)",
    "COPY account TO PROGRAM 'mail everybody'",
    "DO $$ BEGIN CREATE ROLE app; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    "DO $$ BEGIN EXECUTE 'alter  database shop SET x.y = 1'; END $$",
)
WITHIN = (
    "CREATE TABLE role (id int)",
    "GRANT SELECT ON account TO app",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app",
    "ALTER TABLE account OWNER TO app",
    "COMMENT ON TABLE account IS 'on role of an account'",
    "CREATE USER MAPPING FOR app SERVER other",
    "DO $$ BEGIN CREATE TYPE role AS ENUM ('user'); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    "INSERT INTO note VALUES ('CREATE ROLE is what an administrator does')",
    "UPDATE account SET note = 'dblink (x)'",
    "CREATE FUNCTION far() RETURNS int LANGUAGE sql AS 'SELECT dblink_exec(1)'",
)


@pytest.mark.parametrize("text", BEYOND)
def test_a_statement_that_changes_the_server_is_known(text: str) -> None:
    (statement,) = parse_script(text, source="0001")
    assert beyond_database(statement)
    with pytest.raises(Refused, match="0001 reaches beyond its database") as caught:
        refuse_beyond([("0001", text)], hosting=Hosting.POSTGRES, what="The plan is not rehearsed")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", WITHIN)
def test_a_statement_that_stays_in_its_database_is_known(text: str) -> None:
    (statement,) = parse_script(text, source="0001")
    assert not beyond_database(statement)


def test_the_projects_own_embedded_server_may_be_changed() -> None:
    refuse_beyond([("0001", BEYOND[0])], hosting=Hosting.EMBEDDED, what="The plan is not rehearsed")
