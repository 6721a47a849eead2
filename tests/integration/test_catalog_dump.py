"""A catalogue is as exact as a dump: two are equal when, and only when, `pg_dump --schema-only` writes the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, event, given, settings

from faberdb.catalog import Schema, describe, differences, read_schema
from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.embedded import client_program
from faberdb.snapshot.programs import dump_schema, restore
from faberdb.subprocesses import run_program
from tests.integration.ddl import BEGINNING, statements

State = tuple[Schema, str]  # of one moment, the catalogue and the normalised dump


def state(conn: Connection, dsn: Dsn) -> State:
    dumped = run_program(
        [client_program("pg_dump"), "--schema-only", "--no-sync"],
        environment=dsn.process_environment(),
        timeout_s=30,
        what="pg_dump",
    )
    return read_schema(conn), normalised(dumped.output)


def normalised(dump: str) -> str:
    """The statements in one order, and each table's columns and checks in one, without names that are invented."""
    kept = "\n".join(
        line
        for line in dump.splitlines()
        if line and not re.match(r"--|SET |SELECT pg_catalog.set_config|\\", line)
    )
    return "\n".join(sorted(_normal(s) for s in re.split(r";\n", kept + "\n")))


def _normal(statement: str) -> str:
    statement = re.sub(r"CONSTRAINT (?:\w+|\"(?:[^\"]|\"\")*\") NOT NULL", "NOT NULL", statement)
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


@given(script=statements(most=16))
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
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
    schema, restored = states[-2][0], states[-1][0]

    assert [describe(d) for d in differences(schema, restored)] == []
    for i, (one, dump) in enumerate(states):
        for other, another_dump in states[i + 1 :]:
            assert (one.fingerprint == other.fingerprint) is (dump == another_dump), differing(one, other)


def differing(one: Schema, other: Schema) -> list[str]:
    return [describe(d) for d in differences(one, other)]
