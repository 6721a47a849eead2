"""The signature test: whatever dies, wherever, the database is whole before or whole after.

For every step of a release: fail before it, inside it and after it, and kill the process there. Then the
schema and every row equal the state before or the state after, or running the same command again makes them
so; the ledger says which, and its chain is whole.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from faberdb.release.record import Outcome
from tests.flows.running import run_release
from tests.flows.shoplet import FAILS_ADDED, FAILS_CHECK, FAILS_FIRST, FAILS_LATER, GOOD, Shoplet

Forked = Callable[..., int]

_RELEASE_STEPS = (
    "check plan",
    "health before",
    "snapshot",
    "prove snapshot",
    "apply",
    "verify revisions",
    "health after",
)
_MOMENTS = [f"{step}:{stage}:1" for step in _RELEASE_STEPS for stage in ("intended", "done")] + [
    *(f"snapshot:noted:{n}" for n in (1, 2, 3)),
    *(f"prove snapshot:noted:{n}" for n in (1, 3, 4, 6)),
    *(f"apply:noted:{n}" for n in (1, 2, 3, 4, 5, 6, 7)),
]
_UNDO_STEPS = (
    "choose undo",
    "restore beside",
    "swap",
    "count later rows",
    "verify undone",
)
_UNDO_MOMENTS = [f"{step}:{stage}:1" for step in _UNDO_STEPS for stage in ("intended", "done")] + [
    "restore beside:noted:1",  # the proof left it restored
    *(f"swap:noted:{n}" for n in (1, 2, 3, 4, 5)),
]

_IN_PLACE_MOMENTS = [
    "choose undo:done:1",
    *(f"undo in place:{stage}:1" for stage in ("intended", "done")),
    *(f"undo in place:noted:{n}" for n in (1, 2, 3)),
]


@pytest.mark.parametrize("moment", _MOMENTS)
def test_a_release_killed_at_any_moment_is_finished_by_the_same_command(
    shoplet: Shoplet, forked: Forked, moment: str
) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root), moment, "kill") == -signal.SIGKILL
    assert forked(run_release, str(shoplet.root)) == 0
    assert shoplet.newest().outcome is Outcome.RELEASED
    assert shoplet.state() != before
    assert shoplet.chain_is_whole()
    snapshots = {s for s in shoplet.databases() if s != shoplet.dsn.database}
    assert snapshots == set(), "a release that ended well leaves no other database behind"


@pytest.mark.parametrize("moment", [m for m in _MOMENTS if m.startswith(("apply", "verify", "health after"))])
def test_a_release_failing_at_any_moment_after_the_first_effect_is_taken_back(
    shoplet: Shoplet, forked: Forked, moment: str
) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root), moment, "fail") == 5
    assert shoplet.newest().outcome in {Outcome.ROLLED_BACK, Outcome.ABORTED}
    assert shoplet.state() == before
    assert shoplet.chain_is_whole()


@pytest.mark.parametrize(
    "moment", [m for m in _MOMENTS if m.startswith(("check plan", "health before", "snapshot", "prove"))]
)
def test_a_release_failing_before_its_first_effect_touches_nothing_and_can_be_tried_again(
    shoplet: Shoplet, forked: Forked, moment: str
) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root), moment, "fail") == 5
    assert shoplet.state() == before
    assert forked(run_release, str(shoplet.root)) == 0
    assert shoplet.newest().outcome is Outcome.RELEASED


@pytest.mark.parametrize("moment", _UNDO_MOMENTS)
def test_an_undo_killed_at_any_moment_is_finished_by_the_same_command(
    shoplet: Shoplet, forked: Forked, moment: str
) -> None:
    before = shoplet.state()
    shoplet.add(FAILS_CHECK)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root), moment, "kill") == -signal.SIGKILL
    assert forked(run_release, str(shoplet.root)) == 5
    assert shoplet.newest().outcome is Outcome.ROLLED_BACK
    assert shoplet.state() == before
    assert shoplet.chain_is_whole()
    aside = [n for n in shoplet.databases() if "before_rollback" in n]
    assert len(aside) == 1, "the database as it failed is kept, once"


@pytest.mark.parametrize("moment", ["restore beside:noted:2", "restore beside:noted:4"])
def test_an_undo_killed_while_it_restores_what_no_proof_left_is_finished_by_the_same_command(
    shoplet: Shoplet, forked: Forked, moment: str
) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + '\n[safety]\nsnapshot_proof = { production = "manifest" }\n')
    before = shoplet.state()
    shoplet.add(FAILS_CHECK)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root), moment, "kill") == -signal.SIGKILL
    assert forked(run_release, str(shoplet.root)) == 5
    assert shoplet.newest().outcome is Outcome.ROLLED_BACK
    assert shoplet.state() == before
    assert shoplet.chain_is_whole()


@pytest.mark.parametrize("moment", _IN_PLACE_MOMENTS)
def test_an_undo_in_place_killed_at_any_moment_is_finished_by_the_same_command(
    shoplet: Shoplet, forked: Forked, moment: str
) -> None:
    before = shoplet.state()
    shoplet.add(FAILS_ADDED)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root), moment, "kill") == -signal.SIGKILL
    assert forked(run_release, str(shoplet.root)) == 5
    newest = shoplet.newest()
    assert newest.outcome is Outcome.ROLLED_BACK
    assert (newest.done("undo in place") or {})["undone"]
    assert shoplet.state() == before
    assert shoplet.chain_is_whole()
    assert shoplet.databases() == [shoplet.dsn.database], "nothing had to be set aside"


def test_an_undo_in_place_that_fails_falls_back_to_the_snapshot(shoplet: Shoplet, forked: Forked) -> None:
    before = shoplet.state()
    shoplet.add(FAILS_ADDED)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root), "undo in place:noted:1", "drift") == 5
    newest = shoplet.newest()
    assert newest.outcome is Outcome.ROLLED_BACK
    in_place = newest.done("undo in place") or {}
    assert not in_place["undone"]
    assert "does not bring the schema back" in in_place["why"]
    assert shoplet.state() == before


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (FAILS_FIRST, Outcome.ABORTED),
        (FAILS_LATER, Outcome.ROLLED_BACK),
        (FAILS_CHECK, Outcome.ROLLED_BACK),
        (FAILS_ADDED, Outcome.ROLLED_BACK),
    ],
    ids=["first revision", "later revision", "check", "check of what was added"],
)
def test_a_change_that_fails_by_itself_is_taken_back(
    shoplet: Shoplet, forked: Forked, change: dict[str, str], outcome: Outcome
) -> None:
    before = shoplet.state()
    shoplet.add(change)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root)) == 5
    newest = shoplet.newest()
    assert newest.outcome is outcome
    assert newest.cause
    assert shoplet.state() == before
