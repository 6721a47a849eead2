from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable

import pytest
from msgspec.structs import fields

from faberdb.catalog import Difference, Schema, describe
from faberdb.connection import connect
from faberdb.databases import list_databases
from faberdb.drift import Drift, compare, look_for_drift
from faberdb.dsn import Dsn
from faberdb.errors import Refused
from faberdb.ledger import Kind
from faberdb.release.opening import plan_target
from faberdb.settling import adopt, revert
from faberdb.target import Target, open_target
from tests.flows.shoplet import Shoplet
from tests.integration.releasing import begin, begin_undo, end_undo, land

NOTE = {"0003_note": "ALTER TABLE account ADD COLUMN note text;"}
LABEL = {"0004_label": "ALTER TABLE account ADD COLUMN label text;"}


@pytest.fixture
def shoplet(shoplet: Shoplet) -> Shoplet:
    """With a revision waiting."""
    shoplet.add(NOTE)
    return shoplet


def by_hand(target: Target, statement: str) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(statement.encode())


def look(target: Target) -> tuple[bool, bool]:
    """Whether it drifted, and whether that is news."""
    found = look_for_drift(target)
    return found.drifted, found.changed


def kept(target: Target) -> list[str]:
    found = target.ledger.entries(environment=target.name, kind=Kind.DRIFT_FOUND)
    return [e.body["fingerprint"] for e in found]


def test_before_the_first_release_the_revisions_are_replayed_once(target: Target) -> None:
    as_made = look_for_drift(target)
    assert (as_made.drifted, as_made.changed) == (False, False)
    assert "as its revisions make it" in as_made.text
    by_hand(target, "CREATE INDEX hand ON entry (account); ALTER TABLE entry OWNER TO pg_monitor")
    found = look_for_drift(target)
    assert (found.drifted, found.changed, found.replayed) == (True, True, True)
    assert [d.object for d in found.differences] == ["index public.hand"]
    assert "DRIFTED from what its revisions make, 1 difference" in found.text
    assert len(target.ledger.entries(kind=Kind.REVISIONS_REPLAYED)) == 1
    assert not [n for n in list_databases(target.dsn) if "replay" in n]


def test_before_the_first_release_a_drift_can_be_adopted(shoplet: Shoplet, target: Target) -> None:
    by_hand(target, "CREATE INDEX hand ON entry (account)")
    with pytest.raises(Refused, match="Nothing was released"):
        revert(target)
    (waiting,) = (shoplet.root / "prisma" / "migrations").glob("0003*")
    shutil.rmtree(waiting)
    assert "CREATE INDEX hand" in adopt(target).path.read_text()
    land(shoplet)
    assert not compare(target).drifted


def test_revisions_that_are_not_on_disk_say_nothing_about_drift(shoplet: Shoplet, target: Target) -> None:
    (shoplet.root / "prisma" / "migrations" / "0002_entry" / "migration.sql").write_text("SELECT 1;")
    found = look_for_drift(target)
    assert not found.drifted
    assert "nothing to compare with: The revision '0002_entry' is not applied as it stands" in found.text


def test_an_environment_without_a_database_has_no_drift(shoplet: Shoplet) -> None:
    with open_target(shoplet.root, "staging") as staging:
        assert not look_for_drift(staging).drifted


def test_what_a_release_left_is_no_drift(shoplet: Shoplet, target: Target) -> None:
    land(shoplet)
    found = look_for_drift(target)
    assert (found.drifted, found.changed) == (False, False)
    assert "as the last release left it" in found.text
    assert kept(target) == []


