"""How long an application stalls while a column is added to a table that it and a long transaction use.

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
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dbmate_binary import NoDbmate, dbmate_version, find_dbmate
from msgspec import Struct
from planned import plan_locks

from faberdb.budget import Budget
from faberdb.connection import connect
from faberdb.databases import ensure_database
from faberdb.dsn import Dsn
from faberdb.embedded import client_program, start_server, stop_server

HERE: Final = Path(__file__).resolve().parent
INSTALLED: Final = HERE.parent / ".cache" / "benchmarks"
OURS: Final = "faber-db"
NOBODY: Final = "no release"
_REVISION: Final = "20260101000000_add_note"
_SCRIPT: Final = "ALTER TABLE pgbench_accounts ADD COLUMN note text;\n"
_SCALE: Final = 10
_CLIENTS: Final = 4
_TRAFFIC_S: Final = 12
_BLOCKED_S: Final = 6.0  # the long transaction, which begins a second after the traffic
_GRACE_S: Final = 0.2


class Contender(Struct, frozen=True, kw_only=True):
    """One way to add the column."""

    name: str
    command: tuple[str, ...]  # gets the database's URL as DATABASE_URL; () does nothing


def main() -> None:
    """Take turns, print the table; end with 1 if ours stalls the application for longer than its budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended then too
    with tempfile.TemporaryDirectory(prefix="faber-db-benchmark-") as temporary:
        folder = Path(temporary)
        contenders = _contenders(folder)
        with _server(folder / "server") as dsn:
            _pgbench(dsn, folder, "--initialize", "--quiet", f"--scale={_SCALE}")
            found: dict[str, list[tuple[float, float]]] = {c.name: [] for c in contenders}
            for number in range(rounds):
                turn = number % len(contenders)
                for contender in contenders[turn:] + contenders[:turn]:
                    found[contender.name].append(_stall(dsn, folder, contender))
    _print_table(found)
    bound = Budget().lock_timeout_s + _GRACE_S
    if max(stall for stall, _ in found[OURS]) > bound:
        sys.exit(f"{OURS} stalled the application for longer than {bound:g} s.")


def _contenders(folder: Path) -> list[Contender]:
    prisma, dbmate, script = folder / "prisma", folder / "dbmate", folder / "add_note.sql"
    (prisma / _REVISION).mkdir(parents=True)
    (prisma / _REVISION / "migration.sql").write_text(_SCRIPT)
    (prisma / "migration_lock.toml").write_text('provider = "postgresql"\n')
    dbmate.mkdir()
    (dbmate / f"{_REVISION}.sql").write_text(f"-- migrate:up\n{_SCRIPT}-- migrate:down\n")
    script.write_text(_SCRIPT)
    plan = folder / "plan.json"
    plan.write_text(json.dumps(plan_locks(prisma)))
    found = [
        Contender(name=NOBODY, command=()),
        Contender(name=OURS, command=(sys.executable, "-m", "with_faberdb", str(prisma), str(plan))),
        Contender(
            name="psql", command=("sh", "-c", f'{client_program("psql")} -qX -f {script} "$DATABASE_URL"')
        ),
    ]
    try:
        binary = find_dbmate(INSTALLED)
    except NoDbmate as why:
        print(f"dbmate is left out: {why}")
        return found
    options = ("--no-dump-schema", "--migrations-dir", str(dbmate), "migrate")
    return [*found, Contender(name=dbmate_version(binary), command=(str(binary), *options))]


@contextmanager
def _server(home: Path) -> Iterator[Dsn]:
    try:
        dsn = start_server(home).with_database("stall")
        ensure_database(dsn)
        yield dsn
    finally:
        stop_server(home)


def _stall(dsn: Dsn, folder: Path, contender: Contender) -> tuple[float, float]:
    """Returns: seconds of the application's slowest transaction, and from the release's begin to its end."""
    for log in folder.glob("traffic.*"):
        log.unlink()
    traffic = threading.Thread(target=_traffic, args=(dsn, folder))
    traffic.start()
    time.sleep(1)
    blocker = threading.Thread(target=_block, args=(dsn,))
    blocker.start()
    time.sleep(0.5)
    began = time.perf_counter()
    if contender.command:
        _release(dsn, contender.command)
    took = time.perf_counter() - began
    blocker.join()
    traffic.join()
    slowest = max(
        int(line.split()[2]) for log in folder.glob("traffic.*") for line in log.read_text().splitlines()
    )
    with connect(dsn, purpose="benchmark") as conn:
        conn.execute("ALTER TABLE pgbench_accounts DROP COLUMN IF EXISTS note")
        conn.execute("DROP TABLE IF EXISTS _prisma_migrations, schema_migrations")
    return slowest / 1e6, took


def _traffic(dsn: Dsn, folder: Path) -> None:
    _pgbench(
        dsn,
        folder,
        "--no-vacuum",
        "--builtin=simple-update",
        f"--client={_CLIENTS}",
        f"--time={_TRAFFIC_S}",
        "--rate=200",
        "--log",
        f"--log-prefix={folder / 'traffic'}",
    )


def _pgbench(dsn: Dsn, folder: Path, *options: str) -> None:
    # Commits are not flushed: a slow disk would be taken for a stall.
    environment = dsn.process_environment() | {"PGOPTIONS": "-c synchronous_commit=off"}
    done = subprocess.run(
        [client_program("pgbench"), *options, dsn.database],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"pgbench failed: {done.stderr[-800:]}")


def _block(dsn: Dsn) -> None:
    with connect(dsn, purpose="a report") as conn, conn.transaction():
        conn.execute("SELECT FROM pgbench_accounts LIMIT 1")
        time.sleep(_BLOCKED_S)


def _release(dsn: Dsn, command: Sequence[str]) -> None:
    url = f"postgres://{dsn.user}@/{dsn.database}?host={dsn.host}&port={dsn.port}&sslmode=disable"
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url}
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr[-800:]}")


def _print_table(found: Mapping[str, list[tuple[float, float]]]) -> None:
    print("\n| | longest stall: median s | max s | release: median s |\n| --- | --: | --: | --: |")
    for name, rounds in found.items():
        stalls, took = zip(*rounds, strict=True)
        print(
            f"| {name} | {statistics.median(stalls):.2f} | {max(stalls):.2f} | {statistics.median(took):.2f} |"
        )


if __name__ == "__main__":
    main()
