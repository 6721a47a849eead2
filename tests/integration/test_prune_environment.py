from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from faberdb.errors import Refused, SnapshotUnusable
from faberdb.ledger import Kind
from faberdb.progress import silent
from faberdb.pruning import Pruning, prune_environment
from faberdb.release.execution import take_environment_snapshot
from faberdb.release.record import Outcome
from faberdb.target import Target, open_target
from faberdb.verifying import Level, verify_snapshot
from tests.flows.shoplet import Shoplet
from tests.integration.releasing import begin, begin_undo, end_undo, land

NOTE = {"0003_note": "ALTER TABLE account ADD COLUMN note text;"}
LABEL = {"0004_label": "ALTER TABLE account ADD COLUMN label text;"}
MONTH = timedelta(days=30)  # what snapshots and databases are kept for, unless the configuration says other
LATER = timedelta(days=31)


def take(target: Target, *ids: str) -> list[str]:
    """Take snapshots; their ids are unique, because tests share a store."""
    full = [f"{target.project.name}-{id_}" for id_ in ids]
    for id_ in full:
        take_environment_snapshot(target, id_, note=silent)
    return full


def kept(target: Target) -> set[str]:
    return {m.id for m in target.store.list(target.project.name, target.name)}


def prune(target: Target, *, ahead: timedelta, dry_run: bool = False) -> Pruning:
    return prune_environment(target, silent, now=datetime.now(UTC) + ahead, dry_run=dry_run)


def pruned(target: Target) -> list[dict[str, object]]:
    return [dict(e.body) for e in target.ledger.entries(environment=target.name, kind=Kind.PRUNED)]


def test_within_its_retention_nothing_goes_and_nothing_is_written(target: Target) -> None:
    ids = take(target, "a", "b")
    assert prune_environment(target, silent) == Pruning(snapshots=(), databases=())
    assert kept(target) == set(ids)
    assert pruned(target) == []


@pytest.mark.parametrize("days", [0, -1])
def test_a_snapshot_that_would_be_past_its_retention_at_once_is_not_taken(target: Target, days: int) -> None:
    with pytest.raises(Refused, match="cannot be kept"):
        take_environment_snapshot(target, f"{target.project.name}-a", note=silent, retention_days=days)
    assert kept(target) == set()


def test_past_it_all_but_the_newest_go(target: Target) -> None:
    old, older, newest = take(target, "a", "b", "c")
    assert prune(target, ahead=LATER).snapshots == (old, older)
    assert kept(target) == {newest}
    (told,) = pruned(target)
    assert (told["snapshots"], told["databases"]) == ([old, older], [])


def test_a_dry_run_chooses_the_same_and_changes_nothing(target: Target) -> None:
    old, newest = take(target, "a", "b")
    assert prune(target, ahead=LATER, dry_run=True).snapshots == (old,)
    assert kept(target) == {old, newest}
    assert pruned(target) == []


def test_the_ledger_has_it_before_it_is_gone(target: Target) -> None:
    old, newest = take(target, "a", "b")

    def die(note: str) -> None:
        assert pruned(target), note
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune_environment(target, die, now=datetime.now(UTC) + LATER)
    assert kept(target) == {old, newest}
    assert prune(target, ahead=LATER).snapshots == (old,), "the next one ends the work"
    assert kept(target) == {newest}


def test_snapshots_of_another_environment_and_project_stay(shoplet: Shoplet, target: Target) -> None:
    _, newest = take(target, "a", "b")
    take_environment_snapshot(target, f"{shoplet.name}-c", note=silent)
    with open_target(shoplet.root, "staging") as staging:
        assert prune(staging, ahead=LATER) == Pruning(snapshots=(), databases=())
    assert newest in kept(target)


