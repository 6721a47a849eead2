"""Drift stands in a release's way until the plan settles it: by adopting it, or by taking it back."""

from __future__ import annotations

import pytest

from faberdb.connection import connect
from faberdb.drift import compare
from faberdb.errors import BlockedByPolicy, PlanStale, Refused
from faberdb.plan import ApprovalLevel, StepKind
from faberdb.progress import silent
from faberdb.release import execution
from faberdb.release.lock import hold_environment
from faberdb.release.opening import open_release, plan_target
from faberdb.release.record import Outcome, read_release
from faberdb.release.rehearsal import rehearse
from faberdb.settlement import adopting_header, reverting_header
from faberdb.settling import adopt as adopt_drift
from faberdb.settling import revert as revert_drift
from faberdb.target import Target, open_target
from tests.flows.shoplet import Shoplet
from tests.integration.releasing import land, with_snapshot

NOTE = {"0003_note": "ALTER TABLE account ADD COLUMN note text;"}
BY_HAND = "CREATE INDEX by_hand ON account (owner);"
REVERT = "DROP INDEX by_hand;"


@pytest.fixture
def shoplet(shoplet: Shoplet) -> Shoplet:
    """Released once, and then changed by hand, with a revision waiting."""
    shoplet.add(NOTE)
    land(shoplet)
    with connect(shoplet.dsn, purpose="test") as conn:
        conn.execute(BY_HAND.encode())
    shoplet.add({"0004_label": "ALTER TABLE account ADD COLUMN label text;"})
    return shoplet


def write_reversal(shoplet: Shoplet, target: Target, script: str = REVERT) -> None:
    drift = compare(target)
    folder = shoplet.root / "drift" / "production"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "by_hand.sql").write_text(reverting_header(drift.found, drift.expected) + script)


def adopt(shoplet: Shoplet, target: Target) -> None:
    header = adopting_header(target.fingerprint())
    shoplet.add({"0003_z_adopted": header + "-- made by hand on a Sunday\n" + BY_HAND})


def indexes(target: Target) -> set[str]:
    with connect(target.dsn, purpose="test") as conn:
        return {r[0] for r in conn.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'account'")}


def columns(target: Target) -> set[str]:
    return {o for o in target.schema().objects if o.startswith("column public.account.")}


def test_a_release_on_a_drifted_schema_is_refused_and_says_how_to_settle_it(target: Target) -> None:
    plan = plan_target(target, requester="Priya")
    assert [f.code for f in plan.blocked] == ["drift"]
    with pytest.raises(BlockedByPolicy) as refused:
        open_release(target, plan)
    assert "drifted" in refused.value.what
    assert "faber-db drift adopt or revert production" in refused.value.next_step


def test_where_nobody_is_asked_drift_is_only_told(shoplet: Shoplet) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + "\n[drift]\nrefuse = false\n")
    with open_target(shoplet.root, "production") as target:
        plan = plan_target(target, requester="Priya")
    assert [(f.code, f.blocks) for f in plan.findings if f.code == "drift"] == [("drift", False)]


def test_a_revision_that_adopts_the_drift_is_recorded_and_not_run(shoplet: Shoplet, target: Target) -> None:
    adopt(shoplet, target)
    plan = plan_target(target, requester="Priya")
    assert [(s.revision, s.kind) for s in plan.steps] == [
        ("0003_z_adopted", StepKind.RECORD),
        ("0004_label", StepKind.APPLY),
    ]
    assert not plan.blocked
    release = land(shoplet)
    assert release.outcome is Outcome.RELEASED
    assert "by_hand" in indexes(target)
    assert "column public.account.label" in columns(target)
    assert not compare(target).drifted
    assert plan_target(target, requester="Priya").empty


def test_elsewhere_the_adopting_revision_is_run(shoplet: Shoplet, target: Target) -> None:
    adopt(shoplet, target)
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(b"DROP INDEX by_hand")
    plan = plan_target(target, requester="Priya")
    assert {s.kind for s in plan.steps} == {StepKind.APPLY}
    land(shoplet)
    assert "by_hand" in indexes(target)


def test_a_reversal_brings_the_schema_back_before_the_revisions(shoplet: Shoplet, target: Target) -> None:
    write_reversal(shoplet, target)
    plan = plan_target(target, requester="Priya")
    assert [(s.revision, s.kind) for s in plan.steps] == [
        ("drift/production/by_hand", StepKind.REVERT),
        ("0004_label", StepKind.APPLY),
    ]
    assert land(shoplet).outcome is Outcome.RELEASED
    assert "by_hand" not in indexes(target)
    assert "column public.account.label" in columns(target)
    assert plan_target(target, requester="Priya").empty, "it is for the schema that was, and for no other"


