"""Template snapshots: copies of an idle database on its own server, with the manifest of any snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from faberdb.connection import connect, run
from faberdb.databases import database_exists, drop_database, list_databases, maintenance
from faberdb.dsn import Dsn
from faberdb.errors import Refused, SnapshotUnusable
from faberdb.progress import silent
from faberdb.pruning import prune_environment
from faberdb.release.execution import take_environment_snapshot
from faberdb.snapshot.manifest import SnapshotKind
from faberdb.snapshot.restore import restore_beside
from faberdb.snapshot.store import LocalStore
from faberdb.snapshot.take import take_snapshot
from faberdb.snapshot.template import copy_name, create_closed, take_template
from faberdb.target import open_target
from tests.flows.shoplet import Shoplet
from tests.integration.test_snapshot_restore import beside
from tests.integration.test_snapshot_take import request, shop, store

__all__ = ["beside", "shop", "store"]


@pytest.fixture
def copy(shop: Dsn) -> Iterator[Dsn]:
    """The database that the snapshot's rows are in."""
    dsn = shop.with_database(copy_name(shop.database, "rel-1-before"))
    yield dsn
    drop_database(dsn)


def test_an_idle_database_is_copied_with_the_manifest_of_a_dump_and_comes_back(
    shop: Dsn, store: LocalStore, copy: Dsn, beside: Dsn
) -> None:
    dumped = take_snapshot(shop, store, request("dumped"))
    taken = take_template(shop, store, request())
    assert taken is not None
    assert (taken.kind, taken.copy) == (SnapshotKind.TEMPLATE, copy.database)
    for same in ("schema_fingerprint", "row_counts", "checksums", "sequences", "roles", "server_version"):
        assert getattr(taken, same) == getattr(dumped, same), same
    assert take_template(shop, store, request()) == taken
    with connect(shop, purpose="tests") as conn:
        conn.execute("DELETE FROM orders")
    proof = restore_beside(store, taken.id, beside, live=shop)
    assert (proof.fingerprint_equal, proof.rows_equal, proof.checksums_equal) == (True, True, True)
    with pytest.raises(Refused), connect(copy, purpose="tests"):
        pass  # nobody changes it


def test_a_database_that_others_use_is_not_copied(shop: Dsn, store: LocalStore, copy: Dsn) -> None:
    with connect(shop, purpose="an application"):
        assert take_template(shop, store, request()) is None
    assert not database_exists(copy)
    assert not store.holds("rel-1-before")


def test_a_copy_whose_maker_died_before_it_was_marked_is_made_anew(
    shop: Dsn, store: LocalStore, copy: Dsn, beside: Dsn
) -> None:
    for left in (copy, beside):
        assert create_closed(left, template=shop.database, timeout_s=60)
    assert take_template(shop, store, request()) is not None
    assert restore_beside(store, "rel-1-before", beside, live=shop).rows_equal


def test_a_copy_that_is_gone_or_another_is_refused_by_name(
    shop: Dsn, store: LocalStore, copy: Dsn, beside: Dsn
) -> None:
    take_template(shop, store, request())
    with maintenance(shop, purpose="tests") as conn:
        run(conn, "COMMENT ON DATABASE {d} IS 'mine'", d=copy.database)
    with pytest.raises(SnapshotUnusable, match="belongs to something else"):
        restore_beside(store, "rel-1-before", beside, live=shop)
    drop_database(copy)
    with pytest.raises(SnapshotUnusable, match="is not there"):
        restore_beside(store, "rel-1-before", beside, live=shop)
    assert not database_exists(beside)


def test_an_environment_that_wants_copies_gets_them_and_prune_removes_them(shoplet: Shoplet) -> None:
    config = shoplet.root / "faber-db.toml"
    text = config.read_text().replace("[environments.staging]", "[environments.production]", 1)
    text = text.replace("[environments.production]\nrequire", "[environments.final]\nrequire", 1)
    config.write_text(
        text
        + '\n[backup]\ntemplates = ["production", "final"]\n[safety]\nprotected_environments = ["final"]\n'
    )
    with open_target(shoplet.root, "production") as target:
        assert not target.project.environment("final").policy.templates, "a protected one never"
        taken = [take_environment_snapshot(target, f"{shoplet.name}-{n}", note=silent) for n in (1, 2)]
        assert [target.store.manifest(t["snapshot"]).kind for t in taken] == [SnapshotKind.TEMPLATE] * 2
        copies = [target.store.manifest(t["snapshot"]).copy for t in taken]
        assert set(copies) <= set(list_databases(target.dsn))
        pruned = prune_environment(target, silent, now=datetime.now(UTC) + timedelta(days=400))
        assert pruned.snapshots == (f"{shoplet.name}-1",), "the newest stays"
        assert set(copies) & set(list_databases(target.dsn)) == {copies[1]}
