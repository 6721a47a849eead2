"""The snapshot of a release is proven before its first statement, as its plan says."""

from __future__ import annotations

import pytest

from faberdb.databases import maintenance
from faberdb.dsn import Dsn
from faberdb.errors import SnapshotUnusable
from faberdb.ledger import Kind
from faberdb.progress import silent
from faberdb.pruning import prune_environment
from faberdb.release import execution, undo
from faberdb.release.lock import hold_environment
from faberdb.release.opening import close_release, plan_target
from faberdb.release.proving import STEP, restored_name
from faberdb.release.record import Outcome, Release, read_release
from faberdb.release.rehearsal import rehearse
from faberdb.target import Target, open_target
from tests.flows.shoplet import GOOD, Shoplet
from tests.integration.releasing import with_snapshot


def now(target: Target, release: Release) -> Release:
    return read_release(target.ledger, release.id)


def oid(dsn: Dsn, name: str) -> int | None:
    with maintenance(dsn, purpose="tests") as conn:
        row = conn.execute("SELECT oid FROM pg_database WHERE datname = %s", (name,)).fetchone()
    return int(row[0]) if row else None


def policy(shoplet: Shoplet, text: str) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(f"{config.read_text()}\n{text}\n")


def test_a_protected_release_runs_nothing_before_its_snapshot_was_restored_and_compared(
    shoplet: Shoplet, target: Target
) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    release = shoplet.approve()
    assert release.plan.proof == "restore"
    execution.snapshot_release(target, release)
    with (
        hold_environment(target.dsn, release.id),
        pytest.raises(SnapshotUnusable, match="not proven; nothing was run"),
    ):
        execution.apply_release(target, now(target, release))
    assert shoplet.state() == before
    found = execution.prove_release_snapshot(target, now(target, release))
    assert (found["fingerprint_equal"], found["rows_equal"], found["checksums_equal"]) == (True, True, True)
    with hold_environment(target.dsn, release.id):
        execution.apply_release(target, now(target, release))


def test_an_undo_finds_the_restored_database_and_the_end_of_the_release_drops_it(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(GOOD)
    release = with_snapshot(target, shoplet.approve())
    ready = oid(target.dsn, restored_name(release))
    assert ready is not None
    undo.restore_release(target, release)
    assert oid(target.dsn, restored_name(release)) == ready, "it was not restored a second time"
    close_release(target, release, Outcome.RELEASED)
    assert oid(target.dsn, restored_name(release)) is None


def test_prune_drops_what_the_proof_of_an_ended_release_left(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(GOOD)
    release = with_snapshot(target, shoplet.approve())
    assert not prune_environment(target, silent).databases, "an open release needs it"
    body = {"outcome": Outcome.RELEASED.value}
    target.ledger.append(Kind.RELEASE_CLOSED, release=release.id, environment=target.name, body=body)
    assert prune_environment(target, silent).databases == (restored_name(release),)
    assert oid(target.dsn, restored_name(release)) is None


def test_a_snapshot_that_does_not_hold_ends_its_release_by_name_and_the_next_one_takes_another(
    shoplet: Shoplet, target: Target
) -> None:
    before = shoplet.state()
    shoplet.add(GOOD)
    release = shoplet.approve()
    taken = execution.snapshot_release(target, release)["snapshot"]
    rows = target.project.home / "snapshots" / taken / "dump" / "toc.dat"
    rows.write_bytes(rows.read_bytes()[:-1])
    with pytest.raises(SnapshotUnusable, match=f"'{taken}'.*\n.*toc.dat has .* bytes instead of"):
        execution.prove_release_snapshot(target, now(target, release))
    assert now(target, release).outcome is Outcome.ABORTED
    assert shoplet.state() == before
    again = with_snapshot(target, shoplet.approve())
    assert again.id != release.id
    assert again.done(STEP)
    close_release(target, again, Outcome.SUPERSEDED)


def test_recent_proof_relies_on_the_rehearsal_and_restores_where_there_was_none(shoplet: Shoplet) -> None:
    policy(shoplet, '[safety]\nsnapshot_proof = { production = "recent" }')
    shoplet.add(GOOD)
    with open_target(shoplet.root, "production") as target:
        first = with_snapshot(target, shoplet.approve())
        assert first.done(STEP)["proof"] == "restore"  # type: ignore[index]
        close_release(target, first, Outcome.SUPERSEDED)
        evidence = rehearse(target, plan_target(target, requester="Priya"), silent)
        assert evidence.ok
        found = with_snapshot(target, shoplet.approve()).done(STEP)
        assert found is not None
        assert (found["proof"], found["relied_on"]) == ("recent", evidence.snapshot)


def test_files_alone_are_checked_where_policy_says_so_and_the_plan_tells(shoplet: Shoplet) -> None:
    policy(shoplet, '[safety]\nsnapshot_proof = { production = "manifest" }')
    shoplet.add(GOOD)
    with open_target(shoplet.root, "production") as target:
        release = with_snapshot(target, shoplet.approve())
        assert release.plan.proof == "manifest"
        assert release.done(STEP)["proof"] == "manifest"  # type: ignore[index]
        assert oid(target.dsn, restored_name(release)) is None