def test_drift_appears_once_changes_once_and_goes_once(shoplet: Shoplet, target: Target) -> None:
    land(shoplet)
    by_hand(target, "CREATE TABLE by_hand (id int)")
    assert [look(target), look(target)] == [(True, True), (True, False)]
    by_hand(target, "ALTER TABLE by_hand ADD COLUMN note text")
    assert [look(target), look(target)] == [(True, True), (True, False)]
    by_hand(target, "DROP TABLE by_hand")
    assert [look(target), look(target)] == [(False, True), (False, False)]
    by_hand(target, "CREATE TABLE by_hand (id int)")
    assert look(target) == (True, True), "the same drift again is news again"
    first, second, gone, again = kept(target)
    assert (gone, first == again, first != second) == ("", True, True)


def test_rows_are_no_drift(shoplet: Shoplet, target: Target) -> None:
    land(shoplet)
    by_hand(target, "INSERT INTO account VALUES (9000, 'new', 0)")
    assert look(target) == (False, False)


def test_nothing_is_called_drift_while_a_release_is_at_work(shoplet: Shoplet, target: Target) -> None:
    land(shoplet)
    shoplet.add(LABEL)
    release = begin(shoplet, target)
    found = look_for_drift(target)
    assert (found.drifted, found.changed) == (False, False)
    assert release.id in found.text
    assert kept(target) == []


def test_nothing_is_called_drift_while_a_release_is_taken_back(shoplet: Shoplet, target: Target) -> None:
    release = begin_undo(target, land(shoplet))
    assert target.fingerprint() == release.plan.fingerprint, "the schema of before is live already"
    assert look(target) == (False, False)
    end_undo(target, release)
    assert look(target) == (False, False)


def test_a_release_that_waits_for_a_person_hides_no_drift(shoplet: Shoplet, target: Target) -> None:
    land(shoplet)
    shoplet.add(LABEL)
    shoplet.approve()
    by_hand(target, "CREATE TABLE by_hand (id int)")
    assert look(target) == (True, True)


class Interrupted(Target, frozen=True, kw_only=True):
    """Something happens while its schema is looked at."""

    meanwhile: Callable[[], object]

    def schema(self) -> Schema:
        found = Target.schema(self)
        self.meanwhile()
        return found


def test_a_release_that_lands_during_the_look_is_no_drift(shoplet: Shoplet, target: Target) -> None:
    land(shoplet)
    shoplet.add(LABEL)
    parts = {f.name: getattr(target, f.name) for f in fields(target)}
    found = look_for_drift(Interrupted(**parts, meanwhile=lambda: land(shoplet)))
    assert (found.drifted, found.changed) == (False, False)
    assert look(target) == (False, False)


def test_a_drift_tells_programs_both_fingerprints() -> None:
    gone = Difference(kind="removed", object="index public.hand", before="(note)", after=None)
    drift = Drift(
        project="shop",
        environment="production",
        expected="a" * 64,
        found="b" * 64,
        changed=True,
        differences=(gone,),
    )
    assert drift.to_json() == {
        "project": "shop",
        "environment": "production",
        "drifted": True,
        "expected": "a" * 64,
        "found": "b" * 64,
        "compared_with": "release",
        "differences": [gone.to_json()],
    }
    assert drift.headline == f"production: DRIFTED, 1 difference ({'b' * 12} instead of {'a' * 12})"


def test_what_differs_is_named(shoplet: Shoplet, target: Target) -> None:
    land(shoplet)
    by_hand(
        target, "ALTER TABLE account ALTER COLUMN note SET DEFAULT 'a|b'; CREATE INDEX hand ON account (note)"
    )
    found = compare(target)
    assert [(d.kind, d.object) for d in found.differences] == [
        ("changed", "column public.account.note"),
        ("added", "index public.hand"),
    ]
    assert "changed column public.account.note: text -> text DEFAULT 'a|b'::text" in found.text
    assert "`text DEFAULT 'a\\|b'::text`" in found.markdown
    assert kept(target) == [], "a look of a person is nobody's news"


