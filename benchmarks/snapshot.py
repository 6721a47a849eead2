"""Snapshots and their restore, against raw `pg_dump` and `pg_restore`. See README.md in this folder."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.catalog import create_tables
from faberdb.config.proving import Checksums
from faberdb.connection import connect
from faberdb.databases import drop_database, ensure_database
from faberdb.dsn import Dsn
from faberdb.embedded import client_program, start_server, stop_server
from faberdb.snapshot.programs import JOBS
from faberdb.snapshot.request import SnapshotRequest
from faberdb.snapshot.restore import restore_beside
from faberdb.snapshot.store import LocalStore
from faberdb.snapshot.take import take_snapshot

_TARGET: Final = 1.1
_TARGET_WITH_PROOF: Final = 2.2


@dataclass(slots=True, kw_only=True)
class Seconds:
    """Of each round."""

    dump: list[float] = field(default_factory=list)
    take: list[float] = field(default_factory=list)
    raw_restore: list[float] = field(default_factory=list)
    restore: list[float] = field(default_factory=list)
    proof: list[float] = field(default_factory=list)


def main() -> None:
    """Make the database, take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=100, help="of pgbench")
    parser.add_argument("--tables", type=int, default=5_000, help="of the schema")
    parser.add_argument("--rows", type=int, default=0, help="in each of its tables")
    parser.add_argument("--only", choices=("pgbench", "schema"))
    parser.add_argument("--checksums", type=Checksums, default=Checksums.SAMPLE)
    parser.add_argument("--rounds", type=int, default=3, help="measured, after one that is not")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(
        prefix="faber-db-benchmark-", dir=Path(tempfile.gettempdir()).resolve()
    ) as name:
        home = Path(name)
        server = start_server(home)
        with connect(server, purpose="benchmark") as conn:
            conn.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
            conn.execute("ALTER SYSTEM SET max_locks_per_transaction = 512")
        stop_server(home)
        server = start_server(home)
        try:
            if given.only != "schema":
                _measure(
                    f"pgbench scale {given.scale}",
                    server,
                    home,
                    lambda dsn: _pgbench(dsn, given.scale),
                    given,
                )
            if given.only != "pgbench":
                title = f"{given.tables:,} tables of {given.rows} rows"
                _measure(title, server, home, lambda d: _tables(d, given.tables, given.rows), given)
        finally:
            stop_server(home)


def _pgbench(dsn: Dsn, scale: int) -> None:
    ensure_database(dsn)
    command = [client_program("pgbench"), "--initialize", "--quiet", f"--scale={scale}", dsn.database]
    subprocess.run(command, env=_environment(dsn), check=True, stderr=subprocess.DEVNULL)


def _tables(dsn: Dsn, tables: int, rows: int) -> None:
    create_tables(dsn, tables)
    with connect(dsn, purpose="benchmark") as conn:
        conn.execute("SET synchronous_commit = off")
        for number in range(tables) if rows else ():
            conn.execute(
                f"INSERT INTO t{number} (name) SELECT 'row ' || g FROM generate_series(1, {rows}) g".encode()
            )
        conn.execute("VACUUM ANALYZE")


def _measure(
    title: str, server: Dsn, home: Path, make: Callable[[Dsn], None], given: argparse.Namespace
) -> None:
    live = server.with_database("live")
    make(live)
    seconds = Seconds()
    for number in range(given.rounds + 1):
        turns = [lambda: _raw(live, home, seconds), lambda: _ours(live, home, seconds, given.checksums)]
        for turn in turns if number % 2 else reversed(turns):
            os.sync()
            turn()
        print(f"{title}, round {number}: {_last(seconds)}", flush=True)
    drop_database(live)
    _print(title, seconds, given)


def _raw(live: Dsn, home: Path, seconds: Seconds) -> None:
    folder, copy = home / "raw", live.with_database("raw_copy")
    env = _environment(live)
    began = time.perf_counter()
    command = [client_program("pg_dump"), "-Fd", f"-j{JOBS}", "-f", folder, live.database]
    subprocess.run(command, env=env, check=True)
    seconds.dump.append(time.perf_counter() - began)
    began = time.perf_counter()
    ensure_database(copy)
    command = [client_program("pg_restore"), "-Fd", f"-j{JOBS}", "-d", copy.database, folder]
    subprocess.run(command, env=env, check=True)
    seconds.raw_restore.append(time.perf_counter() - began)
    drop_database(copy)
    shutil.rmtree(folder)


def _ours(live: Dsn, home: Path, seconds: Seconds, checksums: Checksums) -> None:
    store, copy = LocalStore(home / "snapshots"), live.with_database("our_copy")
    wanted = SnapshotRequest(
        id="benchmark", project="benchmark", environment="live", retention_days=1, checksums=checksums
    )
    began = time.perf_counter()
    take_snapshot(live, store, wanted)
    seconds.take.append(time.perf_counter() - began)
    notes: dict[str, float] = {}
    began = time.perf_counter()
    restore_beside(
        store,
        "benchmark",
        copy,
        live=live,
        progress=lambda n: notes.setdefault(n.split()[0], time.perf_counter()),
    )
    ended = time.perf_counter()
    seconds.restore.append(notes["comparing"] - began)
    seconds.proof.append(ended - notes["comparing"])
    drop_database(copy)
    store.delete("benchmark")


def _environment(dsn: Dsn) -> dict[str, str]:
    return {**os.environ, **dsn.process_environment()}


def _last(seconds: Seconds) -> str:
    names = ("dump", "take", "raw_restore", "restore", "proof")
    return ", ".join(f"{name} {getattr(seconds, name)[-1]:.1f}" for name in names)


def _print(title: str, seconds: Seconds, given: argparse.Namespace) -> None:
    rows = {
        f"pg_dump -Fd -j{JOBS}": seconds.dump,
        "snapshot": seconds.take,
        f"pg_restore -j{JOBS}": seconds.raw_restore,
        "restore": seconds.restore,
        "its proof": seconds.proof,
    }
    print(f"\n| {title}, {given.rounds} rounds, checksums {given.checksums} | min s | median s | max s |")
    print("| --- | --: | --: | --: |")
    middle = {}
    for name, every in rows.items():
        measured = every[1:]
        middle[name] = statistics.median(measured)
        print(f"| {name} | {min(measured):.2f} | {middle[name]:.2f} | {max(measured):.2f} |")
    dump, take, raw, restore, proof = middle.values()
    print(f"\nsnapshot / dump {take / dump:.2f}, restore / restore {restore / raw:.2f} (target {_TARGET:g})")
    whole = (take + restore + proof) / (dump + raw)
    print(f"all with proof / raw of both {whole:.2f} (target {_TARGET_WITH_PROOF:g})\n")


if __name__ == "__main__":
    main()
