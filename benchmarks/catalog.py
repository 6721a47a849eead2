"""Reading a schema of many tables, against `pg_dump --schema-only`. See README.md in this folder."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Final

from faberdb.catalog import Schema, differences, read_schema
from faberdb.connection import Connection, connect
from faberdb.databases import ensure_database
from faberdb.dsn import Dsn
from faberdb.embedded import client_program, start_server, stop_server

_BATCH: Final = 200  # tables in a transaction: each holds a lock until it ends
_TARGET: Final = 3.0
_TARGET_DIFFERENCE_S: Final = 2.0


def main() -> None:
    """Make the database, take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5, help="measured, after one that is not")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faber-db-benchmark-") as folder:
        home = Path(folder)
        server = start_server(home)
        try:
            _measure(server.with_database("catalog"), given.tables, given.rounds)
        finally:
            stop_server(home)


def _measure(dsn: Dsn, tables: int, rounds: int) -> None:
    ensure_database(dsn)
    with connect(dsn, purpose="benchmark") as conn:
        conn.execute("SET synchronous_commit = off")
        for first in range(0, tables, _BATCH):
            conn.execute("".join(_table(n) for n in range(first, min(first + _BATCH, tables))).encode())
        conn.execute("VACUUM ANALYZE")
        ours, theirs, schema = _rounds(dsn, conn, rounds)
        conn.execute("ALTER TABLE t7 ADD COLUMN more int; DROP INDEX t8_amount_idx")
        other = read_schema(conn)
        tracemalloc.start()
        read_schema(conn)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    began = time.perf_counter()
    found = len(differences(schema, other))
    took = time.perf_counter() - began
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"{len(schema.objects):,} objects of {tables:,} tables, {rounds} rounds\n")
    print("| | min s | median s | max s |\n| --- | --: | --: | --: |")
    for name, seconds in (("read_schema", ours), ("pg_dump --schema-only", theirs)):
        print(f"| {name} | {min(seconds):.2f} | {statistics.median(seconds):.2f} | {max(seconds):.2f} |")
    print(f"\npg_dump / ours: {ratio:.1f} (target {_TARGET:g})")
    print(f"difference of two, {found} objects differ: {took:.2f} s (target {_TARGET_DIFFERENCE_S:g})")
    print(f"peak memory of a read, in Python: {peak / 1e6:.0f} MB")


def _rounds(dsn: Dsn, conn: Connection, rounds: int) -> tuple[list[float], list[float], Schema]:
    ours, theirs = list[float](), list[float]()
    for _ in range(rounds + 1):
        began = time.perf_counter()
        schema = read_schema(conn)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        subprocess.run(
            [client_program("pg_dump"), "--schema-only", "--file=/dev/null", f"--dbname={dsn.database}"],
            env=dsn.process_environment(),
            check=True,
        )
        theirs.append(time.perf_counter() - began)
    return ours[1:], theirs[1:], schema


def _table(number: int) -> str:
    """A table with a key, an index, a check, defaults, and a reference to the one before."""
    reference = f"REFERENCES t{number - 1}" if number else ""
    return (
        f"CREATE TABLE t{number} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, before bigint {reference},"
        " name text NOT NULL DEFAULT '', amount numeric(12, 2) CHECK (amount >= 0),"
        " at timestamptz NOT NULL DEFAULT now());"
        f"CREATE INDEX t{number}_amount_idx ON t{number} (amount) WHERE amount > 0;"
    )


if __name__ == "__main__":
    main()