def test_a_release_further_back_can_be_compared_with(shoplet: Shoplet, target: Target) -> None:
    first = land(shoplet)
    shoplet.add(LABEL)
    land(shoplet)
    assert not compare(target).drifted
    since = compare(target, since=first.id)
    assert [d.object for d in since.differences] == ["column public.account.label"]
    assert f"instead of {since.expected[:12]}" in since.headline


def test_what_others_own_is_no_drift_and_stands_in_no_releases_way(shoplet: Shoplet, target: Target) -> None:
    land(shoplet)
    by_hand(target, "CREATE SCHEMA partman; CREATE TABLE partman.part_config (parent text)")
    assert not compare(target).drifted
    shoplet.add(LABEL)
    assert not plan_target(target, requester="Priya").blocked
    by_hand(target, "CREATE TABLE by_hand (id int)")
    found = compare(target)
    assert [d.object for d in found.differences if d.object.startswith("table")] == ["table public.by_hand"]
    assert "drift" in [f.code for f in plan_target(target, requester="Priya").blocked]


@pytest.mark.parametrize("body", [None, b'{"format": 0, "fingerprint": "", "objects": {}}'])
def test_a_schema_that_is_not_on_record_says_nothing_about_drift(
    server: Dsn, shoplet: Shoplet, target: Target, body: bytes | None
) -> None:
    by_hand(target, f"CREATE TABLE of_{shoplet.name} (id int)")  # no other test's schema is the same
    land(shoplet)
    replace_kept(server, target, target.fingerprint(), body)
    by_hand(target, "CREATE TABLE by_hand (id int)")
    found = look_for_drift(target)
    assert (found.drifted, found.expected, found.differences) == (False, "", ())
    assert "what the last release left is not on record" in found.headline
    assert kept(target) == []
    assert not plan_target(target, requester="Priya").blocked


def replace_kept(server: Dsn, target: Target, fingerprint: str, body: bytes | None) -> None:
    """A schema is not on record, or only as another version of faber-db wrote it."""
    with connect(server.with_database(target.ledger.conn.info.dbname), purpose="test") as conn:
        found = conn.execute("DELETE FROM faber_ledger.schema WHERE fingerprint = %s", (fingerprint,))
        assert found.rowcount == 1
        if body is not None:
            conn.execute(
                "INSERT INTO faber_ledger.schema (fingerprint, body) VALUES (%s, %s)",
                (fingerprint, gzip.compress(body)),
            )


ORDERED = "\n[drift]\ncolumn_order = true\n"
AGAIN = (
    "ALTER TABLE account DROP COLUMN balance, ADD COLUMN balance int NOT NULL DEFAULT 0;"
    "ALTER TABLE account ALTER balance DROP DEFAULT"
)


def configured(shoplet: Shoplet, text: str) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + text)


def test_the_order_of_columns_is_drift_where_the_project_says_so(shoplet: Shoplet) -> None:
    configured(shoplet, ORDERED)
    land(shoplet)
    with open_target(shoplet.root, "production") as target:
        by_hand(target, AGAIN)
        (found,) = compare(target).differences
        assert describe(found) == (
            "changed column order of table public.account: id, owner, balance, note"
            " -> id, owner, note, balance"
        )
        shoplet.add(LABEL)
        assert "drift" in [f.code for f in plan_target(target, requester="Priya").blocked]
        with pytest.raises(Refused, match="which only a new table has"):
            adopt(target)


def test_the_order_of_columns_is_no_drift_otherwise(shoplet: Shoplet, target: Target) -> None:
    land(shoplet)
    by_hand(target, AGAIN)
    assert not compare(target).drifted


def test_turning_the_order_of_columns_on_is_no_drift(shoplet: Shoplet) -> None:
    land(shoplet)
    configured(shoplet, ORDERED)
    with open_target(shoplet.root, "production") as target:
        assert not compare(target).drifted
        assert not plan_target(target, requester="Priya").blocked
        by_hand(target, "CREATE TABLE by_hand (id int)")
        assert "table public.by_hand" in [d.object for d in compare(target).differences]