def test_a_reversal_is_rehearsed_like_a_revision(shoplet: Shoplet, target: Target) -> None:
    write_reversal(shoplet, target)
    plan = plan_target(target, requester="Priya")
    evidence = rehearse(target, plan, silent)
    assert evidence.ok, evidence.message
    assert "by_hand" in indexes(target), "only the copy was touched"
    land(shoplet)
    assert target.fingerprint() == evidence.fingerprint_after


def test_a_reversal_that_was_interrupted_after_its_commit_is_not_run_again(
    shoplet: Shoplet, target: Target
) -> None:
    write_reversal(shoplet, target)
    release = shoplet.approve()
    with_snapshot(target, release)
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(REVERT.encode())  # as a process that died before it could say so
    with hold_environment(target.dsn, release.id):
        execution.apply_release(target, read_release(target.ledger, release.id))
    assert execution.verify_revisions(target, read_release(target.ledger, release.id))["fingerprint"]


def test_a_schema_that_moved_on_is_not_taken_back(shoplet: Shoplet, target: Target) -> None:
    write_reversal(shoplet, target)
    release = shoplet.approve()
    with_snapshot(target, release)
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(b"CREATE TABLE more (id int)")
    with hold_environment(target.dsn, release.id), pytest.raises(PlanStale, match="takes back"):
        execution.apply_release(target, read_release(target.ledger, release.id))


def test_a_reversal_that_is_no_single_transaction_is_refused(shoplet: Shoplet, target: Target) -> None:
    write_reversal(shoplet, target, "DROP INDEX CONCURRENTLY by_hand;")
    with pytest.raises(Refused, match="cannot run in one transaction"):
        plan_target(target, requester="Priya")


def test_an_edited_reversal_is_not_what_was_approved(shoplet: Shoplet, target: Target) -> None:
    write_reversal(shoplet, target)
    release = shoplet.approve()
    with_snapshot(target, release)
    write_reversal(shoplet, target, REVERT + " -- edited")
    with hold_environment(target.dsn, release.id), pytest.raises(PlanStale, match="edited"):
        execution.apply_release(target, read_release(target.ledger, release.id))
    assert "by_hand" in indexes(target)


def test_a_drift_is_adopted_by_a_revision_that_was_proven(shoplet: Shoplet, target: Target) -> None:
    written = adopt_drift(target)
    assert "CREATE INDEX by_hand ON public.account USING btree (owner)" in written.path.read_text()
    assert {s.kind for s in plan_target(target, requester="Priya").steps} == {StepKind.RECORD, StepKind.APPLY}
    assert land(shoplet).outcome is Outcome.RELEASED
    assert "by_hand" in indexes(target)
    assert not compare(target).drifted


def test_a_drift_is_reverted_by_a_script_that_was_proven(shoplet: Shoplet, target: Target) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(b"CREATE TABLE todo (id int)")
    written = revert_drift(target)
    assert written.destroys == ("table public.todo",)
    plan = plan_target(target, requester="Priya")
    assert [s.kind for s in plan.steps] == [StepKind.REVERT, StepKind.APPLY]
    assert plan.approval is ApprovalLevel.ENHANCED, "it drops a table"
    assert land(shoplet).outcome is Outcome.RELEASED
    assert "table public.todo" not in target.schema().objects


def test_a_drift_that_cannot_be_taken_back_can_be_adopted(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0005_mood": "CREATE TYPE mood AS ENUM ('old'); ALTER TABLE account ADD COLUMN mood mood;"})
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(b"DROP INDEX by_hand")
    land(shoplet)
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(b"ALTER TYPE mood ADD VALUE 'new'")
        conn.execute(b"CREATE TABLE todo (what text, id int)")
    with pytest.raises(Refused, match="is not known"):
        revert_drift(target)
    script = adopt_drift(target).path.read_text()
    assert "ALTER TYPE public.mood ADD VALUE 'new'" in script
    assert script.index("what text") < script.index("id integer"), "columns stand as they do in the database"


def test_what_cannot_be_written_is_refused_with_the_line_to_begin_with(target: Target) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(b"CREATE FOREIGN DATA WRAPPER elsewhere")
    with pytest.raises(Refused, match="is not known; nothing was written") as refused:
        revert_drift(target)
    assert f"-- faber-db: adopts {target.fingerprint()}" in refused.value.next_step
    assert not (target.project.root / "drift").exists()


def test_where_nothing_drifted_there_is_nothing_to_settle(shoplet: Shoplet, target: Target) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(b"DROP INDEX by_hand")
    with pytest.raises(Refused, match="nothing to settle"):
        adopt_drift(target)
