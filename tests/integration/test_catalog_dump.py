"""A catalogue is as exact as a dump: two are equal when, and only when, `pg_dump --schema-only` writes the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from msgspec import Struct

from faberdb.catalog import Schema, describe, differences, read_schema
from faberdb.catalog.spelling import canonical_function
from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.embedded import client_program
from faberdb.snapshot.programs import dump_schema, restore
from faberdb.subprocesses import run_program
from tests.integration.ddl import BEGINNING, statements


class State(Struct, frozen=True, kw_only=True):
    """A database at one moment: its catalogue, and what a dump says of it."""

    schema: Schema
    dump: str
    ordered: Schema  # the same with the order of columns
    ordered_dump: str


def state(conn: Connection, dsn: Dsn) -> State:
    dumped = run_program(
        [client_program("pg_dump"), "--schema-only", "--no-sync"],
        environment=dsn.process_environment(),
        timeout_s=30,
        what="pg_dump",
    )
    said = statements_of(dumped.output)
    return State(
        schema=read_schema(conn),
        dump="\n".join(columns_by_name(s) for s in said),
        ordered=read_schema(conn, column_order=True),
        ordered_dump="\n".join(said),
    )


def statements_of(dump: str) -> list[str]:
    """What a dump says, in one order.

    Left out are the names of NOT NULLs, which are mostly invented, and comments on extensions, which come with their
    files; a cast of an array is spelled in one way.
    """
    noise = re.compile(r"--|SET |SELECT pg_catalog.set_config|\\")
    kept = "\n".join(line for line in dump.splitlines() if line and not noise.match(line))
    said = (canonical_function(s.strip()) for s in re.split(r";\n", kept + "\n"))
    return sorted(_NOT_NULL.sub("NOT NULL", s) for s in said if not s.startswith("COMMENT ON EXTENSION"))


_NOT_NULL = re.compile(r'CONSTRAINT (?:\w+|"(?:[^"]|"")*") NOT NULL')


def columns_by_name(statement: str) -> str:
    if not re.match(r"CREATE (UNLOGGED |FOREIGN )?TABLE ", statement):
        return statement
    head, *lines = statement.splitlines()
    return "\n".join([head, *sorted(line.rstrip(",") for line in lines)])


def run_all(conn: Connection, dsn: Dsn, script: list[str]) -> list[State]:
    """The states after each statement that the server took."""
    conn.execute(BEGINNING)
    states = [state(conn, dsn)]
    for statement in script:
        try:
            conn.execute(statement.encode())
        except psycopg.Error:
            continue
        states.append(state(conn, dsn))
    event(f"{len(states) - 1} of {len(script)} statements taken")
    return states


@given(script=statements(most=20))
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # each try takes seconds: too slow to make an example smaller
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_random_ddl_reads_as_it_dumps_and_a_restore_is_equal(
    create_database: Callable[..., Dsn], tmp_path_factory: pytest.TempPathFactory, script: list[str]
) -> None:
    origin, copy = create_database("origin"), create_database("copy")
    archive: Path = tmp_path_factory.mktemp("dump") / "archive"
    with connect(origin, purpose="test") as conn:
        states = run_all(conn, origin, script)
    dump_schema(origin, archive, timeout_s=60)
    with connect(copy, purpose="test") as conn:
        restore(archive, copy, server_version=conn.info.server_version, with_roles=True, timeout_s=60)
        states.append(state(conn, copy))
    before, restored = states[-2:]

    assert differing(before, restored) == []
    for one, other in combinations(states, 2):
        assert (one.schema == other.schema) is (one.dump == other.dump), differing(one, other)
        assert (one.ordered == other.ordered) is (one.ordered_dump == other.ordered_dump), differing(
            one, other
        )


def differing(one: State, other: State) -> list[str]:
    return [describe(d) for d in differences(one.ordered, other.ordered)]
