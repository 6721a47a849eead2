"""`faber-db plan --safer`: the lock-safe form of what is pending, proven on copies, written as new revisions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from faberdb.connection import connect
from faberdb.databases import maintenance
from faberdb.errors import Refused
from faberdb.safer.parts import safer_parts
from faberdb.statements import parse_script
from faberdb.target import Target
from tests.flows.shoplet import Shoplet
from tests.integration.releasing import land

CASES = {
    "an index": "CREATE INDEX account_owner ON account (owner DESC) WHERE balance > 0;",
    "a unique index": 'CREATE UNIQUE INDEX "account Owner" ON account (lower(owner), id);',
    "a foreign key": "ALTER TABLE entry ADD CONSTRAINT again FOREIGN KEY (account) REFERENCES account (id)"
    " ON DELETE CASCADE;",
    "a check": "ALTER TABLE account ADD CONSTRAINT rich CHECK (balance >= 0);",
    "a unique key": "ALTER TABLE account ADD CONSTRAINT one UNIQUE (id, owner) INCLUDE (balance) DEFERRABLE;",
    "a primary key": "ALTER TABLE plain ADD CONSTRAINT plain_pk PRIMARY KEY (a, b);",
    "not null": "ALTER TABLE plain ALTER COLUMN c SET NOT NULL;",
    "many in one": "ALTER TABLE account ADD COLUMN note text, ALTER COLUMN owner SET NOT NULL,"
    " ADD CONSTRAINT named CHECK (owner <> '');\nUPDATE account SET note = '-';\nALTER TABLE \"order\" ADD CONSTRAINT"
    ' o UNIQUE ("user");',
}


def typed(shoplet: Shoplet, *options: str) -> Result:
    line = ["plan", "production", "--safer", "--project", str(shoplet.root), *options]
    return CliRunner().invoke(cli, line, standalone_mode=False)


def offered(shoplet: Shoplet, *options: str) -> dict[str, Any]:
    done = typed(shoplet, "--json", *options)
    assert done.exception is None, done.exception
    return dict(json.loads(done.output))


@pytest.mark.parametrize("script", CASES.values(), ids=CASES)
def test_the_parts_lead_to_the_same_schema_and_none_blocks_while_it_works(
    shoplet: Shoplet, target: Target, script: str
) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("CREATE TABLE plain (a int NOT NULL, b int NOT NULL, c int)")
        conn.execute('CREATE TABLE "order" ("user" int)')
    shoplet.add({"0003_unsafe": script})
    (offer,) = offered(shoplet)["offers"]
    assert (offer["revision"], offer["equal"], offer["unequal"]) == ("0003_unsafe", True, "")
    assert offer["why"]
    for part in offer["parts"]:
        assert safer_parts(part["script"], source=part["name"]) is None or "SET NOT NULL" in part["script"]
        statements = parse_script(part["script"], source=part["name"])
        assert len(statements) == 1 or all(s.transactional for s in statements)


def test_it_is_written_as_new_revisions_that_are_released(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0003_unsafe": CASES["an index"] + CASES["a check"]})
    told = offered(shoplet, "--write")
    names = [r.name for r in target.tool.revisions()]
    assert names[-3:] == ["0003_unsafe_1", "0003_unsafe_2", "0003_unsafe_3"]
    assert len(told["written"]) == 3
    (kept,) = target.project.home.glob("replaced/0003_unsafe.sql")
    assert kept.read_text() == CASES["an index"] + CASES["a check"]
    land(shoplet)
    objects = target.schema().objects
    assert "index public.account_owner" in objects
    assert "NOT VALID" not in objects["constraint public.account.rich"]


def test_what_is_applied_somewhere_is_never_edited(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0003_unsafe": CASES["an index"]})
    before = [r.checksum for r in target.tool.revisions()]
    dev = next(e.name for e in target.project.environments if e.name != "production")
    applied_in(shoplet, dev, "0003_unsafe")
    done = typed(shoplet, "--write")
    assert isinstance(done.exception, Refused)
    assert f"is applied in {dev}" in done.exception.what
    assert [r.checksum for r in target.tool.revisions()] == before


def applied_in(shoplet: Shoplet, environment: str, revision: str) -> None:
    from faberdb.target import open_target

    with open_target(shoplet.root, environment) as other:
        with maintenance(other.dsn, purpose="test") as conn:
            conn.execute(f'CREATE DATABASE "{other.dsn.database}"'.encode())
        with connect(other.dsn, purpose="test") as conn:
            other.tool.baseline(conn, [r for r in other.tool.revisions() if r.name == revision])


def test_what_does_not_lead_to_the_same_schema_is_told_and_not_written(
    shoplet: Shoplet, target: Target
) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("CREATE TABLE parted (id int) PARTITION BY RANGE (id)")
    shoplet.add({"0003_unsafe": "CREATE INDEX by_id ON parted (id);"})
    (offer,) = offered(shoplet)["offers"]
    assert not offer["equal"]
    assert "partitioned" in offer["unequal"]
    assert isinstance(typed(shoplet, "--write").exception, Refused)
    assert [r.name for r in target.tool.revisions()][-1] == "0003_unsafe"


def test_what_does_not_run_is_told_and_not_written(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0003_bad": "CREATE INDEX by_it ON account (nothing);"})
    (offer,) = offered(shoplet)["offers"]
    assert "does not run on a copy of the schema" in offer["unequal"]
    assert "nothing" in offer["unequal"]


def test_what_blocks_nobody_has_nothing_to_offer(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0003_fine": "CREATE TABLE new (id int PRIMARY KEY, n int); CREATE INDEX new_n ON new (n);"})
    assert offered(shoplet)["offers"] == []
    assert "has a safer form" in typed(shoplet).output


def test_no_copy_is_left_behind(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0003_unsafe": CASES["an index"]})
    offered(shoplet)
    with connect(target.dsn, purpose="test") as conn:
        assert conn.execute("SELECT FROM pg_database WHERE datname LIKE %s", ("%_proof_%",)).rowcount == 0


@pytest.mark.parametrize("script", ["DO $$ BEGIN END $$;", "SET work_mem = '1GB';", "BEGIN; COMMIT;"])
def test_a_script_whose_statements_cannot_be_judged_alone_is_left_as_it_is(script: str) -> None:
    assert safer_parts(script + "CREATE INDEX i ON t (a);", source="x") is None
