"""`faber-db drift` and what it offers to do about one."""

from __future__ import annotations

import json
from pathlib import Path

import click
from click.testing import CliRunner, Result

from cli.main import cli
from faberdb.connection import connect
from faberdb.errors import Refused
from faberdb.settlement import FOLDER
from faberdb.target import Target
from tests.flows.shoplet import Shoplet
from tests.integration.releasing import land

NOTE = {"0003_note": "ALTER TABLE account ADD COLUMN note text;"}


def typed(shoplet: Shoplet, *arguments: str) -> Result:
    line = ["drift", *arguments, "--project", str(shoplet.root)]
    return CliRunner().invoke(cli, line, standalone_mode=False)


def drifted(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(NOTE)
    land(shoplet)
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("CREATE INDEX by_hand ON account (note)")


def test_an_environment_as_it_was_released_ends_with_nothing_to_say(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(NOTE)
    land(shoplet)
    done = typed(shoplet, "production")
    assert (done.return_value, "as the last release left it" in done.output) == (0, True)


def test_what_differs_is_shown_to_people_and_to_programs(shoplet: Shoplet, target: Target) -> None:
    drifted(shoplet, target)
    done = typed(shoplet, "production")
    assert (done.return_value, "DRIFTED, 1 difference" in done.output) == (1, True)
    assert "added index public.by_hand" in done.output
    (found,) = json.loads(typed(shoplet, "production", "--json").output)["environments"]
    assert [d["object"] for d in found["differences"]] == ["index public.by_hand"]


def test_every_environment_is_looked_at_where_none_is_named(shoplet: Shoplet, target: Target) -> None:
    drifted(shoplet, target)
    done = typed(shoplet)
    assert done.return_value == 1
    assert [line.split(":")[0] for line in done.output.splitlines() if not line.startswith(" ")] == [
        e.name for e in target.project.environments
    ]


def test_a_release_is_compared_with_in_one_environment(shoplet: Shoplet, target: Target) -> None:
    done = typed(shoplet, "--since", "r-1")
    assert isinstance(done.exception, click.UsageError)
    assert "name ENV" in done.exception.message


def test_adopt_writes_a_revision_and_says_what_comes_next(shoplet: Shoplet, target: Target) -> None:
    drifted(shoplet, target)
    done = typed(shoplet, "adopt", "production", "--json")
    assert done.exception is None
    path = Path(json.loads(done.output)["path"])
    assert "CREATE INDEX by_hand" in path.read_text()
    assert path.parent.name in [r.name for r in target.tool.revisions()]


def test_revert_writes_a_script_beside_the_revisions(shoplet: Shoplet, target: Target) -> None:
    drifted(shoplet, target)
    done = typed(shoplet, "revert", "production")
    assert (done.exception, "proven on a copy" in done.output) == (None, True)
    assert "faber-db plan production" in done.output
    (script,) = (shoplet.root / FOLDER / "production").iterdir()
    assert "DROP INDEX" in script.read_text()


def test_there_is_nothing_to_settle_without_drift(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(NOTE)
    land(shoplet)
    before = {p: p.read_bytes() for p in shoplet.root.rglob("*") if p.is_file()}
    for way in ("adopt", "revert"):
        done = typed(shoplet, way, "production")
        assert isinstance(done.exception, Refused)
        assert "nothing to settle" in done.exception.what
    assert {p: p.read_bytes() for p in shoplet.root.rglob("*") if p.is_file()} == before
