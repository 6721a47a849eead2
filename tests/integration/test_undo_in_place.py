"""Taking a release back inside its database: by its inverse or by down scripts, and when neither leads back."""

from __future__ import annotations

import multiprocessing
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from faberdb.config.model import Hosting
from faberdb.connection import connect
from faberdb.errors import CompensationFailed, VerificationFailed
from faberdb.ledger import Kind
from faberdb.plan import UndoWay
from faberdb.point_in_time import recoverable, this_moment
from faberdb.progress import silent
from faberdb.pruning import prune_environment
from faberdb.release import execution, rollback, undo
from faberdb.release.journal import LISTENERS
from faberdb.release.lock import hold_environment
from faberdb.release.opening import plan_target
from faberdb.release.record import Outcome, Release, read_release
from faberdb.release.undo_in_place import undo_in_place
from faberdb.swap import list_set_aside
from faberdb.target import Target, open_target
from tests.faults import saboteur
from tests.flows.shoplet import FAILS_CHECK, GOOD, Shoplet
from tests.integration.releasing import begin, end_undo, land, read, write
from tests.integration.test_rehearsal import tried

REMARKS = {
    "0003_remarks": "CREATE TABLE remark (id int PRIMARY KEY, entry int REFERENCES entry, text text);\n"
    "ALTER TABLE account ADD COLUMN note text, ADD COLUMN level int NOT NULL DEFAULT 1;\n"
    'CREATE VIEW "ünïcode; x" AS SELECT id, note FROM account;'
}


def fail(target: Target, release: Release) -> Release:
    """As the release flow takes back what failed by itself."""
    rollback.open_rollback(target, release, cause="test", requester="")
    with hold_environment(target.dsn, release.id):
        rollback.choose_way(target, read_release(target.ledger, release.id))
        undo_in_place(target, read_release(target.ledger, release.id))
    return read_release(target.ledger, release.id)


def test_a_change_that_only_adds_is_dropped_again_and_later_writes_stay(
    shoplet: Shoplet, target: Target
) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    release = begin(shoplet, target)
    assert release.plan.undo.way is UndoWay.INVERSE
    write(target, "INSERT INTO account (id, owner, balance) VALUES (1001, 'late', 7)")
    undone = fail(target, release)
    assert undone.done("undo in place") == {
        "undone": True,
        "statements": 5,
        "revisions": ["0005_index", "0004_kind", "0003_note"],
        "aside": "",
        "kept": {},
    }
    assert read(target, "SELECT owner FROM account WHERE id = 1001") == [("late",)]
    write(target, "DELETE FROM account WHERE id = 1001")
    assert shoplet.state() == before
    closed = end_in_place(target, undone)
    assert closed.outcome is Outcome.ROLLED_BACK
    assert [s.revision for s in plan_target(target).steps] == list(GOOD), "pending again"
    assert list_set_aside(target.dsn) == ()


def end_in_place(target: Target, release: Release) -> Release:
    undo.verify_undone(target, release)
    undo.close_rolled_back(target, release, rollback.choose_way(target, release))
    return read_release(target.ledger, release.id)


def test_what_came_into_what_was_added_is_kept_in_a_database_beside(shoplet: Shoplet, target: Target) -> None:
    before = shoplet.state()
    shoplet.add(REMARKS)
    release = begin(shoplet, target)
    write(
        target,
        "INSERT INTO remark VALUES (1, 5, E'a\\tb\\nc \\\\ ü'), (2, NULL, NULL)",
        "UPDATE account SET note = 'x' WHERE id IN (3, 4)",
        "UPDATE account SET level = 2 WHERE id = 5",
    )
    undone = fail(target, release)
    facts = undone.done("undo in place") or {}
    assert facts["kept"] == {"public.account (note, level)": 3, "public.remark": 2}
    aside = facts["aside"]
    assert list_set_aside(target.dsn) == (aside,)
    assert read(target, "SELECT * FROM remark ORDER BY id", aside) == [
        ("1", "5", "a\tb\nc \\ ü"),
        ("2", None, None),
    ]
    assert read(target, "SELECT * FROM account ORDER BY id", aside) == [
        ("3", "x", "1"),
        ("4", "x", "1"),
        ("5", None, "2"),
    ]
    assert shoplet.state() == before
    end_in_place(target, undone)
    closed = target.ledger.entries(release=release.id, kind=Kind.RELEASE_CLOSED)[-1].body
    assert closed["later_rows"]["public.remark"] == {"snapshot": 0, "live": 2}
    assert closed["way"] == "inverse"