def test_what_an_open_release_needs_stays(shoplet: Shoplet, target: Target) -> None:
    (first,) = take(target, "a")
    shoplet.add(NOTE)
    release = begin(shoplet, target)
    needed = release.steps["snapshot"].outcome["snapshot"]
    (newest,) = take(target, "b")
    assert release.open
    assert prune(target, ahead=LATER).snapshots == (first,)
    assert kept(target) == {needed, newest}


def test_what_the_newest_release_could_be_taken_back_with_stays(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(NOTE)
    first = land(shoplet)
    shoplet.add(LABEL)
    second = land(shoplet)
    (newest,) = take(target, "a")
    assert prune(target, ahead=LATER).snapshots == (f"{first.id}-before",)
    assert kept(target) == {f"{second.id}-before", newest}


def test_a_set_aside_database_stays_its_retention_long_from_the_exchange(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(NOTE)
    release = end_undo(target, begin_undo(target, land(shoplet)))
    assert release.outcome is Outcome.ROLLED_BACK
    aside = release.steps["swap"].outcome["aside"]
    exchanged = release.steps["swap"].at
    assert exchanged > release.opened_at
    before = shoplet.state()

    def at(moment: datetime) -> tuple[str, ...]:
        return prune_environment(target, silent, now=moment).databases

    assert at(release.opened_at + MONTH + timedelta(milliseconds=1)) == ()
    assert at(exchanged + MONTH) == ()
    assert aside in shoplet.databases()
    assert at(exchanged + MONTH + timedelta(milliseconds=1)) == (aside,)
    assert aside not in shoplet.databases()
    assert shoplet.state() == before, "the live database is another one"
    assert at(exchanged + 2 * MONTH) == (), "what is gone is not dropped again"


def test_a_database_of_an_undo_that_has_not_ended_stays(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(NOTE)
    release = begin_undo(target, land(shoplet))
    aside = release.steps["swap"].outcome["aside"]
    assert prune(target, ahead=timedelta(days=400)).databases == ()
    assert aside in shoplet.databases()
    ended = end_undo(target, release)
    assert (ended.done("count later rows") or {})["tables"] == {}


def test_the_database_that_is_kept_longer_by_the_configuration_is(shoplet: Shoplet) -> None:
    shoplet.add(NOTE)
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + "\n[backup]\nretention_days = 60\n")
    with open_target(shoplet.root, "production") as target:
        end_undo(target, begin_undo(target, land(shoplet)))
        assert prune(target, ahead=LATER).databases == ()
        assert len(prune(target, ahead=2 * LATER).databases) == 1


def test_the_newest_that_is_whole_and_the_newest_that_a_restore_proved_stay_too(target: Target) -> None:
    """The newest of all lost a file, and the one before it was found corrupt on purpose."""
    gone, proven, whole, corrupt, newest = take(target, "a", "b", "c", "d", "e")
    verify_snapshot(target, proven, Level.RESTORE, silent)
    store = target.project.home / "snapshots"
    (store / corrupt / "dump" / "toc.dat").write_bytes(
        bytes((store / corrupt / "dump" / "toc.dat").stat().st_size)
    )
    (store / newest / "schema.json").unlink()
    with pytest.raises(SnapshotUnusable, match="is corrupt"):
        verify_snapshot(target, corrupt, Level.MANIFEST, silent)
    found = prune(target, ahead=LATER)
    assert found.snapshots == (gone, corrupt)
    assert found.kept == {
        newest: "the newest",
        whole: "the newest that is whole",
        proven: "the newest that a restore proved",
    }


def test_what_a_dead_process_left_of_a_snapshot_goes_when_it_is_old(target: Target) -> None:
    (whole,) = take(target, "a")
    left = f"{target.project.name}-left"
    (target.store.begin(left) / "half").write_bytes(b"half")
    assert prune(target, ahead=timedelta(days=6)).unfinished == ()
    assert left in prune(target, ahead=timedelta(days=8)).unfinished
    assert left not in {u.id for u in target.store.unfinished()}
    assert kept(target) == {whole}
