from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from faberdb.ledger import Kind
from faberdb.timeline import timeline_image, timeline_svg
from faberdb.timescale import in_words, make_scale
from tests.unit.stories import MORNING, Story, landed, taken_back

GOLDEN = Path(__file__).parent / "golden"
SVG = "{http://www.w3.org/2000/svg}"
STORIES = {"landed": landed, "taken-back": taken_back}


def drawn(story: Story) -> str:
    return timeline_svg(story.release(), story.lines)


def parsed(story: Story) -> ElementTree.Element:
    return ElementTree.fromstring(drawn(story))


def bars(story: Story) -> list[dict[str, str]]:
    return [r.attrib for r in parsed(story).iter(f"{SVG}rect") if r.get("height") == "12"]


def words(story: Story) -> list[str]:
    return [t.text or "" for t in parsed(story).iter(f"{SVG}text")]


def cut_short() -> Story:
    """The process died while it applied, and the same command went on two hours later."""
    story = Story().approved(after=40).step("check plan", 0.04).step("snapshot", 6)
    for later in (0.2, 7200):
        story.tell(Kind.STEP_INTENDED, after=later, step="apply")
        story.tell(Kind.STEP_NOTED, after=3, step="apply", note="applying 0016_backfill")
    return story


def crowded() -> Story:
    """Everything at once: fifty revisions with long names, ten deaths, and an undo."""
    story = Story(change="<&>" * 40).approved(after=1e6)
    for _ in range(10):
        story.tell(Kind.STEP_INTENDED, after=90, step="apply")
        for n in range(50):
            name = f"{n:04}_{'&' * 90}"
            story.tell(Kind.STEP_NOTED, after=1, step="apply", note=f"applying {name}")
            story.tell(Kind.STEP_NOTED, after=1, step="apply", note=f"applied {name}")
    story.tell(Kind.ROLLBACK_OPENED, after=1, cause="x")
    for step in ("choose undo", "safety snapshot", "restore beside", "swap", "count later rows"):
        story.step(step, 5)
    return story.closed("rolled back")


@pytest.mark.parametrize("name", STORIES)
def test_the_picture_is_as_it_was_when_somebody_looked_at_it(name: str) -> None:
    golden = GOLDEN / f"timeline-{name}.svg"
    assert drawn(STORIES[name]()) + "\n" == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("story", [landed(), taken_back(), cut_short(), crowded(), Story()])
def test_a_picture_is_small_and_refers_to_nothing_outside(story: Story) -> None:
    text = drawn(story)
    root = ElementTree.fromstring(text)
    assert len(text.encode()) < 12_000
    assert root.get("width") == "760"
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {"svg", "rect", "path", "circle", "text"}
    assert not [a for e in root.iter() for a in e.attrib if a.endswith("href") or a.startswith("on")]
    assert "currentColor" not in text


def test_names_of_people_and_changes_cannot_break_out() -> None:
    assert 'SHOP-43: Support can see <orders> & "customers"' in words(taken_back())
    assert parsed(Story(change="a\x00\x1b]]><script>b")) is not None


def test_two_days_of_waiting_leave_the_steps_their_room() -> None:
    waiting, *_, last = bars(landed())
    assert float(waiting["width"]) == 64
    assert "2 d 3 h" in words(landed())
    apply = max(bars(landed())[1:], key=lambda b: float(b["width"]))
    assert float(apply["width"]) > 200
    assert float(last["x"]) + float(last["width"]) <= 628


def test_an_undo_has_a_colour_of_its_own_and_the_failed_step_another() -> None:
    colours = [b["fill"] for b in bars(taken_back())]
    assert colours.count("#cf3f36") == 1
    assert colours[colours.index("#cf3f36") + 1 :] == ["#e08a1e"] * 5
    assert "#e08a1e" not in [b["fill"] for b in bars(landed())]
    assert "failed, 1.4 s" in words(taken_back())


def test_a_step_whose_process_died_is_drawn_as_cut_short() -> None:
    cut = [b for b in bars(cut_short()) if "stroke-dasharray" in b]
    assert len(cut) == 2
    assert "cut short, 6.0 s" in words(cut_short())


def test_revisions_are_in_the_order_in_which_they_ran() -> None:
    shown = [w for w in words(landed()) if w.startswith("00")]
    assert shown == ["0015_points", "0016_backfill", "0017_index"]


def test_a_waiting_release_is_drawn_up_to_its_newest_entry() -> None:
    story = Story().tell(Kind.APPROVAL_ASKED, after=5, digest="")
    assert "production: waiting for approval" in words(story)
    assert "approval" in words(story)


def test_the_image_carries_the_picture() -> None:
    image = timeline_image("<svg/>")
    assert base64.b64decode(image.removeprefix("![time line](data:image/svg+xml;base64,")[:-1]) == b"<svg/>"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (3599.9, "1 h"),
        (7260, "2 h 1 min"),
        (183600, "2 d 3 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == text


def test_a_scale_never_goes_back_and_fills_the_line() -> None:
    def at(s: float):  # type: ignore[no-untyped-def]
        return MORNING + timedelta(seconds=s)

    busy = [(at(50), at(60)), (at(9000), at(9001)), (at(55), at(58))]
    scale = make_scale(busy, at(0), at(10_000), left=100, width=500)
    places = [scale.x(at(s)) for s in range(0, 10_001, 50)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (100, 600)
    assert len(scale.breaks) == 3
    assert make_scale([], at(0), at(0), left=1, width=9).x(at(5)) == 10
