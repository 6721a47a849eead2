from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from cli.main import cli
from faberdb.catalog import Schema, read_schema
from faberdb.connection import connect
from faberdb.diagram import picture_of
from faberdb.dsn import Dsn
from faberdb.errors import Refused
from faberdb.ledger import Kind
from faberdb.ledger.schemas import keep_schema
from faberdb.plan import plan_to_json
from faberdb.progress import silent
from faberdb.release.opening import plan_target
from faberdb.release.picture import evidence_picture
from faberdb.release.rehearsal import rehearse
from faberdb.target import Target, open_target
from tests.flows.shoplet import Shoplet
from tests.integration.releasing import land

NOTE = {
    "0003_note": "ALTER TABLE account ADD COLUMN note text; ALTER TABLE entry DROP COLUMN amount;"
    " CREATE TABLE tag (id int PRIMARY KEY, entry int NOT NULL UNIQUE REFERENCES entry);"
}


def typed(shoplet: Shoplet, *arguments: str) -> Result:
    line = ["schema", "diagram", *arguments, "--project", str(shoplet.root)]
    return CliRunner().invoke(cli, line, catch_exceptions=False)


def released(shoplet: Shoplet) -> str:
    """A release that ran, with the schema before it kept as releases keep it."""
    with open_target(shoplet.root, "production") as target:
        keep_schema(target.ledger, _schema(target))
        shoplet.add(NOTE)
        return land(shoplet).id


def _schema(target: Target) -> Schema:
    with connect(target.dsn, purpose="test") as conn:
        return read_schema(conn, leave_out=target.tool.tracking_tables)


def test_an_environment_is_drawn_without_the_tools_own_tables(shoplet: Shoplet) -> None:
    result = typed(shoplet, "production")
    words = [e.text for e in ElementTree.fromstring(result.output).iter("{http://www.w3.org/2000/svg}text")]
    assert {"account", "entry", "balance"} <= set(words)
    assert "_prisma_migrations" not in words


def test_it_is_written_as_mermaid_where_the_file_is_called_so(shoplet: Shoplet, tmp_path: Path) -> None:
    result = typed(shoplet, "production", "--tables", "entry", "--output", str(tmp_path / "x.md"))
    assert "1 tables, 0 foreign keys; 1 not drawn" in result.output
    assert (tmp_path / "x.md").read_text().startswith("```mermaid\nerDiagram\n")


def test_a_release_is_drawn_as_what_it_changed(shoplet: Shoplet) -> None:
    release = released(shoplet)
    value = json.loads(typed(shoplet, "--diff", release, "--json").output)
    assert value["environment"] == "production"
    assert value["tables"] == {"public.account": "changed", "public.entry": "changed", "public.tag": "added"}
    assert "note" in value["text"]


def test_a_release_whose_schemas_were_not_kept_is_refused_with_a_reason(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(NOTE)
    plan = replace(plan_target(target, change="", requester="Priya"), fingerprint="0" * 64)
    id_ = f"rel-{shoplet.name}"
    body = {"plan": plan_to_json(plan), "digest": plan.digest, "requester": "Priya", "run": ""}
    target.ledger.append(Kind.RELEASE_OPENED, release=id_, environment="production", body=body)
    with pytest.raises(Refused, match="left no schema to compare with"):
        typed(shoplet, "production", "--diff", id_)
    body = {"outcome": "released", "fingerprint": "1" * 64}
    target.ledger.append(Kind.RELEASE_CLOSED, release=id_, environment="production", body=body)
    with pytest.raises(Refused, match="as it was before it is not on record"):
        typed(shoplet, "production", "--diff", id_)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("production", "--tables", "acount"), "No table is named 'acount'"),
        (("production", "--diff", "rel-x"), "knows no release 'rel-x'"),
        (("staging",), "staging has no database yet"),
        (("nowhere",), "nowhere"),
        (("production", "--output", "/nowhere/x.svg"), "could not be written"),
    ],
)
def test_what_cannot_be_drawn_is_refused(shoplet: Shoplet, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(Refused) as caught:
        typed(shoplet, *arguments)
    assert says in caught.value.what


def test_a_rehearsal_gives_the_plan_its_picture(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(NOTE)
    plan = plan_target(target, change="", requester="Priya")
    assert evidence_picture(target.ledger, None) == ""
    evidence = rehearse(target, plan, silent)
    picture = evidence_picture(target.ledger, evidence)
    assert picture.startswith("![what the plan changes in the schema](data:image/svg+xml;base64,")
    assert len(picture) < 60_000


def test_a_live_database_with_every_kind_of_key_is_read(fresh_database: Dsn) -> None:
    script = """
    CREATE SCHEMA "My Schema";
    CREATE DOMAIN "My Schema"."Odd.Name" AS numeric(10, 2);
    CREATE TABLE "My Schema"."A.""b"" c" (x int, y int, z "My Schema"."Odd.Name"[] NOT NULL,
      at timestamp(3) with time zone DEFAULT now(), i int GENERATED ALWAYS AS (x + 1) STORED,
      PRIMARY KEY (y, x) WITH (fillfactor = 70));
    CREATE TABLE c (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, b int,
      up bigint REFERENCES c DEFERRABLE INITIALLY DEFERRED,
      FOREIGN KEY (a, b) REFERENCES "My Schema"."A.""b"" c" (y, x) MATCH FULL ON DELETE SET NULL (a));
    CREATE UNIQUE INDEX ON c (b, a);
    CREATE TABLE p (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    """
    with connect(fresh_database, purpose="test") as conn:
        conn.execute(script.encode())
        picture = picture_of(read_schema(conn))
    tables = {t.label: t for t in picture.tables}
    assert list(tables) == ['My Schema.A."b" c', "c", "p"]
    first = tables['My Schema.A."b" c']
    assert [c.name for c in first.columns if c.primary] == ["y", "x"]
    assert {c.name: (c.type, c.nullable) for c in first.columns} == {
        "x": ("integer", False),
        "y": ("integer", False),
        "z": ("Odd.Name[]", False),
        "at": ("timestamptz(3)", True),
        "i": ("integer", True),
    }
    ends = {(r.child, r.parent, r.columns, r.parent_columns, r.single) for r in picture.references}
    assert ends == {
        ("public.c", "public.c", ("up",), ("id",), False),
        ("public.c", '"My Schema"."A.""b"" c"', ("a", "b"), ("y", "x"), True),
    }
    assert tables["p"].partitions == 1
