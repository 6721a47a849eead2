from __future__ import annotations

from faberdb.ledger import Kind
from faberdb.release.approval import Verdict
from faberdb.release.facts import What, facts_of, message
from tests.unit.stories import ID, Story, landed, taken_back


def what(story: Story, verdict: Verdict | None = Verdict.APPROVED) -> list[str]:
    return [f.what.value for f in facts_of(story.lines, verdict)]


def test_a_good_release_is_five_facts() -> None:
    assert what(landed()) == ["opened", "waiting", "approved", "started", "released"]


def test_a_release_that_was_taken_back_says_so() -> None:
    assert what(taken_back())[-2:] == ["started", "rolled-back"]


def test_one_of_two_votes_is_no_approval_yet() -> None:
    assert "approved" not in what(Story().approved(after=1), Verdict.WAITING)


def test_a_fact_keeps_its_id_when_the_story_goes_on_or_is_told_again() -> None:
    early = {f.what: f.id for f in facts_of(Story().approved(after=9).lines, Verdict.APPROVED)}
    late = {f.what: f.id for f in facts_of(landed().lines, Verdict.APPROVED)}
    assert early.items() <= late.items()
    assert len(set(late.values())) == len(late)


def test_a_step_that_is_begun_again_started_once() -> None:
    story = Story()
    for _ in range(3):
        story.tell(Kind.STEP_INTENDED, after=1, step="apply")
    assert what(story, None) == ["opened", "started"]


def test_a_wish_to_take_back_that_is_asked_again_is_news() -> None:
    story = landed()
    for _ in range(2):
        story.tell(Kind.APPROVAL_ASKED, after=60, under=f"{ID}/rollback", digest="", cause="c")
    asked = [f for f in facts_of(story.lines) if f.what is What.WAITING]
    assert len({f.id for f in asked}) == 3


def test_people_are_told_what_to_type_and_where_to_click() -> None:
    story = Story().tell(Kind.APPROVAL_ASKED, after=1, digest="")
    waiting = facts_of(story.lines)[-1]
    assert message(story.release(), waiting, "http://prefect/runs/flow-run/7") == (
        "production: SHOP-42 waits for approval",
        "production: SHOP-42 waits for approval.\n\n"
        f"Release:     {ID}\n"
        "Environment: production\n"
        "Change:      SHOP-42: Loyalty points\n"
        "Asked by:    Priya Nair\n"
        "Risk:        low\n\n"
        f"Next: faber-db approve {ID} --as NAME\n"
        "Or decide in Prefect: http://prefect/runs/flow-run/7\n",
    )


def test_a_message_holds_no_cause_and_no_sql() -> None:
    story = taken_back()
    subject, body = message(story.release(), facts_of(story.lines)[-1], "")
    assert subject == "production: SHOP-43 was taken back; everything is as it was before"
    assert "The check failed" not in body
    assert "CREATE" not in body
