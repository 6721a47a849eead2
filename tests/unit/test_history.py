"""Revisions on disk against a tracking table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from faberdb.errors import HistoryRefused
from faberdb.history import pending, read_history
from faberdb.revision import Revision, Standing, TrackedRevision

BEGAN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def disk(*names: str) -> list[Revision]:
    return [Revision(name=n, checksum=f"sum of {n}", script="SELECT 1") for n in names]


def row(
    name: str, standing: Standing = Standing.APPLIED, *, checksum: str = "", logs: str = ""
) -> TrackedRevision:
    return TrackedRevision(
        name=name,
        checksum=checksum or f"sum of {name}",
        standing=standing,
        started_at=BEGAN,
        finished_at=BEGAN + timedelta(seconds=1) if standing is Standing.APPLIED else None,
        logs=logs,
    )


def names(revisions: tuple[Revision, ...]) -> list[str]:
    return [r.name for r in revisions]


def test_everything_is_pending_on_an_empty_database_in_the_order_of_the_disk() -> None:
    assert names(pending(disk("2", "10", "1"), [])) == ["2", "10", "1"]


def test_what_is_applied_is_not_pending() -> None:
    assert names(pending(disk("a", "b", "c"), [row("a"), row("b")])) == ["c"]
    assert pending(disk("a"), [row("a")]) == ()


def test_a_rolled_back_revision_is_pending_again() -> None:
    assert names(pending(disk("a", "b"), [row("a"), row("b", Standing.ROLLED_BACK)])) == ["b"]


def test_an_attempt_that_was_rolled_back_does_not_count_against_a_later_success() -> None:
    assert pending(disk("a"), [row("a", Standing.ROLLED_BACK, checksum="older"), row("a")]) == ()


@pytest.mark.parametrize(
    ("tracked", "named", "word", "way_on"),
    [
        ([row("a", checksum="other")], "'a'", "edited", "version control"),
        (
            [row("a", Standing.FAILED, logs="A migration failed.\n\nERROR: no such table")],
            "'a'",
            "failed",
            "rollback",
        ),
        ([row("a", Standing.STARTED)], "'a'", "never ended", "rollback"),
        ([row("a"), row("gone")], "'gone'", "missing on disk", "version control"),
        ([row("b")], "'a'", "out of order", "rename"),
        ([row("a"), row("a", Standing.FAILED, logs="x")], "'a'", "failed", "rollback"),
    ],
)
def test_a_disagreement_is_refused_with_the_revisions_name_and_a_way_on(
    tracked: list[TrackedRevision], named: str, word: str, way_on: str
) -> None:
    with pytest.raises(HistoryRefused) as caught:
        pending(disk("a", "b"), tracked)
    assert named in caught.value.what
    assert word in caught.value.what
    assert way_on in caught.value.next_step


def test_a_failure_tells_the_databases_own_error() -> None:
    logs = 'A migration failed to apply.\n\nDatabase error:\nERROR: relation "x" does not exist\n\nHINT: y'
    with pytest.raises(HistoryRefused) as caught:
        pending(disk("a"), [row("a", Standing.FAILED, logs=logs)])
    assert caught.value.why == 'ERROR: relation "x" does not exist'


def test_an_edited_file_of_a_failed_revision_is_not_an_edit_of_history() -> None:
    state = read_history(disk("a"), [row("a", Standing.ROLLED_BACK, checksum="older")])
    assert (state.edited, state.problem) == ((), "")


def test_the_state_says_everything_without_raising() -> None:
    tracked = [
        row("b"),
        row("gone"),
        row("d", checksum="other"),
        row("e", Standing.FAILED, logs="x"),
        row("f", Standing.ROLLED_BACK),
    ]
    state = read_history(disk("a", "b", "c", "d", "e", "f"), tracked)
    assert state.applied_names == ("gone", "b", "d")
    assert state.pending_names == ("a", "c", "f")
    assert [t.name for t in state.failed] == ["e"]
    assert state.edited == ("d",)
    assert state.missing == ("gone",)
    assert state.out_of_order == ("a", "c")
    assert "'e' failed" in state.problem


def test_a_sound_history_has_no_problem() -> None:
    assert read_history(disk("a", "b"), [row("a")]).problem == ""