def die_taking_back(root: str, release: str, note: int) -> None:
    """Take it back, and be killed at the n-th thing that the undo tells."""
    LISTENERS.append(saboteur(f"undo in place:noted:{note}", "kill"))
    with open_target(Path(root), "production") as target:
        fail(target, read_release(target.ledger, release))


@pytest.mark.parametrize(("note", "committed"), [(1, False), (2, False), (3, False), (4, True)])
def test_rows_are_kept_once_when_the_undo_that_kept_them_is_killed(
    shoplet: Shoplet, target: Target, note: int, committed: bool
) -> None:
    before = shoplet.state()
    shoplet.add(REMARKS)
    release = begin(shoplet, target)
    write(target, "INSERT INTO remark VALUES (1, 5, 'x')", "UPDATE account SET note = 'y' WHERE id = 3")
    process = multiprocessing.get_context("spawn").Process(
        target=die_taking_back, args=(str(shoplet.root), release.id, note)
    )
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    assert (read(target, "SELECT to_regclass('remark') IS NULL") == [(True,)]) is committed, "where it died"
    if not committed:
        write(target, "INSERT INTO remark VALUES (2, 6, 'after the kill')")

    undone = fail(target, read_release(target.ledger, release.id))
    facts = undone.done("undo in place") or {}
    assert facts["undone"]
    assert shoplet.state() == before
    kept = [(1,)] if committed else [(1,), (2,)]
    assert read(target, "SELECT id::int FROM remark ORDER BY id::int", facts["aside"]) == kept
    assert read(target, "SELECT id, note FROM account", facts["aside"]) == [("3", "y")]


def test_a_half_done_change_is_taken_back_in_place_too(shoplet: Shoplet, target: Target) -> None:
    before = shoplet.state()
    shoplet.add({**REMARKS, "0004_index": "CREATE UNIQUE INDEX CONCURRENTLY one ON entry (account);"})
    with pytest.raises(Exception, match="one"):
        begin(shoplet, target)
    undone = fail(target, shoplet.newest())
    assert undone.done("undo in place")["undone"]  # type: ignore[index]
    assert shoplet.state() == before


