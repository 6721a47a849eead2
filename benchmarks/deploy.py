"""How long it takes to bring an empty database up to date: faber-db, a bare psycopg loop and dbmate.

Starts a PostgreSQL of its own and ends it. See README.md in this folder for what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import bare_loop
import with_faberdb
from dbmate_binary import TRACKING_TABLE, NoDbmate, dbmate_version, find_dbmate
from msgspec import Struct
from planned import plan_locks
from synthetic import real_history, synthetic_history, write_revisions

from faberdb.catalog import read_schema
from faberdb.connection import connect, run
from faberdb.dsn import Dsn
from faberdb.embedded import start_server, stop_server

HERE: Final = Path(__file__).resolve().parent
INSTALLED: Final = HERE.parent / ".cache" / "benchmarks"
OURS: Final = "faber-db"
_RUN_TIMEOUT_S: Final = 300
_SYNTHETIC: Final = 300
_TRACKING: Final = ("_prisma_migrations", bare_loop.TRACKING_TABLE, TRACKING_TABLE)


class Contender(Struct, frozen=True, kw_only=True):
    """One way to do the work."""

    name: str
    tracking_table: str
    deploy: Callable[[str], None]  # takes the database's URL


def main() -> None:
    """Run the benchmark and print its two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, after one that is not")
    parser.add_argument("--migrations", type=Path, help="a real Prisma project's folder of migrations")
    given = parser.parse_args()
    rounds = given.rounds
    history = list(real_history(given.migrations) if given.migrations else synthetic_history(_SYNTHETIC))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended then too
    with tempfile.TemporaryDirectory(prefix="faber-db-benchmark-") as temporary:
        folder = Path(temporary)
        prisma, dbmate = write_revisions(folder / "revisions", history)
        locks = plan_locks(prisma)
        plan = folder / "plan.json"
        plan.write_text(json.dumps(locks))
        inside, whole = _in_process(prisma, locks), _whole_processes(prisma, dbmate, plan)
        with _server(folder / "server") as admin:
            print(f"{_describe(admin)}; {len(history)} revisions; {rounds} rounds; {os.cpu_count()} cores")
            measured = _measure(admin, {"in": inside, "whole": whole}, rounds, len(history))
    _print_table("In process: connect, read the files, apply and record all of them", measured["in"])
    _print_table("Whole process: the same, with the program's start and end", measured["whole"])


def _in_process(prisma: Path, locks: Mapping[str, Mapping[str, str]]) -> list[Contender]:
    return [
        Contender(
            name=OURS,
            tracking_table=_TRACKING[0],
            deploy=lambda url: with_faberdb.deploy(url, prisma, locks),
        ),
        Contender(
            name="bare psycopg loop",
            tracking_table=_TRACKING[1],
            deploy=lambda url: bare_loop.deploy(url, prisma),
        ),
    ]


def _whole_processes(prisma: Path, dbmate: Path, plan: Path) -> list[Contender]:
    contenders = [
        _program(OURS, _TRACKING[0], sys.executable, "-m", "with_faberdb", str(prisma), str(plan)),
        _program("bare psycopg loop", _TRACKING[1], sys.executable, "-m", "bare_loop", str(prisma)),
    ]
    try:
        binary = find_dbmate(INSTALLED)
    except NoDbmate as why:
        print(f"dbmate is left out: {why}")
        return contenders
    options = ("--no-dump-schema", "--migrations-dir", str(dbmate), "migrate")
    return [*contenders, _program(dbmate_version(binary), _TRACKING[2], str(binary), *options)]


def _program(name: str, tracking_table: str, *command: str) -> Contender:
    def deploy(url: str) -> None:
        done = subprocess.run(
            command,
            cwd=HERE,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_RUN_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{name} failed: {done.stderr.strip()[-800:]}")

    return Contender(name=name, tracking_table=tracking_table, deploy=deploy)


@contextmanager
def _server(home: Path) -> Iterator[Dsn]:
    try:
        yield start_server(home)
    finally:
        stop_server(home)


def _describe(admin: Dsn) -> str:
    with connect(admin, purpose="benchmark") as conn:
        row = conn.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'),"
            " current_setting('synchronous_commit')"
        ).fetchone()
    assert row is not None
    version, *durable = row
    if durable != ["on", "on"]:
        sys.exit("The server would forget at a power cut (fsync or synchronous_commit is off).")
    return f"PostgreSQL {version}, fsync on"


def _measure(
    admin: Dsn, groups: Mapping[str, list[Contender]], rounds: int, revisions: int
) -> dict[str, dict[str, list[float]]]:
    """Seconds by group and contender. Each round begins with another contender."""
    seconds = {group: {c.name: [] for c in contenders} for group, contenders in groups.items()}
    fingerprints: set[str] = set()
    for number in range(rounds + 1):
        for group, contenders in groups.items():
            turn = number % len(contenders)
            for contender in contenders[turn:] + contenders[:turn]:
                took, fingerprint = _run_once(admin, contender, revisions)
                fingerprints.add(fingerprint)
                if number:  # the first round warms the caches of everyone
                    seconds[group][contender.name].append(took)
    if len(fingerprints) != 1:
        sys.exit("The contenders did not arrive at the same schema; the figures would mean nothing.")
    return seconds


def _run_once(admin: Dsn, contender: Contender, revisions: int) -> tuple[float, str]:
    """Returns: seconds, and the fingerprint of the schema that came out."""
    name = "benchmark"
    with connect(admin, purpose="benchmark") as conn:
        run(conn, "DROP DATABASE IF EXISTS {name} WITH (FORCE)", name=name)
        run(conn, "CREATE DATABASE {name}", name=name)
        conn.execute("CHECKPOINT")
    os.sync()  # nobody pays for the writes of the one before, the file system's own included
    url = f"postgres://{admin.user}@/{name}?host={admin.host}&port={admin.port}&sslmode=disable"
    began = time.perf_counter()
    contender.deploy(url)
    took = time.perf_counter() - began
    with connect(admin.with_database(name), purpose="benchmark") as conn:
        row = run(conn, "SELECT count(*) FROM {table}", table=contender.tracking_table).fetchone()
        if row != (revisions,):
            sys.exit(f"{contender.name} recorded {row} of {revisions} revisions.")
        return took, read_schema(conn, leave_out=_TRACKING).fingerprint


def _print_table(title: str, seconds: Mapping[str, list[float]]) -> None:
    ours = statistics.median(seconds[OURS])
    print(f"\n{title}\n\n| | min s | median s | max s | median / ours |\n| --- | --: | --: | --: | --: |")
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        print(f"| {name} | {min(taken):.3f} | {middle:.3f} | {max(taken):.3f} | {middle / ours:.2f} |")


if __name__ == "__main__":
    main()
