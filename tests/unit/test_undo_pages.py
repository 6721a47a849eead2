"""What people read about an undo: in the plan, in the question, in the report of what was taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from faberdb.plan import Plan
from faberdb.question import approval_question
from faberdb.release.evidence import Evidence
from faberdb.report import plan_markdown, release_markdown
from tests.unit.stories import Story
from tests.unit.test_planner import plan

GOLDEN = Path(__file__).parent / "golden"
ADDS = "CREATE TABLE remark (id int PRIMARY KEY);\nALTER TABLE account ADD COLUMN note text;"


def evidence_of(planned: Plan) -> Evidence:
    return Evidence(
        digest=planned.digest,
        ok=True,
        message="",
        snapshot="production-rehearsal-dddd",
        restore_s=4.2,
        step_s=(("0002_next", 0.25),),
        fingerprint_after="e" * 64,
        undo_s=0.04,
        undo_ok=True,
        undo_way="inverse",
        undo_script=("DROP TABLE public.remark", "ALTER TABLE public.account DROP COLUMN note"),
    )


def pages() -> dict[str, str]:
    adds, changes = (
        plan(ADDS, requester="Priya"),
        plan("UPDATE account SET id = 1 WHERE id = 2", requester="Priya"),
    )
    evidence = evidence_of(adds)
    refuted = replace(
        evidence,
        undo_s=5.1,
        undo_way="restore-and-swap",
        undo_script=(),
        undo_refuted="The change itself leaves rows in what it adds.",
    )
    story = Story().approved(after=9).until_applied()
    story.step("choose undo", 0.1, way="inverse").step(
        "undo in place",
        0.2,
        undone=True,
        statements=2,
        revisions=["0015_points"],
        aside="shop_production_kept_20261123091402",
        kept={"public.points": 3},
    )
    story.step("verify undone", 0.3, fingerprint="f" * 64).closed("rolled back")
    return {
        "undo-plan": plan_markdown(adds, evidence),
        "undo-question": approval_question(adds, evidence),
        "undo-question-refuted": approval_question(adds, refuted),
        "undo-question-restoring": approval_question(changes, None),
        "undo-report": release_markdown(story.release()),
    }


@pytest.mark.parametrize("page", list(pages()))
def test_a_page_reads_as_it_did_when_somebody_looked_at_it(page: str) -> None:
    assert pages()[page] == (GOLDEN / f"{page}.md").read_text(encoding="utf-8")
