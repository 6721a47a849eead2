from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from faberdb.catalog import Schema
from faberdb.config.model import FaberConfig
from faberdb.errors import HistoryRefused, UnreadableSql
from faberdb.observation import Observation
from faberdb.plan import ApprovalLevel, Plan, UndoWay, plan_from_json, plan_to_json
from faberdb.planner import make_plan
from faberdb.policy import policy_for
from faberdb.revision import Revision, Standing, TrackedRevision
from faberdb.risk import Risk

FIRST = Revision(name="0001_first", checksum="1" * 64, script="CREATE TABLE account (id int);")
APPLIED = TrackedRevision(
    name="0001_first",
    checksum="1" * 64,
    standing=Standing.APPLIED,
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    finished_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def observed(**given: Any) -> Observation:
    facts: dict[str, Any] = {
        "tracked": (APPLIED,),
        "schema": Schema(objects={}),
        "row_counts": {},
        "cannot_restore_beside": "",
    }
    return Observation(**{**facts, **given})


def plan(
    script: str, *, environment: str = "production", config: dict[str, Any] | None = None, **given: Any
) -> Plan:
    revision = Revision(name="0002_next", checksum="2" * 64, script=script)
    seen = given.pop("observed", observed())
    return make_plan(
        project="shop",
        environment=environment,
        database=f"shop_{environment}",
        tool="prisma",
        policy=policy_for(FaberConfig.model_validate(config or {}), environment),
        revisions=given.pop("revisions", [FIRST, revision]),
        observed=seen,
        checks=(),
        **given,
    )


def test_a_plan_holds_what_is_pending_and_nothing_else() -> None:
    found = plan("ALTER TABLE account ADD COLUMN note text;")
    assert [s.revision for s in found.steps] == ["0002_next"]
    assert found.applied == (("0001_first", "1" * 64),)
    assert found.risk is Risk.LOW


def test_nothing_pending_is_an_empty_plan() -> None:
    found = plan("", revisions=[FIRST])
    assert found.empty
    assert not found.snapshot


@pytest.mark.parametrize(
    ("script", "risk", "approval"),
    [
        ("CREATE TABLE t (id int)", Risk.LOW, ApprovalLevel.STANDARD),
        ("ALTER TABLE account DROP COLUMN note", Risk.MEDIUM, ApprovalLevel.STANDARD),
        ("DELETE FROM account WHERE id = 1", Risk.MEDIUM, ApprovalLevel.STANDARD),
        ("DROP TABLE account", Risk.HIGH, ApprovalLevel.ENHANCED),
        ("TRUNCATE account", Risk.HIGH, ApprovalLevel.ENHANCED),
        ("DELETE FROM account", Risk.HIGH, ApprovalLevel.ENHANCED),
        ("UPDATE account SET note = 'x'", Risk.HIGH, ApprovalLevel.ENHANCED),
        (
            "WITH gone AS (DELETE FROM account RETURNING 1) SELECT * FROM gone",
            Risk.HIGH,
            ApprovalLevel.ENHANCED,
        ),
    ],
)
def test_risk_decides_how_it_is_approved(script: str, risk: Risk, approval: ApprovalLevel) -> None:
    found = plan(script)
    assert (found.risk, found.approval) == (risk, approval)


@pytest.mark.parametrize("script", ["DROP SCHEMA public CASCADE", "DROP DATABASE shop"])
def test_what_policy_forbids_blocks_the_plan(script: str) -> None:
    found = plan(script)
    assert found.risk is Risk.CRITICAL
    assert len(found.blocked) == 1


def test_more_rows_than_the_threshold_need_the_phrase() -> None:
    config = {"safety": {"destructive_operations": {"delete_with_where": {"row_threshold": 100}}}}
    script = "DELETE FROM account WHERE id > 5"
    few = plan(script, config=config, observed=observed(row_counts={"account": 100}))
    many = plan(script, config=config, observed=observed(row_counts={"account": 101}))
    assert few.approval is ApprovalLevel.STANDARD
    assert many.approval is ApprovalLevel.ENHANCED
    assert "101 rows in account" in many.findings[0].message


def test_a_protected_environment_that_cannot_be_taken_back_is_blocked() -> None:
    seen = observed(cannot_restore_beside="the role 'app' has no CREATEDB")
    for script, way in (("DROP TABLE account", UndoWay.NONE), ("CREATE TABLE t (id int)", UndoWay.INVERSE)):
        found = plan(script, observed=seen)
        assert (found.undo.way, found.undo.fallback) == (way, UndoWay.NONE)
        assert "CREATEDB" in found.blocked[-1].message, "an inverse alone may not lead back when it is needed"


@pytest.mark.parametrize(
    ("script", "why_not"),
    [
        ("INSERT INTO account VALUES (1)", "line 1: INSERT does more than add objects"),
        ("CREATE TABLE t (id int);\nUPDATE account SET id = 2 WHERE id = 1", "line 2: UPDATE"),
        ("DO $$ BEGIN NULL; END $$", "line 1: DO runs code unseen"),
        ("ALTER TYPE kind ADD VALUE 'c'", "ALTER TYPE ADD VALUE"),
        ("ALTER TABLE account ALTER COLUMN id SET DEFAULT 1", "ALTER TABLE"),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", "CREATE VIEW"),
        ("CREATE EXTENSION citext", "CREATE EXTENSION"),
        ("CREATE ROLE reader", "CREATE ROLE"),
    ],
)
def test_what_does_more_than_add_objects_has_no_inverse(script: str, why_not: str) -> None:
    found = plan(script)
    assert found.undo.way is UndoWay.RESTORE_AND_SWAP
    assert why_not in found.undo.why
    assert found.undo.ends.startswith("every session")
    assert why_not in found.steps[0].undo


def test_what_only_adds_is_dropped_again_and_falls_back_to_its_snapshot() -> None:
    found = plan(
        "CREATE TYPE kind AS ENUM ('a'); CREATE TABLE t (id int, k kind); CREATE INDEX ON account (id);"
        " ALTER TABLE account ADD COLUMN k kind, ADD CONSTRAINT c CHECK (id > 0); CREATE VIEW v AS SELECT 1"
    )
    assert (found.undo.way, found.undo.fallback) == (UndoWay.INVERSE, UndoWay.RESTORE_AND_SWAP)
    assert found.undo.ends.startswith("none")
    assert found.steps[0].undo.endswith("undone by its inverse: what it added is dropped")
    dev = plan("CREATE TABLE t (id int)", environment="dev")
    assert (dev.undo.way, dev.undo.fallback) == (UndoWay.INVERSE, UndoWay.NONE)


def test_down_scripts_are_chosen_only_where_every_step_has_one() -> None:
    revisions = [
        FIRST,
        Revision(name="0002_a", checksum="2" * 64, script="UPDATE account SET id = 1;"),
        Revision(name="0003_b", checksum="3" * 64, script="CREATE TABLE b ();"),
    ]
    both = {"0002_a": "UPDATE account SET id = 2;", "0003_b": "DROP TABLE b;"}
    found = plan("", revisions=revisions, downs=both)
    assert (found.undo.way, found.undo.fallback) == (UndoWay.DOWN, UndoWay.RESTORE_AND_SWAP)
    assert "all rows of b, and the table; the values that changed rows of account had" in found.undo.loses
    one = plan("", revisions=revisions, downs={"0003_b": "DROP TABLE b;"})
    assert one.undo.way is UndoWay.RESTORE_AND_SWAP
    assert "0002_a has no down script" in one.undo.why
    outside = both | {"0003_b": "DROP INDEX CONCURRENTLY b;"}
    assert "fits no transaction" in plan("", revisions=revisions, downs=outside).undo.why
    assert plan("", revisions=revisions, downs=both).digest != plan("", revisions=revisions).digest


def test_dev_takes_no_snapshot_unless_something_is_destroyed() -> None:
    assert not plan("CREATE TABLE t (id int)", environment="dev").snapshot
    assert plan("DROP TABLE account", environment="dev").snapshot


def test_a_recommended_snapshot_may_be_skipped_and_a_required_one_not() -> None:
    script = "CREATE TABLE t (id int)"
    assert plan(script, environment="staging").snapshot
    assert not plan(script, environment="staging", skip_backup=True).snapshot
    assert plan(script, environment="production", skip_backup=True).snapshot


def test_a_script_that_is_not_postgresql_is_refused_by_name() -> None:
    with pytest.raises(UnreadableSql, match="0002_next"):
        plan("CREATE TABEL t (id int)")


def test_an_edited_revision_is_refused() -> None:
    edited = replace(FIRST, checksum="9" * 64)
    with pytest.raises(HistoryRefused, match="0001_first"):
        plan("", revisions=[edited])


def test_a_digest_says_what_runs_and_where_and_not_who_asked() -> None:
    script = "CREATE TABLE t (id int)"
    one = plan(script, requester="Ana", commit="abc", change="A-1: x")
    other = plan(script, requester="Ben", commit="def", change="")
    assert one.digest == other.digest


@pytest.mark.parametrize(
    "moved",
    [
        lambda: plan("CREATE TABLE t (id bigint)"),
        lambda: plan("CREATE TABLE t (id int)", environment="staging"),
        lambda: plan(
            "CREATE TABLE t (id int)", observed=observed(schema=Schema(objects={"table public.t": "TABLE"}))
        ),
        lambda: plan("CREATE TABLE t (id int)", config={"migrations": {"lock_timeout_seconds": 2}}),
    ],
    ids=["statements", "environment", "schema", "budget"],
)
def test_whatever_decides_what_runs_moves_the_digest(moved: Any) -> None:
    # a changed script has a changed checksum in life; here only the statements differ
    assert moved().digest != plan("CREATE TABLE t (id int)").digest


def test_a_plan_survives_the_ledger() -> None:
    found = plan("DROP TABLE account; CREATE INDEX CONCURRENTLY i ON account (id)")
    again = plan_from_json(plan_to_json(found))
    assert again == found
    assert again.digest == found.digest


def test_the_plan_says_how_its_snapshot_is_proven() -> None:
    script = "DROP TABLE account"
    assert plan(script).proof == "restore"
    assert plan(script, environment="staging").proof == "manifest"
    weaker = {"safety": {"snapshot_proof": {"production": "recent"}}}
    assert plan(script, config=weaker).proof == "recent"
    assert plan(script, config=weaker).digest != plan(script).digest


def test_a_snapshot_that_cannot_be_proven_as_policy_wants_is_refused_in_the_plan() -> None:
    seen = observed(cannot_restore_beside="the role 'app' may not create databases")
    wanted = {"safety": {"snapshot_proof": {"staging": "restore"}}}
    assert not plan("DROP TABLE account", environment="staging", observed=seen).blocked
    found = plan("DROP TABLE account", environment="staging", observed=seen, config=wanted)
    assert [f.code for f in found.blocked] == ["no_proof"]
    assert "may not create databases" in found.blocked[0].message
