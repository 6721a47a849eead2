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

_BEFORE_THE_FIRST_EFFECT = (
    *("check plan:intended:1", "check plan:done:1", "health before:intended:1", "health before:done:1"),
    *("snapshot:intended:1", *(f"snapshot:noted:{n}" for n in (1, 2, 3)), "snapshot:done:1"),
    *(
        "prove snapshot:intended:1",
        *(f"prove snapshot:noted:{n}" for n in (1, 3, 4, 6)),
        "prove snapshot:done:1",
    ),
)
_TAKING_AND_PROVING = tuple(moment for moment in _BEFORE_THE_FIRST_EFFECT if ":noted:" in moment)
_APPLYING = ("apply:intended:1", *(f"apply:noted:{n}" for n in (1, 2, 3, 4, 5, 6, 7)))
_NOTHING_APPLIED = _APPLYING[:3]  # its first revision is not committed yet
_AFTER_THE_LAST_EFFECT = (
    *("apply:done:1", "verify revisions:intended:1", "verify revisions:done:1"),
    *("health after:intended:1", "health after:done:1"),
)
_UNDOING = (
    *("choose undo:intended:1", "choose undo:done:1", "restore beside:intended:1", "restore beside:done:1"),
    *("swap:intended:1", "swap:done:1", "count later rows:intended:1", "count later rows:done:1"),
    *("verify undone:intended:1", "verify undone:done:1"),
)
_EXCHANGING = ("restore beside:noted:1", *(f"swap:noted:{n}" for n in (1, 2, 3, 4, 5)))
_UNDOING_IN_PLACE = ("choose undo:done:1", "undo in place:intended:1", "undo in place:done:1")
_NOTED_IN_PLACE = tuple(f"undo in place:noted:{n}" for n in (1, 2, 3))


def in_pairs(moments: tuple[str, ...]) -> list[tuple[str, ...]]:
    """An undo that dies a third time is left to a person."""
    return [moments[n : n + 2] for n in range(0, len(moments), 2)]


def alone(moments: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Within a step each counts its notes from its beginning, so that a second one would be another."""
    return [(moment,) for moment in moments]


def die(shoplet: Shoplet, forked: Forked, moments: tuple[str, ...]) -> None:
    """Ask for the release, and be killed, at one moment after the other."""
    for moment in moments:
        assert forked(run_release, str(shoplet.root), moment, "kill") == -signal.SIGKILL, moment
        assert shoplet.chain_is_whole(), moment


def assert_released(shoplet: Shoplet, before: str) -> None:
    assert shoplet.newest().outcome is Outcome.RELEASED
    assert shoplet.state() != before
    assert shoplet.chain_is_whole()
    assert shoplet.databases() == [shoplet.dsn.database], "a release that ended well leaves no other behind"


def assert_taken_back(shoplet: Shoplet, before: str, *, aborted: bool = False) -> None:
    assert shoplet.newest().outcome is (Outcome.ABORTED if aborted else Outcome.ROLLED_BACK)
    assert shoplet.state() == before
    assert shoplet.chain_is_whole()


@pytest.mark.parametrize(
    "moments",
    [
        tuple(m for m in _BEFORE_THE_FIRST_EFFECT if m not in _TAKING_AND_PROVING),
        _AFTER_THE_LAST_EFFECT,
        *alone(_TAKING_AND_PROVING),
        *alone(_APPLYING),
    ],
    ids=" then ".join,
)
def test_a_killed_release_is_finished_by_the_same_command(
    shoplet: Shoplet, forked: Forked, moments: tuple[str, ...]
) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    shoplet.approve()
    die(shoplet, forked, moments)
    assert forked(run_release, str(shoplet.root)) == 0
    assert_released(shoplet, before)


def test_a_release_failing_before_its_first_effect_touches_nothing_and_can_be_tried_again(
    shoplet: Shoplet, forked: Forked
) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    shoplet.approve()
    for moment in _BEFORE_THE_FIRST_EFFECT:
        assert forked(run_release, str(shoplet.root), moment, "fail") == 5, moment
        assert shoplet.state() == before, moment
    assert forked(run_release, str(shoplet.root)) == 0
    assert_released(shoplet, before)


@pytest.mark.parametrize("moment", [*_APPLYING, *_AFTER_THE_LAST_EFFECT])
def test_a_release_failing_at_any_moment_after_the_first_effect_is_taken_back(
    shoplet: Shoplet, forked: Forked, moment: str
) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    shoplet.approve()
    assert forked(run_release, str(shoplet.root), moment, "fail") == 5
    assert_taken_back(shoplet, before, aborted=moment in _NOTHING_APPLIED)


@pytest.mark.parametrize("moments", [*in_pairs(_UNDOING), *alone(_EXCHANGING)], ids=" then ".join)
def test_a_killed_undo_is_finished_by_the_same_command(
    shoplet: Shoplet, forked: Forked, moments: tuple[str, ...]
) -> None:
    before = shoplet.state()
    shoplet.add(FAILS_CHECK)
    shoplet.approve()
    die(shoplet, forked, moments)
    assert forked(run_release, str(shoplet.root)) == 5
    assert_taken_back(shoplet, before)
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
    die(shoplet, forked, (moment,))
    assert forked(run_release, str(shoplet.root)) == 5
    assert_taken_back(shoplet, before)


@pytest.mark.parametrize(
    "moments", [*in_pairs(_UNDOING_IN_PLACE), *alone(_NOTED_IN_PLACE)], ids=" then ".join
)
def test_a_killed_undo_in_place_is_finished_by_the_same_command(
    shoplet: Shoplet, forked: Forked, moments: tuple[str, ...]
) -> None:
    before = shoplet.state()
    shoplet.add(FAILS_ADDED)
    shoplet.approve()
    die(shoplet, forked, moments)
    assert forked(run_release, str(shoplet.root)) == 5
    assert (shoplet.newest().done("undo in place") or {})["undone"]
    assert_taken_back(shoplet, before)
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
