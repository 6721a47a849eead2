"""A wish to restore in place, and the other releases of the environment."""

from __future__ import annotations

import pytest

from faberdb.errors import ApprovalPending, NotApproved, Refused
from faberdb.progress import silent
from faberdb.release.approval import Decision, Vote
from faberdb.release.execution import take_environment_snapshot
from faberdb.release.opening import open_release, plan_target
from faberdb.release.permission import (
    ask_rollback,
    cast_rollback_vote,
    require_permission,
    require_rollback_permission,
    rollback_digest,
)
from faberdb.release.record import Outcome, Release, last_fingerprint, newest_touching, read_release
from faberdb.release.recovery import Course, recover
from faberdb.release.restoration import open_restoration
from faberdb.release.rollback import open_rollback
from faberdb.target import Target, open_target
from tests.flows.shoplet import GOOD, Shoplet
from tests.integration.releasing import begin_undo, end_undo, land


def wish(target: Target) -> Release:
    """Ask whether a snapshot may take the live database's place."""
    taken = take_environment_snapshot(target, f"{target.project.name}-friday", note=silent)
    release = open_restoration(target, taken["snapshot"], requester="Priya")
    ask_rollback(target, release, requester="Priya", cause="test")
    return release


def say(target: Target, release: Release, decision: Decision) -> None:
    vote = Vote(digest=rollback_digest(release), decision=decision, approver="Morgan")
    cast_rollback_vote(target, release, vote)


def test_one_that_waits_comes_before_a_release_and_says_how_to_decide(
    shoplet: Shoplet, target: Target
) -> None:
    wished = wish(target)
    shoplet.add(GOOD)
    found = open_release(target, plan_target(target))
    assert found.id == wished.id
    with pytest.raises(ApprovalPending) as caught:
        require_permission(target, found)
    assert caught.value.next_step == f"faber-db approve {wished.id} --rollback --as NAME"
    assert "nobody has said yes" in caught.value.why


def test_one_that_was_agreed_to_is_begun_by_its_own_command_alone(target: Target) -> None:
    wished = wish(target)
    say(target, wished, Decision.APPROVE)
    require_rollback_permission(target, wished)
    with pytest.raises(Refused, match="comes first") as caught:
        require_permission(target, wished)
    assert caught.value.next_step == f"faber-db restore production --from {wished.restores}"
    require_permission(target, open_rollback(target, wished, cause="test", requester="Priya"))


def test_one_that_was_rejected_is_over_and_no_release_stands_on_it(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(GOOD)
    landed = land(shoplet)
    wished = wish(target)
    say(target, wished, Decision.REJECT)
    for _ in range(2):
        with pytest.raises(NotApproved, match="nothing was changed"):
            require_rollback_permission(target, wished)
    assert read_release(target.ledger, wished.id).outcome is Outcome.REJECTED
    newest = newest_touching(target.ledger, "production")
    assert newest is not None
    assert newest.id == landed.id, "rollback takes the release back, and does not restore after all"


def test_one_that_nobody_decided_in_time_is_over(shoplet: Shoplet) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + "\n[safety.approval_timeouts]\nstandard = 0.000001\n")
    with open_target(shoplet.root, "production") as target:
        wished = wish(target)
        with pytest.raises(NotApproved, match="expired"):
            require_rollback_permission(target, wished)
        assert read_release(target.ledger, wished.id).outcome is Outcome.EXPIRED


def test_a_half_done_rollback_below_a_younger_wish_to_release_is_found_by_recovery(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(GOOD)
    landed = land(shoplet)
    shoplet.add({"0006_more": "CREATE TABLE more ();"})
    waiting = shoplet.approve()
    begin_undo(target, landed)
    assert shoplet.newest().id == waiting.id
    decided = recover(target, run="the dead one", taking_back=True)
    assert (decided.course, decided.release) == (Course.CONTINUE, landed.id)


def test_a_restored_snapshot_is_as_recorded_also_where_the_order_of_columns_counts(shoplet: Shoplet) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + "\n[drift]\ncolumn_order = true\n")
    with open_target(shoplet.root, "production") as target:
        wished = wish(target)
        say(target, wished, Decision.APPROVE)
        ended = end_undo(target, begin_undo(target, wished))
        assert ended.outcome is Outcome.ROLLED_BACK
        assert last_fingerprint(target.ledger, "production") == target.fingerprint(), "or drift would be told"
