"""A change in each kind of object is seen and named; a dump and restore of them all is no change."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec import Struct

from faberdb.catalog import KINDS, Difference, Schema, describe, differences, kind_of, read_schema
from faberdb.connection import connect, run
from faberdb.databases import drop_database, ensure_database
from faberdb.dsn import Dsn
from faberdb.snapshot.programs import dump_schema, restore
from tests.integration.catalog_changes import CASES, Case, statements
from tests.older_server import OlderServer

PLACES = {label: f"case_{number}_" for number, label in enumerate(CASES)}


class Seen(Struct, frozen=True, kw_only=True):
    """Every case at once, each in a schema of its own."""

    cases: dict[str, Case]  # those that the server's version knows
    before: Schema
    after: Schema
    restored: Schema  # from a dump of what is after


@pytest.fixture(scope="module", params=["embedded", "older"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """On the embedded PostgreSQL, and on an older one where it is installed."""
    if request.param == "embedded":
        server: Dsn = request.getfixturevalue("server")
    else:
        older: OlderServer = request.getfixturevalue("older")
        server = older.dsn
    origin, copy = (server.with_database(f"t_{n}_{uuid.uuid4().hex[:8]}") for n in ("origin", "copy"))
    archive = tmp_path_factory.mktemp("kinds") / "archive"
    with ExitStack() as made:
        for database in (origin, copy):
            ensure_database(database)
            made.callback(drop_database, database)
        cases, before, after = changed(origin)
        yield Seen(cases=cases, before=before, after=after, restored=restored(origin, copy, archive))


def changed(origin: Dsn) -> tuple[dict[str, Case], Schema, Schema]:
    with connect(origin, purpose="test") as conn:
        version = conn.info.server_version // 10000
        cases = {label: case for label, case in CASES.items() if version >= case.since}
        for label, case in cases.items():
            place = PLACES[label]
            run(conn, "CREATE SCHEMA {place}", place=place)
            run(conn, "SET search_path = {place}, public", place=place)
            conn.execute(statements(case.setup, place).encode())
        before = read_schema(conn)
        for label, case in cases.items():
            place = PLACES[label]
            run(conn, "SET search_path = {place}, public", place=place)
            conn.execute(statements(case.change, place).encode())
        return cases, before, read_schema(conn)


def restored(origin: Dsn, copy: Dsn, archive: Path) -> Schema:
    dump_schema(origin, archive, timeout_s=60)
    with connect(copy, purpose="test") as conn:
        restore(archive, copy, server_version=conn.info.server_version, with_roles=True, timeout_s=60)
        return read_schema(conn)


def test_a_change_in_each_kind_of_object_is_seen_and_named(seen: Seen) -> None:
    found: dict[str, set[str]] = {}
    for difference in differences(seen.before, seen.after):
        found.setdefault(label_of(difference), set()).add(difference.object)
    wanted = {
        label: {statements(name, PLACES[label]) for name in case.seen} for label, case in seen.cases.items()
    }

    assert found == wanted


def label_of(difference: Difference) -> str:
    """Its case: the name of the schema is in the object's, or in what is said of it."""
    said = f"{difference.object} {difference.before} {difference.after}"
    place = re.search(r"case_\d+_", said)
    return next((label for label, p in PLACES.items() if place and p == place.group()), said)


def test_a_difference_is_said_in_one_line_without_a_servers_password(seen: Seen) -> None:
    lines = [describe(d) for d in differences(seen.before, seen.after)]

    assert not [line for line in lines if "\n" in line or "hush" in line]


def test_a_dump_and_restore_is_no_change(seen: Seen) -> None:
    assert [describe(d) for d in differences(seen.after, seen.restored)] == []
    assert seen.after.fingerprint == seen.restored.fingerprint


def test_every_kind_of_object_has_a_case() -> None:
    told = {
        kind_of(re.sub(r"^comment on index of .*", "comment on x", name))
        for c in CASES.values()
        for name in c.seen
    }
    assert set(KINDS) - told == {"column order of"}  # told to those who ask
