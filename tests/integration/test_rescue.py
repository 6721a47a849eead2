"""Rows that were set aside come back byte for byte from the files that rescue writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.errors import Refused
from faberdb.progress import silent
from faberdb.release.rescuing import rescue_release
from faberdb.rescue import rescue
from faberdb.rescue_files import Format, RescueFiles, parents_first
from faberdb.target import Target
from tests.flows.shoplet import CHANGES, GOOD, Shoplet
from tests.integration.releasing import begin, begin_undo, end_undo, land, read, write
from tests.integration.test_undo_in_place import REMARKS, end_in_place, fail

ODD = """
CREATE SCHEMA "Sch; DROP";
CREATE TABLE "Sch; DROP"."Ünïcode "" 'x'" (
  "k; 1" int GENERATED ALWAYS AS IDENTITY, k2 text, "select" text, n numeric, b bytea, j jsonb, a int[],
  t timestamptz,
  twice int GENERATED ALWAYS AS (1 + 1) STORED, PRIMARY KEY ("k; 1", k2));
CREATE TABLE loose (a int, b text);
CREATE TABLE child (id serial PRIMARY KEY, up int REFERENCES child, at int, odd int, odd2 text,
  FOREIGN KEY (odd, odd2) REFERENCES "Sch; DROP"."Ünïcode "" 'x'");
INSERT INTO "Sch; DROP"."Ünïcode "" 'x'" (k2, "select", n, b, j, a) VALUES
  ('x', 'same', 1.10, 'a', '{}', '{1}'), ('y', 'old', 2, 'b', '[1]', NULL), ('z', 'deleted', 0, '', 'null', '{}');
INSERT INTO loose VALUES (1, 'one'), (1, 'one'), (2, NULL);
"""
LATER = """
INSERT INTO "Sch; DROP"."Ünïcode "" 'x'" (k2, "select", n, b, j, a, t) VALUES
  ('x', E'tab\\tline\\nback\\\\slash ''quote'' %s {} ü',
   'NaN', '\\x00ff', '{"a": "\\"b\\""}', '{1,NULL}', '2026-01-01');
