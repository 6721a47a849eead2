from __future__ import annotations

from pathlib import Path

import pytest

from faberdb.framing import EnvironmentState, Framing
from faberdb.phase_pages import (
    architect_page,
    build_page,
    evaluate_page,
    frame_page,
    linked,
    release_page,
    revision_rows,
)
from faberdb.release.evidence import Evidence
from faberdb.report import release_markdown
from faberdb.witness import LockSpan, Rewrite, Scan, Witnessed
from faberdb.workitem import Detection
from tests.unit.stories import landed, taken_back

GOLDEN = Path(__file__).parent / "golden"


SEEN = (
    Witnessed(
        revision="0015_points",
        line=1,
        text="ALTER TABLE account ALTER COLUMN points TYPE bigint",
        begin_s=0.01,
        took_s=0.4,
        exact=True,
        locks=(
            LockSpan(relation="account", mode="ACCESS EXCLUSIVE", begin_s=0.01, held_s=3.5),
            LockSpan(relation="account", mode="SHARE", begin_s=0.01, held_s=3.5),
        ),
        rewrites=(Rewrite(relation="account", reason="a column's type"),),
        scans=(Scan(relation="account", rows=1_200_000),),
        claimed="ACCESS EXCLUSIVE",
        saw="ACCESS EXCLUSIVE",
    ),
    Witnessed(
        revision="0015_points",
        line=2,
        text="UPDATE entry SET points = 0",
        begin_s=0.41,
        took_s=3.0,
        exact=False,
        locks=(LockSpan(relation="entry", mode="ROW EXCLUSIVE", begin_s=0.41, held_s=3.1),),
        rows=50_000,
        claimed="ROW EXCLUSIVE",
        saw="ROW EXCLUSIVE",
    ),
    Witnessed(
        revision="0016_backfill",
        line=1,
        text="CREATE INDEX CONCURRENTLY entry_points ON entry (points)",
        begin_s=3.6,
        took_s=1.4,
        exact=True,
        locks=(
            LockSpan(relation="entry", mode="SHARE UPDATE EXCLUSIVE", begin_s=3.6, held_s=1.4, sampled=True),
        ),
        transactions=2,
        claimed="SHARE",
        saw="SHARE UPDATE EXCLUSIVE",
        disagrees=True,
    ),
)


def link(change: str) -> str:
    return f"https://track.example/{change}"


def pages() -> dict[str, str]:
    plan = landed().release().plan
    states = (
        EnvironmentState(
            environment="dev", database="", exists=False, applied=0, pending=("0015_points",), problem=""
        ),
        EnvironmentState(
            environment="production", database="shop", exists=True, applied=14, pending=(), problem="a|b\nc"
        ),
    )
    framing = Framing(
        change="SHOP-42: Loyalty points",
        requester="Priya Nair",
        commit="c0ffee" * 6,
        detection=Detection(database_work=True, confidence=1.0, reasons=("1 new revision",)),
        environments=states,
    )
    evidence = Evidence(
        digest="d" * 64,
        ok=True,
        message="",
        snapshot="production-rehearsal-dddd",
        restore_s=4.2,
        step_s=(("0015_points", 0.012), ("0016_backfill", 3.5)),
        fingerprint_after="e" * 64,
        witness="event triggers in the copy",
        witnessed=SEEN,
        undo_s=5.1,
        undo_ok=True,
    )
    health = {"health": "healthy", "summary": "9 checks healthy in 30 ms", "checks": ["no debts"]}
    return {
        "frame": frame_page(framing, link),
        "architect": architect_page(
            [("dev", None, "**dev** has no database yet."), ("production", plan, "## Plan")]
        ),
        "build": build_page(
            "dev", {"created": True, "server_version": 180006}, {"seeded": "seed.sql"}, health
        ),
        "evaluate": evaluate_page(evidence, "staging", "12 passed"),
    }


@pytest.mark.parametrize("phase", ["frame", "architect", "build", "evaluate"])
def test_a_page_reads_as_it_did_when_somebody_looked_at_it(phase: str) -> None:
    assert pages()[phase] == (GOLDEN / f"{phase}.md").read_text(encoding="utf-8")


def test_a_change_is_linked_by_its_id() -> None:
    assert (
        linked("SHOP-42: Loyalty points", link) == "[SHOP-42](https://track.example/SHOP-42): Loyalty points"
    )


@pytest.mark.parametrize("change", ["", "A title: with a colon", "No id at all"])
def test_a_change_without_an_id_is_not_linked(change: str) -> None:
    assert linked(change, link) == change


def test_an_address_cannot_end_the_link_early() -> None:
    assert linked("A-1: t", lambda _: "https://x/(1) y") == "[A-1](https://x/%281%29%20y): t"


def test_a_release_is_a_picture_and_the_report_that_the_terminal_prints() -> None:
    story = taken_back()
    page = release_page(story.release(), story.lines, lambda _: "")
    heading, rest = page.split("\n\n![time line](", 1)
    picture, report = rest.split(")\n\n", 1)
    assert picture.startswith("data:image/svg+xml;base64,")
    assert f"{heading}\n\n{report}".startswith(release_markdown(story.release()).rstrip())
    assert "![" not in release_markdown(story.release())


def test_the_revisions_are_a_table_of_plain_values() -> None:
    rows = revision_rows(landed().release().plan)
    assert [(r["#"], r["revision"], r["risk"], r["one transaction"]) for r in rows] == [
        (1, "0015_points", "low", "yes"),
        (2, "0016_backfill", "low", "yes"),
        (3, "0017_index", "low", "no"),
    ]
