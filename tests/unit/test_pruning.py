from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from faberdb.pruning import expired_databases, expired_snapshots
from faberdb.snapshot.manifest import Manifest
from tests.unit.test_snapshot_manifest import MANIFEST

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
MOMENT = timedelta(microseconds=1)


def taken(id_: str, ago: timedelta, *, kept_days: int = 30) -> Manifest:
    return replace(MANIFEST, id=id_, created_at=NOW - ago, retention_days=kept_days)


def gone(*manifests: Manifest, needed: tuple[str, ...] = ()) -> tuple[str, ...]:
    return expired_snapshots(manifests, now=NOW, needed=needed)


def test_of_no_snapshots_none_go() -> None:
    assert gone() == ()


def test_what_is_past_its_retention_goes_oldest_first() -> None:
    assert gone(
        taken("new", timedelta(0)), taken("old", timedelta(days=40)), taken("oldest", timedelta(days=50))
    ) == ("oldest", "old")


def test_the_newest_stays_whatever_its_age() -> None:
    assert gone(taken("a", timedelta(days=400)), taken("b", timedelta(days=300))) == ("a",)
    assert gone(taken("only", timedelta(days=4000))) == ()


def test_what_something_still_needs_stays() -> None:
    old = [taken("a", timedelta(days=50)), taken("b", timedelta(days=40))]
    assert gone(*old, taken("new", timedelta(0)), needed=("a", "")) == ("b",)


def test_each_snapshot_has_the_retention_it_was_taken_with() -> None:
    safety = taken("safety", timedelta(days=40), kept_days=90)
    plain = taken("plain", timedelta(days=40))
    assert gone(safety, plain, taken("new", timedelta(0))) == ("plain",)


def test_a_snapshot_stays_to_the_last_moment_of_its_retention() -> None:
    new = taken("new", timedelta(0))
    assert gone(taken("old", MONTH), new) == ()
    assert gone(taken("old", MONTH + MOMENT), new) == ("old",)


def test_a_database_stays_to_the_last_moment_of_its_retention() -> None:
    aside = {"just": NOW - MONTH, "past": NOW - MONTH - MOMENT, "fresh": NOW}
    assert expired_databases(aside, now=NOW, retention=MONTH) == ("past",)
    assert expired_databases({}, now=NOW, retention=MONTH) == ()
