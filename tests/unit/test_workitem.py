from __future__ import annotations

from pathlib import Path

import pytest

from faberdb.config.phases import DetectionPatterns
from faberdb.errors import Refused
from faberdb.workitem import WorkItem, detect, read_work_item

PATTERNS = DetectionPatterns()


def test_a_markdown_work_item_is_read(tmp_path: Path) -> None:
    path = tmp_path / "item.md"
    path.write_text(
        "# SHOP-42: Loyalty points\n\nLabels: database, feature\nRequested by: Priya Nair\n\nA table.\n"
    )
    assert read_work_item(path) == WorkItem(
        id="SHOP-42",
        title="Loyalty points",
        labels=("database", "feature"),
        requester="Priya Nair",
        description="A table.",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("item.toml", 'id = "A-1"\ntitle = "T"\nlabels = ["db"]\nrequester = "P"\ndescription = "D"'),
        ("item.json", '{"id": "A-1", "title": "T", "labels": ["db"], "requester": "P", "description": "D"}'),
    ],
)
def test_toml_and_json_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_work_item(tmp_path / name) == WorkItem(
        id="A-1", title="T", labels=("db",), requester="P", description="D"
    )


@pytest.mark.parametrize(("name", "text"), [("a.md", "no heading"), ("a.json", "[]"), ("a.toml", "x = 1")])
def test_what_is_no_work_item_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Refused, match="not a work item"):
        read_work_item(tmp_path / name)


def test_a_missing_work_item_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no work item"):
        read_work_item(tmp_path / "none.md")


def test_a_new_revision_is_certain() -> None:
    found = detect(WorkItem(title="Fix a typo"), PATTERNS, new_revisions=1)
    assert (found.database_work, found.confidence) == (True, 1.0)


def test_a_title_that_names_the_schema_is_database_work() -> None:
    assert detect(WorkItem(title="Change the schema of orders"), PATTERNS, new_revisions=0).database_work


def test_words_inside_other_words_do_not_count() -> None:
    found = detect(WorkItem(title="Make the portable thing indexable"), PATTERNS, new_revisions=0)
    assert not found.database_work
    assert found.confidence == 1.0


def test_one_weak_sign_is_not_enough_and_lowers_the_confidence() -> None:
    item = WorkItem(title="Docs", description="Explain what a migration is")
    found = detect(item, PATTERNS, new_revisions=0)
    assert not found.database_work
    assert found.confidence == pytest.approx(0.7)
