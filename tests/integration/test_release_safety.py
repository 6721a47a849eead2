"""What two runs at once, long pauses and people in the wrong moment must not do to a release."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from msgspec.structs import replace

from faberdb.connection import connect
from faberdb.databases import list_databases
from faberdb.errors import (
    ApprovalPending,
    CompensationFailed,
    EnvironmentBusy,
    NotApproved,
    Refused,
    RevisionFailed,
    SnapshotUnusable,
)
from faberdb.ledger import Kind
from faberdb.plan import UndoWay
from faberdb.planner import DRIFT
from faberdb.progress import silent
from faberdb.pruning import prune_environment
from faberdb.release import execution, permission, rollback, undo
from faberdb.release.approval import Decision, Vote
from faberdb.release.lock import hold_environment
from faberdb.release.opening import close_release, find_or_plan, open_release, plan_target
from faberdb.release.record import Outcome, Release, newest_touching, read_release
from faberdb.release.recovery import Course, Recovery, recover
from faberdb.release.restoration import open_restoration
from faberdb.revision import Revision
from faberdb.risk import Finding, Risk
from faberdb.target import Target, open_target
from faberdb.tools.protocol import MigrationTool
from tests.flows.shoplet import CHANGES, Shoplet
from tests.integration.releasing import begin, begin_undo, end_undo, land, with_snapshot
from tests.integration.test_restoration import say, wish

ONE = {"0003_note": "ALTER TABLE account ADD COLUMN note text;"}


def now(target: Target, release: Release) -> Release:
    return read_release(target.ledger, release.id)


def apply(target: Target, release: Release) -> None:
    with hold_environment(target.dsn, release.id):
        execution.apply_release(target, now(target, release))


def snapshots_age_at_once(shoplet: Shoplet) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + "\n[backup]\nfresh_minutes = 0.00001\n")


def take_back_by_itself(target: Target, release: Release) -> UndoWay:
    rollback.open_rollback(target, now(target, release), cause="test", requester="")
    return choose_way(target, release)


def choose_way(target: Target, release: Release) -> UndoWay:
    with hold_environment(target.dsn, release.id):
        return rollback.choose_way(target, now(target, release))


def test_a_release_that_ended_well_meanwhile_is_not_taken_back_without_a_vote(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(ONE)
    release = begin(shoplet, target)
    permission.require_rollback_permission(target, release)  # it is open: its undo was approved with it
    close_release(target, release, Outcome.RELEASED, fingerprint=target.fingerprint())
    with pytest.raises(ApprovalPending):
        rollback.open_rollback(target, now(target, release), cause="test", requester="Priya")


class Overtaken:
    """A tool whose revisions are read just before something else happens."""

    def __init__(self, tool: MigrationTool, meanwhile: Callable[[], object]) -> None:
        self._tool, self._meanwhile = tool, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tool, name)

    def revisions(self) -> tuple[Revision, ...]:
        found = self._tool.revisions()
        self._meanwhile()
        return found


def test_a_release_that_begins_while_another_run_plans_is_found(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0003_index": "CREATE INDEX CONCURRENTLY i ON account (owner);\nSELECT 1 / 0;"})
    release = with_snapshot(target, shoplet.approve())

    def begins() -> None:
        with pytest.raises(RevisionFailed):
            apply(target, release)

    overtaken = replace(target, tool=cast("MigrationTool", Overtaken(target.tool, begins)))
    found = find_or_plan(overtaken, requester="Priya")
    assert isinstance(found, Release)
    assert found.id == release.id

    drift = Finding(code=DRIFT, risk=Risk.HIGH, message="what that run has done so far", blocks=True)
    late = replace(release.plan, findings=(drift,))
    assert open_release(target, late).id == release.id, "it is not called drift"


def test_a_release_that_was_aborted_meanwhile_is_not_run(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0003_bad": "ALTER TABLE account ADD COLUMN note text; SELECT 1 / 0;"})
    release = shoplet.approve()
    execution.check_plan(target, release)
    with_snapshot(target, release)
    with pytest.raises(RevisionFailed):
        apply(target, release)
    assert take_back_by_itself(target, release) is UndoWay.ABORT
    with hold_environment(target.dsn, release.id):
        undo.settle_unfinished(target, now(target, release))
    undo.close_rolled_back(target, now(target, release), UndoWay.ABORT)
    before = shoplet.state()
    with pytest.raises(Refused, match="has ended: aborted; nothing was run"):
        execution.check_plan(target, now(target, release))
    with pytest.raises(Refused, match="has ended: aborted; nothing was run"):
        apply(target, release)
    assert shoplet.state() == before


def test_an_undo_does_not_judge_a_database_that_the_tool_is_at_work_on(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(ONE)
    release = shoplet.approve()
    with_snapshot(target, release)
    with connect(target.dsn, purpose="test") as other, target.tool.hold_lock(other, timeout_s=5):
        with pytest.raises(EnvironmentBusy):
            apply(target, release)
        rollback.open_rollback(target, now(target, release), cause="test", requester="")
        with pytest.raises(EnvironmentBusy):
            choose_way(target, release)


def test_a_release_does_not_begin_with_an_old_snapshot(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(ONE)
    release = shoplet.approve()
    with_snapshot(target, release)
    before = shoplet.state()
    snapshots_age_at_once(shoplet)
    with open_target(shoplet.root, "production") as later:
        with pytest.raises(SnapshotUnusable, match="nothing was run") as caught:
            apply(later, release)
        assert "safety.snapshot_proof.production" in caught.value.next_step, "its proof alone takes too long"
        assert take_back_by_itself(later, release) is UndoWay.ABORT
    assert shoplet.state() == before


def test_a_release_goes_back_to_an_old_snapshot_only_when_a_person_says_so(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(CHANGES)
    release = begin(shoplet, target)
    snapshots_age_at_once(shoplet)
    with open_target(shoplet.root, "production") as later:
        with pytest.raises(CompensationFailed, match="takes a person"):
            take_back_by_itself(later, release)
        rollback.open_rollback(later, now(later, release), cause="test", requester="Priya")
        assert choose_way(later, release) is UndoWay.RESTORE_AND_SWAP


def test_a_restoration_is_not_opened_beside_a_release_at_work(shoplet: Shoplet, target: Target) -> None:
    snapshot = now(target, wish(target)).restores
    shoplet.add(ONE)
    close_release(target, newest_open(target), Outcome.REJECTED)
    release = shoplet.approve()
    with hold_environment(target.dsn, release.id):
        with_snapshot(target, release)
        with pytest.raises(EnvironmentBusy):
            open_restoration(target, snapshot, requester="Priya")


def newest_open(target: Target) -> Release:
    found = newest_touching(target.ledger, "production")
    assert found is not None
    return found


def test_nothing_before_a_restoration_can_be_taken_back(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(ONE)
    landed = land(shoplet)
    wished = wish(target)
    say(target, wished, Decision.APPROVE)
    end_undo(target, begin_undo(target, now(target, wished)))
    assert newest_touching(target.ledger, "production") is None
    assert now(target, landed).outcome is Outcome.RELEASED


def test_a_no_comes_too_late_for_a_release_that_has_begun(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(ONE)
    release = begin(shoplet, target)
    no = Vote(digest=release.digest, decision=Decision.REJECT, approver="Carol")
    with pytest.raises(NotApproved, match="has begun"):
        permission.cast_vote(target, release, no)
    assert now(target, release).open


def test_nobody_can_approve_what_nobody_is_named_to_have_asked_for(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(ONE)
    release = open_release(target, plan_target(target, requester=""))
    permission.ask_approval(target, release, release.run)
    yes = Vote(digest=release.digest, decision=Decision.APPROVE, approver="whoever started it")
    with pytest.raises(NotApproved, match="Nobody is named"):
        permission.cast_vote(target, release, yes)
    asked = open_release(target, plan_target(target, requester="Priya"))
    assert asked.id != release.id, "with a name it is asked anew"


def test_who_asked_cannot_agree_and_is_told_what_somebody_else_types(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(ONE)
    release = open_release(target, plan_target(target, requester="Priya"))
    permission.ask_approval(target, release, release.run)
    own = Vote(digest=release.digest, decision=Decision.APPROVE, approver="Priya")
    with pytest.raises(NotApproved, match="cannot approve") as refused:
        permission.cast_vote(target, release, own)
    assert refused.value.next_step == f"have someone else run: faber-db approve {release.id}"

    landed = land(shoplet)
    permission.ask_rollback(target, landed, requester="Priya", cause="test")
    back = replace(own, digest=permission.rollback_digest(landed))
    with pytest.raises(NotApproved, match="cannot approve") as refused:
        permission.cast_rollback_vote(target, landed, back)
    assert refused.value.next_step == f"have someone else run: faber-db approve {landed.id} --rollback"


def test_two_recoveries_at_once_decide_once(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(ONE)
    release = open_release(target, plan_target(target, requester="Priya"), run="died")
    both = threading.Barrier(2)

    def recovered() -> Recovery:
        with open_target(shoplet.root, "production") as own:
            both.wait(timeout=30)
            return recover(own, run="died", taking_back=False)

    with ThreadPoolExecutor(2) as threads:
        one, other = (f.result() for f in [threads.submit(recovered) for _ in range(2)])
    assert one == other
    assert one.course is Course.CONTINUE
    assert len(target.ledger.entries(release=release.id, kind=Kind.RECOVERY_DECIDED)) == 1


def test_rows_stay_out_of_errors_and_of_the_ledger(shoplet: Shoplet, target: Target) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("UPDATE account SET owner = 'canary-4711'")
    shoplet.add({"0003_bad": "UPDATE account SET balance = NULL;"})
    release = shoplet.approve()
    with_snapshot(target, release)
    with pytest.raises(RevisionFailed) as failed:
        apply(target, release)
    assert "column balance" in failed.value.reason
    told = [e.body_text for e in target.ledger.entries(release=release.id)]
    assert not [text for text in [*told, failed.value.reason] if "canary-4711" in text]


def test_a_set_aside_database_that_went_live_again_is_never_pruned(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(ONE)
    ended = end_undo(target, begin_undo(target, land(shoplet)))
    aside = str((ended.done("swap") or {})["aside"])
    live = replace(target, dsn=target.dsn.with_database(aside))
    pruned = prune_environment(live, silent, now=datetime.now(UTC) + timedelta(days=400))
    assert aside not in pruned.databases
    assert aside in list_databases(target.dsn)
