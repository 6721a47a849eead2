from __future__ import annotations

import pytest
from msgspec.structs import replace

from faberdb.ledger import Kind
from faberdb.release.record import Outcome, Release
from faberdb.release.recovery import Course, Recovery, decide
from tests.unit.stories import ID, Story, landed

OWN = "r"  # the run that the stories' releases were opened by


def course(
    release: Release | None, *, run: str = "another", tries: int = 0, taking_back: bool = False
) -> Course:
    return decide(release, run=run, tries=tries, taking_back=taking_back).course


def applying() -> Story:
    story = Story().approved(after=5).step("check plan", 0.1).step("snapshot", 3)
    return story.tell(Kind.STEP_INTENDED, after=0.1, step="apply")


def failed(error: str = "RevisionFailed") -> Story:
    return applying().tell(Kind.STEP_FAILED, after=1, step="apply", error=error, what="It broke.", why="")


def half_taken_back(story: Story) -> Story:
    story.tell(Kind.ROLLBACK_OPENED, after=1, cause="asked by hand")
    return story.step("choose undo", 0.1).tell(Kind.STEP_INTENDED, after=0.1, step="restore beside")


def test_where_nothing_was_ever_released_there_is_nothing_to_do() -> None:
    assert decide(None, run=OWN, tries=0, taking_back=False) == Recovery(
        course=Course.NOTHING, release="", environment="", commit="", why="no release is open"
    )


def test_a_release_that_ended_is_left_alone() -> None:
    assert course(landed().release(), run=OWN) is Course.NOTHING


def test_an_untouched_release_goes_on_with_the_run_that_opened_it() -> None:
    decided = decide(Story().approved(after=5).release(), run=OWN, tries=0, taking_back=False)
    assert (decided.course, decided.release, decided.environment) == (Course.CONTINUE, ID, "production")
    assert decided.commit == "c0ffee" * 6
    assert "from its beginning" in decided.why


def test_an_untouched_release_of_another_run_is_that_runs_business() -> None:
    assert course(Story().approved(after=5).release()) is Course.NOTHING


@pytest.mark.parametrize("run", [OWN, "another"])
def test_a_release_that_died_between_two_steps_is_continued(run: str) -> None:
    assert course(applying().release(), run=run) is Course.CONTINUE
    assert course(Story().approved(after=5).until_applied().release(), run=run) is Course.CONTINUE


def test_a_step_that_failed_and_that_nothing_took_back_is_taken_back() -> None:
    decided = decide(failed().release(), run="another", tries=0, taking_back=False)
    assert decided.course is Course.COMPENSATE
    assert "'apply' failed" in decided.why


def test_a_step_that_failed_once_and_was_begun_again_is_continued() -> None:
    again = failed().tell(Kind.STEP_INTENDED, after=1, step="apply")
    assert course(again.release()) is Course.CONTINUE


def test_a_server_that_was_away_is_no_reason_to_take_anything_back() -> None:
    assert course(failed("ServerUnreachable").release()) is Course.CONTINUE


def test_a_failure_before_the_first_effect_needs_no_undo() -> None:
    story = Story().approved(after=5)
    story.tell(Kind.STEP_FAILED, after=1, step="snapshot", error="SnapshotUnusable", what="No space.", why="")
    assert course(story.release(), run=OWN) is Course.CONTINUE


def test_an_undo_that_was_begun_is_finished_and_not_begun_twice() -> None:
    decided = decide(half_taken_back(failed()).release(), run="another", tries=0, taking_back=False)
    assert decided.course is Course.CONTINUE
    assert "taken back" in decided.why


def test_a_finished_release_that_is_half_taken_back_is_the_business_of_who_takes_it_back() -> None:
    left = half_taken_back(landed()).release()
    assert left.outcome is Outcome.RELEASED
    assert course(left, taking_back=True) is Course.CONTINUE
    assert course(left, taking_back=False) is Course.NOTHING


def test_a_release_that_was_taken_back_is_left_alone() -> None:
    ended = half_taken_back(landed()).closed("rolled back").release()
    assert course(ended, taking_back=True) is Course.NOTHING


def test_a_restoration_that_nobody_began_goes_on_where_it_asks() -> None:
    wished = replace(Story().release(), restores="production-1")
    assert course(wished, taking_back=True) is Course.CONTINUE


@pytest.mark.parametrize("story", [applying(), failed(), half_taken_back(failed())])
@pytest.mark.parametrize(("tries", "stops"), [(0, False), (2, False), (3, True), (9, True)])
def test_after_three_tries_it_is_left_to_a_person(story: Story, tries: int, stops: bool) -> None:
    decided = decide(story.release(), run="another", tries=tries, taking_back=False)
    assert (decided.course is Course.STOP) is stops
    assert decided.release == ID
    if stops:
        assert f"died {tries + 1} times" in decided.why


def test_a_plan_from_a_working_copy_names_the_commit_it_stands_on() -> None:
    release = applying().release()
    dirty = replace(release, plan=replace(release.plan, commit="abc-dirty"))
    assert decide(dirty, run=OWN, tries=0, taking_back=False).commit == "abc"
