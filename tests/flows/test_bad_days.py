"""Bad days of a release: what goes wrong outside of it, and what it says then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from faberdb.connection import connect
from faberdb.errors import Refused
from faberdb.progress import silent
from faberdb.provisioning import create_environment_database
from faberdb.release.lock import hold_environment
from faberdb.release.opening import open_release, plan_target
from faberdb.release.permission import ask_approval
from faberdb.release.record import Outcome, read_release, touching
from faberdb.target import open_target
from tests.flows.running import TOLD, run_release, run_rollback, run_rollback_to, run_staging
from tests.flows.shoplet import CHANGES, FAILS_CHECK, GOOD, Shoplet

Forked = Callable[..., int]


def test_a_release_without_approval_changes_nothing(shoplet: Shoplet, forked: Forked) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    assert forked(run_release, str(shoplet.root)) != 0
    assert shoplet.state() == before
    assert not shoplet.newest().touched


def test_a_plan_that_was_approved_and_then_edited_is_stale(shoplet: Shoplet, forked: Forked) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    approved = shoplet.approve()
    script = shoplet.root / "prisma" / "migrations" / "0003_note" / "migration.sql"
    script.write_text(script.read_text() + "\nDROP TABLE entry;")
    assert forked(run_release, str(shoplet.root)) != 0
    assert shoplet.state() == before
    newest = shoplet.newest()
    assert newest.id != approved.id, "the edited plan is another one, and nobody approved it"
    assert not newest.votes


def test_a_schema_that_moved_after_the_approval_is_noticed(shoplet: Shoplet, forked: Forked) -> None:
    shoplet.add(GOOD)
    shoplet.approve()
    with connect(shoplet.dsn, purpose="test") as conn:
        conn.execute("CREATE TABLE by_hand (id int)")
    before = shoplet.state()
    assert forked(run_release, str(shoplet.root)) != 0
    assert shoplet.state() == before


def test_a_release_that_nobody_answered_in_time_is_over_and_the_next_ask_is_a_new_one(
    shoplet: Shoplet, forked: Forked
) -> None:
    shoplet.add(GOOD)
    with open_target(shoplet.root, "production") as target:
        first = open_release(target, plan_target(target, requester="Priya"), run="an earlier run")
        ask_approval(target, first, first.run)
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + "\n[safety.approval_timeouts]\nstandard = 0.001\n")
    forked(run_release, str(shoplet.root))
    with open_target(shoplet.root, "production") as target:
        assert read_release(target.ledger, first.id).outcome is Outcome.EXPIRED
    assert shoplet.newest().id != first.id


def test_of_two_releases_at_once_one_runs_and_the_other_is_refused(shoplet: Shoplet, forked: Forked) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    shoplet.approve()
    with hold_environment(shoplet.dsn, "somebody else's release"):
        assert forked(run_release, str(shoplet.root)) == 3
    assert shoplet.state() == before
    assert forked(run_release, str(shoplet.root)) == 0


def test_a_session_that_is_ended_in_the_middle_is_tried_again(shoplet: Shoplet, forked: Forked) -> None:
    shoplet.add({"0003_slow": "ALTER TABLE account ADD COLUMN note text;\nSELECT pg_sleep(3);"})
    shoplet.approve()
    ended: list[int] = []

    def end_the_session() -> None:
        deadline = time.monotonic() + 60
        with connect(shoplet.dsn.with_database("postgres"), purpose="test") as conn:
            while not ended and time.monotonic() < deadline:
                ended.extend(
                    pid
                    for (pid, _) in conn.execute(
                        "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = %s AND state = 'active' AND query LIKE '%%pg_sleep%%'",
                        (shoplet.dsn.database,),
                    )
                )
                time.sleep(0.05)

    thread = threading.Thread(target=end_the_session)
    thread.start()
    code = forked(run_release, str(shoplet.root))
    thread.join()
    assert ended
    assert code == 0
    assert shoplet.newest().outcome is Outcome.RELEASED


def test_a_failed_and_unresolved_revision_is_refused_by_name(shoplet: Shoplet) -> None:
    shoplet.add(GOOD)
    with connect(shoplet.dsn, purpose="test") as conn:
        conn.execute(
            "INSERT INTO _prisma_migrations (id, checksum, migration_name, logs, started_at)"
            " VALUES ('x', 'y', '0003_note', 'it broke', now())"
        )
    with open_target(shoplet.root, "production") as target, pytest.raises(Refused, match="0003_note"):
        plan_target(target)


def test_a_syntax_error_in_a_later_revision_is_found_before_anything_runs(shoplet: Shoplet) -> None:
    before = shoplet.state()
    shoplet.add(
        {"0003_a": "CREATE TABLE a ();", "0004_b": "CREATE TABLE b ();", "0005_c": "CREATE TABEL c ();"}
    )
    with open_target(shoplet.root, "production") as target, pytest.raises(Refused, match="0005_c"):
        plan_target(target)
    assert shoplet.state() == before


def test_a_finished_release_is_taken_back_only_with_a_persons_agreement(
    shoplet: Shoplet, forked: Forked
) -> None:
    shoplet.add(GOOD)
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 0
    after = shoplet.state()
    assert forked(run_rollback, str(shoplet.root), release.id) != 0
    assert shoplet.state() == after


@pytest.mark.parametrize(
    "moment", ["", "safety snapshot:intended:1", "safety snapshot:done:1", "swap:noted:2"]
)
def test_a_finished_release_is_taken_back_by_hand(shoplet: Shoplet, forked: Forked, moment: str) -> None:
    before = shoplet.state()
    shoplet.add(CHANGES)
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 0
    with connect(shoplet.dsn, purpose="test") as conn:
        conn.execute("INSERT INTO entry (id, account, amount) VALUES (5000, 1, 7), (5001, 1, 8)")
    shoplet.agree_to_rollback(release)
    if moment:
        assert forked(run_rollback, str(shoplet.root), release.id, moment, "kill") == -9
    assert forked(run_rollback, str(shoplet.root), release.id) == 0
    newest = shoplet.newest()
    assert newest.outcome is Outcome.ROLLED_BACK
    assert shoplet.state() == before
    assert (newest.done("count later rows") or {})["tables"] == {
        "public.entry": {"snapshot": 1000, "live": 1002}
    }
    assert (newest.done("safety snapshot") or {})["snapshot"]


def test_a_finished_release_that_only_added_is_taken_back_and_keeps_later_rows(
    shoplet: Shoplet, forked: Forked
) -> None:
    shoplet.add(GOOD)
    before = shoplet.state()
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 0
    with connect(shoplet.dsn, purpose="test") as conn:
        conn.execute("INSERT INTO entry (id, account, amount, kind) VALUES (5000, 1, 7, 'a')")
    shoplet.agree_to_rollback(release)
    assert forked(run_rollback, str(shoplet.root), release.id) == 0
    newest = shoplet.newest()
    assert newest.outcome is Outcome.ROLLED_BACK
    assert (newest.done("undo in place") or {})["kept"] == {"public.entry (kind)": 1}
    assert (newest.done("safety snapshot") or {})["snapshot"]
    with connect(shoplet.dsn, purpose="test") as conn:
        assert conn.execute("DELETE FROM entry WHERE id = 5000 RETURNING amount").fetchall() == [(7,)]
    assert shoplet.state() == before


def test_all_releases_above_a_revision_are_taken_back_newest_first(shoplet: Shoplet, forked: Forked) -> None:
    before = shoplet.state()
    for name in ("0003_a", "0004_b"):
        shoplet.add({name: f"CREATE TABLE t{name} (id int PRIMARY KEY);"})
        release = shoplet.approve()
        assert forked(run_release, str(shoplet.root)) == 0
        shoplet.agree_to_rollback(release)
    assert forked(run_rollback_to, str(shoplet.root), "0009_nowhere") == 3
    assert forked(run_rollback_to, str(shoplet.root), "0002_entry") == 0
    assert shoplet.state() == before
    with open_target(shoplet.root, "production") as target:
        assert list(touching(target.ledger, "production")) == []


def test_a_failed_undo_never_hides_why_it_was_needed(shoplet: Shoplet, forked: Forked) -> None:
    before = shoplet.state()
    shoplet.add(FAILS_CHECK)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root), "swap:intended:1", "fail") == 6
    told = (shoplet.root / TOLD).read_text()
    assert "It failed because: The check 'nobody owes more than allowed' failed" in told
    assert "The undo failed because: sabotaged at swap" in told
    assert forked(run_release, str(shoplet.root)) == 5
    assert shoplet.state() == before


def test_taking_back_what_was_taken_back_is_refused(shoplet: Shoplet, forked: Forked) -> None:
    shoplet.add(GOOD)
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 0
    shoplet.agree_to_rollback(release)
    assert forked(run_rollback, str(shoplet.root), release.id) == 0
    assert forked(run_rollback, str(shoplet.root), release.id) == 3


def test_a_release_after_a_rollback_lands(shoplet: Shoplet, forked: Forked) -> None:
    shoplet.add(GOOD)
    release = shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 0
    after = shoplet.state()
    shoplet.agree_to_rollback(release)
    assert forked(run_rollback, str(shoplet.root), release.id) == 0
    again = shoplet.approve()
    assert again.id != release.id
    assert again.digest == release.digest
    assert forked(run_release, str(shoplet.root)) == 0
    assert shoplet.state() == after


def test_a_new_plan_replaces_one_that_nobody_decided(shoplet: Shoplet) -> None:
    shoplet.add({"0003_a": "CREATE TABLE a ();"})
    with open_target(shoplet.root, "production") as target:
        first = open_release(target, plan_target(target))
    shoplet.add({"0004_b": "CREATE TABLE b ();"})
    with open_target(shoplet.root, "production") as target:
        second = open_release(target, plan_target(target))
        assert open_release(target, plan_target(target)).id == second.id
    assert first.id != second.id


@pytest.mark.parametrize(("autonomy", "released"), [("guarded", False), ("autonomous", True)])
def test_autonomy_waives_an_approval_that_is_only_preferred(
    shoplet: Shoplet, forked: Forked, autonomy: str, released: bool
) -> None:
    config = shoplet.root / "faber-db.toml"
    text = config.read_text().replace(
        "[environments.staging]", "[environments.staging]\nrequire_approval = true"
    )
    config.write_text(text)
    with open_target(shoplet.root, "staging") as target:
        create_environment_database(target, silent)
    code = forked(run_staging, str(shoplet.root), autonomy)
    assert (code == 0) is released
