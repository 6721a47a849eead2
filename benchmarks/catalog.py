"""Reading a schema of many tables, against `pg_dump --schema-only`. See README.md in this folder."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from faberdb.catalog import Schema, differences, read_schema
from faberdb.connection import connect
from faberdb.databases import ensure_database
from faberdb.dsn import Dsn
from faberdb.embedded import client_program, start_server, stop_server

_BATCH: Final = 200  # tables in a transaction: each holds a lock until it ends
_TARGET: Final = 3.0
_TARGET_DIFFERENCE_S: Final = 2.0
_TWICE: Final = """
import psycopg
from faberdb.catalog import differences, read_schema
with psycopg.connect(autocommit=True) as conn:
    differences(read_schema(conn), read_schema(conn))
"""
# A process begins with the peak of the one that started it, so a small one has to.
_LAUNCH: Final = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def main() -> None:
    """Make the database, take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5, help="measured, after one that is not")
    parser.add_argument("--unlike", action="store_true", help="no two tables with the same columns")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faber-db-benchmark-") as folder:
        home = Path(folder)
        server = start_server(home)
        try:
            make = _table_of_its_own if given.unlike else _table
            _measure(server.with_database("catalog"), given.tables, given.rounds, make)
        finally:
            stop_server(home)


def _measure(dsn: Dsn, tables: int, rounds: int, make: Callable[[int], str]) -> None:
    create_tables(dsn, tables, make)
    ours, theirs, schema = _rounds(dsn, rounds)
    memory = {name: _peak(dsn, command) for name, command in _commands(dsn).items()}
    with connect(dsn, purpose="benchmark") as conn:
        conn.execute("ALTER TABLE t7 ADD COLUMN more int; DROP INDEX t8_amount_idx")
        other = read_schema(conn)
    began = time.perf_counter()
    found = len(differences(schema, other))
    took = time.perf_counter() - began
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"{len(schema.objects):,} objects of {tables:,} tables, {rounds} rounds\n")
    print("| | min s | median s | max s | peak MB |\n| --- | --: | --: | --: | --: |")
    for (name, peak), seconds in zip(memory.items(), (ours, theirs), strict=True):
        row = (min(seconds), statistics.median(seconds), max(seconds))
        print(f"| {name} | {' | '.join(f'{s:.2f}' for s in row)} | {peak:.0f} |")
    print(f"\npg_dump / ours: {ratio:.1f} (target {_TARGET:g})")
    print(f"difference of two, {found} objects differ: {took:.2f} s (target {_TARGET_DIFFERENCE_S:g})")


def create_tables(dsn: Dsn, tables: int, make: Callable[[int], str] | None = None) -> None:
    """A database with so many tables, without rows."""
    make = make or _table
    ensure_database(dsn)
    with connect(dsn, purpose="benchmark") as conn:
        conn.execute("SET synchronous_commit = off")
        for first in range(0, tables, _BATCH):
            conn.execute("".join(make(n) for n in range(first, min(first + _BATCH, tables))).encode())
        conn.execute("VACUUM ANALYZE")


def _rounds(dsn: Dsn, rounds: int) -> tuple[list[float], list[float], Schema]:
    """Seconds of ours and theirs in turns; each opens a connection of its own, whose caches are empty."""
    ours, theirs = list[float](), list[float]()
    for _ in range(rounds + 1):
        began = time.perf_counter()
        with connect(dsn, purpose="benchmark") as conn:
            schema = read_schema(conn)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        subprocess.run(_dump(dsn), env=dsn.process_environment(), check=True)
        theirs.append(time.perf_counter() - began)
    return ours[1:], theirs[1:], schema


def _dump(dsn: Dsn) -> list[str]:
    return [str(client_program("pg_dump")), "--schema-only", "--file=/dev/null", f"--dbname={dsn.database}"]


def _commands(dsn: Dsn) -> dict[str, list[str]]:
    """Both as processes of their own; ours holds two schemas and compares them."""
    return {"read_schema": [sys.executable, "-c", _TWICE], "pg_dump --schema-only": _dump(dsn)}


def _peak(dsn: Dsn, command: list[str]) -> float:
    """Megabytes that the process had resident at most; the server's are not in it."""
    launched = subprocess.run(
        [sys.executable, "-c", _LAUNCH, *command],
        env=os.environ | dsn.process_environment(),
        check=True,
        capture_output=True,
    )
    return int(launched.stdout) / 1024


def _table(number: int) -> str:
    """A table with a key, an index, a check, defaults, and a reference to the one before."""
    return _with_amount(number, "amount")


def _table_of_its_own(number: int) -> str:
    """The same, with a column that no other table has in the check and in the index's condition."""
    return _with_amount(number, f"amount_{number}")


def _with_amount(number: int, amount: str) -> str:
    reference = f"REFERENCES t{number - 1}" if number else ""
    return (
        f"CREATE TABLE t{number} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, before bigint {reference},"
        f" name text NOT NULL DEFAULT '', {amount} numeric(12, 2) CHECK ({amount} >= 0),"
        " at timestamptz NOT NULL DEFAULT now());"
        f"CREATE INDEX t{number}_amount_idx ON t{number} ({amount}) WHERE {amount} > 0;"
    )


if __name__ == "__main__":
    main()