def test_a_change_of_what_exists_is_not_undone_in_place(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(FAILS_CHECK)
    undo_ = plan_target(target).undo
    assert undo_.way is UndoWay.RESTORE_AND_SWAP
    assert "0003_debts, line 2: UPDATE does more than add objects" in undo_.why


def test_down_scripts_take_it_back_where_a_rehearsal_proved_them(shoplet: Shoplet, target: Target) -> None:
    before = shoplet.state()
    shoplet.add({"0003_debts": "ALTER TABLE account ADD COLUMN limit_ int;\nUPDATE account SET limit_ = 5;"})
    down = shoplet.root / "prisma/migrations/0003_debts/down.sql"
    down.write_text("ALTER TABLE account DROP COLUMN limit_;\n")
    plan = plan_target(target)
    assert plan.undo.way is UndoWay.DOWN
    assert "the values of account.limit_" in plan.undo.loses
    evidence = tried(target)
    assert (evidence.undo_ok, evidence.undo_way) == (True, "down")
    assert evidence.undo_script == ("ALTER TABLE account DROP COLUMN limit_",)
    undone = fail(target, begin(shoplet, target))
    assert undone.done("undo in place")["undone"]  # type: ignore[index]
    assert shoplet.state() == before
    down.write_text("-- edited\nALTER TABLE account DROP COLUMN limit_;\n")
    assert plan_target(target).digest != plan.digest


def test_a_down_script_that_does_not_lead_back_gives_way_to_the_snapshot(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add({"0003_note": "ALTER TABLE account ADD COLUMN note text, ADD COLUMN more text;"})
    down = shoplet.root / "prisma/migrations/0003_note/down.sql"
    down.write_text("ALTER TABLE account DROP COLUMN note;\n")
    evidence = tried(target)
    assert evidence.ok, "the change works, and the fallback was rehearsed"
    assert "does not bring the schema back" in evidence.undo_refuted
    assert (evidence.undo_ok, evidence.undo_way) == (True, "restore-and-swap")
    release = begin(shoplet, target)
    rollback.open_rollback(target, release, cause="test", requester="")
    with hold_environment(target.dsn, release.id):
        assert rollback.choose_way(target, release) is UndoWay.RESTORE_AND_SWAP


def test_an_inverse_that_does_not_lead_back_falls_back_by_itself(shoplet: Shoplet, target: Target) -> None:
    before = shoplet.state()
    shoplet.add(REMARKS)
    release = begin(shoplet, target)
    write(target, "CREATE VIEW somebodys AS SELECT * FROM remark", 'DROP VIEW "ünïcode; x"')
    execution.verify_revisions(target, release)
    write(target, "DROP VIEW somebodys")
    undone = fail(target, read_release(target.ledger, release.id))
    facts = undone.done("undo in place") or {}
    assert not facts["undone"]
    assert "not what the release left" in facts["why"]
    with hold_environment(target.dsn, release.id):
        for step in (undo.restore_release, undo.swap_back):
            step(target, read_release(target.ledger, release.id))
    end_undo(target, read_release(target.ledger, release.id))
    assert shoplet.state() == before


def test_a_release_that_had_ended_well_does_not_fall_back_unasked(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(REMARKS)
    release = land(shoplet)
    write(target, "CREATE TABLE drifted (id int)")
    state = shoplet.state()
    shoplet.agree_to_rollback(release)
    with pytest.raises(CompensationFailed, match="nothing was changed") as caught:
        fail(target, release)
    assert f"rollback production --from {release.id}" in caught.value.next_step
    assert shoplet.state() == state


def test_a_schema_that_is_not_as_rehearsed_fails_the_release(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(REMARKS)
    assert tried(target).ok
    release = begin(shoplet, target)
    write(target, "CREATE INDEX somebodys ON account (balance)")
    with pytest.raises(VerificationFailed, match="not as it came out of the rehearsal"):
        execution.verify_revisions(target, release)


def test_what_was_kept_is_pruned_when_its_retention_ends(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(REMARKS)
    release = begin(shoplet, target)
    write(target, "INSERT INTO remark VALUES (1, 5, 'a')")
    end_in_place(target, fail(target, release))
    kept = list_set_aside(target.dsn)
    assert prune_environment(target, silent, dry_run=True).databases == ()
    later = datetime.now(UTC) + timedelta(days=400)
    assert prune_environment(target, silent, dry_run=True, now=later).databases == kept


def test_the_moment_before_a_release_is_named_where_the_server_archives_its_wal(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(REMARKS)
    assert "point in time" not in begin(shoplet, target).steps, "this server archives nothing"
    with connect(target.dsn, purpose="test") as conn:
        assert recoverable(conn, "postgres") == ""
        assert "Amazon RDS" in recoverable(conn, Hosting.AWS_RDS)
        moment = this_moment(conn)
        wal = conn.execute("SELECT pg_current_wal_insert_lsn() >= %s::pg_lsn", (moment["lsn"],)).fetchone()
    assert wal == (True,)
    assert moment["timeline"] == 1
