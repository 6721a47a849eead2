"""Going back by hand: to before a release, to a revision, to a snapshot."""

from __future__ import annotations

import pytest

from faberdb.errors import Refused
from faberdb.progress import silent
from faberdb.release import execution
from faberdb.release.going_back import Part, way_to
from faberdb.release.record import Release
from faberdb.release.restoration import open_restoration
from faberdb.release.undo_preview import preview_parts
from faberdb.target import Target, open_target
from tests.flows.shoplet import CHANGES, Shoplet
from tests.integration.releasing import begin_undo, end_undo, land, read, write

MORE = {"0004_more": "CREATE TABLE more (id int PRIMARY KEY);"}
LAST = {"0005_last": "CREATE TABLE last (id int PRIMARY KEY);"}


def landed(shoplet: Shoplet, *changes: dict[str, str]) -> list[Release]:
    found = []
    for change in changes:
        shoplet.add(change)
        found.append(land(shoplet))
    return found


def test_one_release_is_taken_back_by_its_own_way(shoplet: Shoplet, target: Target) -> None:
    first, second = landed(shoplet, CHANGES, MORE)
    assert way_to(target, revision="0003_kind") == (Part(release=second.id),)
    (preview,) = preview_parts(target, way_to(target, revision="0003_kind"))
    assert (preview["way"], preview["statements"]) == ("inverse", ["DROP TABLE public.more"])
    assert way_to(target, release=first.id) == (Part(release=first.id),)


def test_several_that_only_added_go_one_by_one_and_others_by_one_snapshot(
    shoplet: Shoplet, target: Target
) -> None:
    changed, more, last = landed(shoplet, CHANGES, MORE, LAST)
    assert way_to(target, revision="0003_kind") == (Part(release=last.id), Part(release=more.id))
    both = preview_parts(target, way_to(target, revision="0003_kind"))
    assert [p["way"] for p in both] == ["inverse", "inverse"]
    snapshot = (changed.done("snapshot") or {})["snapshot"]
    assert way_to(target, revision="0002_entry") == (Part(snapshot=snapshot),)
    write(target, "INSERT INTO entry VALUES (9000, 1, 1)")
    (preview,) = preview_parts(target, way_to(target, revision="0002_entry"))
    assert preview["revisions"] == ["0003_kind", "0004_more", "0005_last"]
    assert preview["rows_that_differ"] == {"public.entry": "1000 then, 1001 now"}


def test_all_is_as_it_was_at_the_revision_and_the_tracking_table_says_so(
    shoplet: Shoplet, target: Target
) -> None:
    before = shoplet.state()
    landed(shoplet, CHANGES, MORE)
    (part,) = way_to(target, revision="0002_entry")
    wished = open_restoration(target, part.snapshot, requester="Priya")
    end_undo(target, begin_undo(target, wished))
    assert shoplet.state() == before
    assert read(target, "SELECT migration_name FROM _prisma_migrations ORDER BY 1") == [
        ("0001_account",),
        ("0002_entry",),
    ]
    with pytest.raises(Refused, match="nothing to take back"):
        way_to(target, revision="0002_entry")


def test_what_died_on_its_way_back_comes_first(shoplet: Shoplet, target: Target) -> None:
    landed(shoplet, CHANGES, MORE)
    (part,) = way_to(target, revision="0002_entry")
    wished = open_restoration(target, part.snapshot, requester="Priya")
    begin_undo(target, wished)
    assert way_to(target, revision="0002_entry") == (part,), "though the revision is the last one already"


def test_the_newest_snapshot_that_holds_the_state_is_taken(shoplet: Shoplet, target: Target) -> None:
    landed(shoplet, CHANGES)
    execution.take_environment_snapshot(target, f"{target.project.name}-friday", note=silent)
    landed(shoplet, {"0004_touch": "UPDATE entry SET amount = 1 WHERE id = 1;"}, LAST)
    (part,) = way_to(target, revision="0003_kind")
    assert "friday" not in part.snapshot, "the one before the next release is younger"
    assert target.store.manifest(part.snapshot).revisions[-1] == "0003_kind"


@pytest.mark.parametrize(
    ("revision", "match"),
    [
        ("0009_nowhere", "is unknown"),
        ("0004_more", "not applied in production"),
        ("0003_kind", "is the last applied revision"),
        ("0001_account", "holds exactly the revisions up to 0001_account"),
    ],
)
def test_a_revision_that_cannot_be_gone_back_to_is_refused_with_a_clear_word(
    shoplet: Shoplet, revision: str, match: str
) -> None:
    landed(shoplet, CHANGES)
    shoplet.add(MORE)
    with open_target(shoplet.root, "production") as target, pytest.raises(Refused, match=match):
        way_to(target, revision=revision)


def test_only_one_place_is_gone_back_to(target: Target) -> None:
    with pytest.raises(Refused, match="three places"):
        way_to(target, release="r", revision="0001_account")