UPDATE "Sch; DROP"."Ünïcode "" 'x'" SET "select" = NULL, n = 3.30 WHERE k2 = 'y';
DELETE FROM "Sch; DROP"."Ünïcode "" 'x'" WHERE k2 = 'z';
INSERT INTO loose VALUES (1, 'one'), (3, 'three');
INSERT INTO child (up, at, odd, odd2) VALUES (NULL, 1, 4, 'x'), (1, 2, NULL, NULL);
"""


def fill(dsn: Dsn, *scripts: str) -> None:
    with connect(dsn, purpose="test") as conn:
        for script in scripts:
            conn.execute(script.encode())


def rows(dsn: Dsn) -> dict[str, list[tuple[object, ...]]]:
    with connect(dsn, purpose="test") as conn:
        return {
            t: conn.execute(f"SELECT t::text FROM {t} t ORDER BY 1".encode()).fetchall()
            for t in ('"Sch; DROP"."Ünïcode "" \'x\'"', "loose", "child")
        }


def run_files(dsn: Dsn, files: list[Path]) -> None:
    fill(dsn, *(file.read_text() for file in files))


@pytest.mark.parametrize("form", list(Format))
def test_rows_of_any_name_and_kind_come_back(create_database, tmp_path: Path, form: Format) -> None:  # type: ignore[no-untyped-def]
    aside, live = create_database("aside"), create_database("live")
    fill(aside, ODD, LATER)
    fill(live, ODD)
    files = RescueFiles(folder=tmp_path / "out", format=form)
    found = rescue(aside, live, files, leave_out=(), partial=False, progress=silent)
    odd = '"Sch; DROP"."Ünïcode "" \'x\'"'
    told = {f.table: (f.new, f.changed, f.gone) for f in found}
    assert told == {odd: (1, 1, 1), "public.child": (2, 0, 0), "public.loose": (2, 0, 0)}
    assert [f.table for f in found].index(odd) < [f.table for f in found].index("public.child"), (
        "parents first"
    )
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert all(n.isascii() and " " not in n for n in names)
    if form is Format.SQL:
        run_files(live, sorted(files.written))
        assert rows(live) == rows(aside)
        fill(live, "INSERT INTO child (at) VALUES (9)")  # the sequence is behind what came back
        assert (
            rescue(
                live,
                aside,
                RescueFiles(folder=tmp_path / "again", format=form),
                leave_out=(),
                partial=False,
                progress=silent,
            )[0].table
            == "public.child"
        )
    else:
        assert (tmp_path / "out" / names[0]).read_text().startswith("k; 1,k2,")


def test_a_table_that_only_one_of_them_has_and_columns_of_one_are_told(
    create_database: Callable[..., Dsn],
    tmp_path: Path,
) -> None:
    aside, live = create_database("aside"), create_database("live")
    fill(
        aside,
        "CREATE TABLE t (id int PRIMARY KEY, old text, extra text DEFAULT 'd')",
        "CREATE TABLE lone (x int)",
    )
    fill(live, "CREATE TABLE t (id int PRIMARY KEY, old text, mine text)")
    fill(aside, "INSERT INTO t VALUES (1, 'a', 'd'), (2, 'b', 'written')", "INSERT INTO lone VALUES (7)")
    fill(live, "INSERT INTO t VALUES (1, 'a', 'm'), (2, 'b', 'm')")
    files = RescueFiles(folder=tmp_path / "out", format=Format.SQL)
    only, t = rescue(aside, live, files, leave_out=(), partial=False, progress=silent)
    assert (only.new, only.note) == (1, "the live database has no such table")
    assert (t.new, t.changed, t.gone, t.added) == (0, 0, 0, 1)
    assert t.note == "only the set-aside table has extra; only the live table has mine"
    fill(live, "ALTER TABLE t ADD COLUMN extra text", "CREATE TABLE lone (x int)")
    run_files(live, sorted(files.written))
    with connect(live, purpose="test") as conn:
        assert conn.execute("SELECT id, extra, mine FROM t ORDER BY id").fetchall() == [
            (1, None, "m"),
            (2, "written", "m"),
        ]
        assert conn.execute("SELECT * FROM lone").fetchall() == [(7,)]


def test_what_a_restored_release_set_aside_is_rescued(
    shoplet: Shoplet, target: Target, tmp_path: Path
) -> None:
    shoplet.add(CHANGES)
    release = land(shoplet)
    write(
        target, "INSERT INTO entry VALUES (7000, 1, 1)", "UPDATE account SET owner = 'changed' WHERE id = 9"
    )
    end_undo(target, begin_undo(target, release))
    facts = rescue_release(target, release.id, tmp_path / "out", Format.SQL, silent)
    told = {t["table"]: (t["new"], t["changed"], t["gone"], t["added"]) for t in facts["tables"]}
    assert told == {"public.account": (0, 1, 0, 500), "public.entry": (1, 0, 0, 0)}
    with pytest.raises(Refused, match="not empty"):
        rescue_release(target, release.id, tmp_path / "out", Format.SQL, silent)
    run_files(target.dsn, [Path(f) for f in facts["files"] if ".added." not in f])
    assert read(target, "SELECT owner FROM account WHERE id = 9") == [("changed",)]
    assert read(target, "SELECT amount FROM entry WHERE id = 7000") == [(1,)]


def test_what_an_undo_in_place_kept_comes_back_once_the_change_is_there_again(
    shoplet: Shoplet, target: Target, tmp_path: Path
) -> None:
    shoplet.add(REMARKS)
    release = begin(shoplet, target)
    write(target, "INSERT INTO remark VALUES (1, 5, E'a\\tb')", "UPDATE account SET note = 'x' WHERE id = 3")
    end_in_place(target, fail(target, release))
    facts = rescue_release(target, release.id, tmp_path / "out", Format.SQL, silent)
    told = {t["table"]: (t["new"], t["added"]) for t in facts["tables"]}
    assert told == {"public.account": (0, 1), "public.remark": (1, 0)}
    land(shoplet)
    run_files(target.dsn, [Path(f) for f in facts["files"]])
    assert read(target, "SELECT * FROM remark") == [(1, 5, "a\tb")]
    assert read(target, "SELECT id, level FROM account WHERE note = 'x'") == [(3, 1)]


def test_a_release_that_set_nothing_aside_has_nothing_to_rescue(
    shoplet: Shoplet, target: Target, tmp_path: Path
) -> None:
    shoplet.add(GOOD)
    release = land(shoplet)
    with pytest.raises(Refused, match="set nothing aside"):
        rescue_release(target, release.id, tmp_path / "out", Format.SQL, silent)


def test_tables_come_after_those_they_point_to_also_in_a_circle() -> None:
    assert parents_first(["a", "b", "c"], [("a", "b"), ("b", "c")]) == ["c", "b", "a"]
    assert parents_first(["a", "b", "c"], [("a", "b"), ("b", "a"), ("c", "a")]) == ["a", "b", "c"]
