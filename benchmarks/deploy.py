"""300 revisions into an empty database: our executor, a bare psycopg loop, and dbmate, in one run.

    python benchmarks/deploy.py [--rounds N] [--revisions N]

Each contender gets a new database a round, on one embedded server with fsync on; the order turns from round
to round. Figures are of the executor alone: reading the files, applying them in order, recording them. A
second table has whole processes, with their start. dbmate is taken from npm, and left out where there is
no npm.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from faberdb.budget import Budget
from faberdb.connection import connect, run
from faberdb.dsn import Dsn
from faberdb.embedded import start_server, stop_server
from faberdb.history import pending
from faberdb.progress import silent
from faberdb.tools import open_tool

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "benchmarks"


def write_revisions(folder: Path, count: int) -> tuple[Path, Path]:
    """The same scripts in Prisma's layout and in dbmate's."""
    ours, theirs = folder / "prisma" / "migrations", folder / "dbmate"
    theirs.mkdir(parents=True)
    for n in range(count):
        script = (
            f'CREATE TABLE "t{n}" ("id" serial PRIMARY KEY, "name" text NOT NULL, "at" timestamptz DEFAULT now());\n'
            f'CREATE INDEX "t{n}_name" ON "t{n}" ("name");\n'
        )
        if n:
            script += f'ALTER TABLE "t{n - 1}" ADD COLUMN "extra" integer NOT NULL DEFAULT {n};\n'
        place = ours / f"2026{n:010d}_step_{n}"
        place.mkdir(parents=True)
        (place / "migration.sql").write_text(script)
        (theirs / f"2026{n:010d}_step_{n}.sql").write_text(f"-- migrate:up\n{script}\n-- migrate:down\n")
    return ours, theirs


def ours(dsn: Dsn, folder: Path) -> None:
    """What a release does with the tool."""
    tool = open_tool("prisma", directory=folder, schema_file=None)
    budget = Budget(lock_timeout_s=5, statement_timeout_s=300)
    with connect(dsn, purpose="benchmark") as conn:
        tool.ensure_tracking(conn)
        with tool.hold_lock(conn, timeout_s=10):
            for revision in pending(tool.revisions(), tool.tracked(conn)):
                tool.apply(conn, revision, budget, silent)


def bare(dsn: Dsn, folder: Path) -> None:
    """A loop that reads, runs and records, with no other care."""
    with psycopg.connect(**dsn.connect_arguments(), autocommit=True) as conn:
        conn.execute("CREATE TABLE done (name text PRIMARY KEY, at timestamptz DEFAULT now())")
        for place in sorted(folder.iterdir()):
            with conn.transaction():
                conn.execute((place / "migration.sql").read_bytes())
                conn.execute("INSERT INTO done (name) VALUES (%s)", (place.name,))


def find_dbmate() -> Path | None:
    """dbmate's program from its npm package, installed into the benchmark's own cache."""
    if shutil.which("npm") is None:
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    if not (CACHE / "node_modules" / "dbmate").is_dir():
        command = [
            "npm",
            "install",
            "--ignore-scripts",
            "--no-fund",
            "--no-audit",
            "--prefix",
            str(CACHE),
            "dbmate",
        ]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
    found = [p for p in (CACHE / "node_modules" / "@dbmate").rglob("dbmate") if p.is_file()]
    return found[0] if found else None


def child(contender: str) -> Callable[[Dsn, Path], None]:
    """The same contender as a process of its own."""

    def start(dsn: Dsn, folder: Path) -> None:
        arguments = json.dumps([contender, dsn.host, dsn.port, dsn.user, dsn.database, str(folder)])
        subprocess.run([sys.executable, __file__, "--child", arguments], check=True)

    return start


def dbmate(program: Path) -> Callable[[Dsn, Path], None]:
    def start(dsn: Dsn, folder: Path) -> None:
        url = f"postgres://{dsn.user}@/{dsn.database}?host={dsn.host}&sslmode=disable"
        command = [str(program), "--no-dump-schema", "--migrations-dir", str(folder), "migrate"]
        env = {**os.environ, "DATABASE_URL": url}
        subprocess.run(command, env=env, check=True, capture_output=True)

    return start


def measure(
    server: Dsn, contenders: dict[str, tuple[Callable[[Dsn, Path], None], Path]], rounds: int
) -> dict[str, list[float]]:
    """Seconds of each contender, round by round."""
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds + 1):
        turned = names[number % len(names) :] + names[: number % len(names)]
        for name in turned:
            with connect(server, purpose="benchmark") as conn:
                run(conn, "DROP DATABASE IF EXISTS {name} WITH (FORCE)", name="bench")
                run(conn, "CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy", name="bench")
                conn.execute("CHECKPOINT")
            work, folder = contenders[name]
            began = time.perf_counter()
            work(server.with_database("bench"), folder)
            took = time.perf_counter() - began
            if number:  # the first round warms up
                figures[name].append(took)
    return figures


def show(title: str, figures: dict[str, list[float]]) -> None:
    base = statistics.median(figures["faber-db"])
    print(f"\n{title}\n")
    print("| | min | median | max | median against ours |")
    print("| --- | --- | --- | --- | --- |")
    for name, seconds in figures.items():
        middle = statistics.median(seconds)
        print(
            f"| {name} | {min(seconds):.2f} s | {middle:.2f} s | {max(seconds):.2f} s | {middle / base:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--revisions", type=int, default=300)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        contender, host, port, user, database, folder = json.loads(given.child)
        dsn = Dsn(host=host, port=port, user=user, database=database)
        {"ours": ours, "bare": bare}[contender](dsn, Path(folder))
        return
    program = find_dbmate()
    with tempfile.TemporaryDirectory(prefix="faber-db-bench-") as name:
        home = Path(name)
        home.chmod(0o755)
        prisma, theirs = write_revisions(home, given.revisions)
        server = start_server(home / "home")
        try:
            with connect(server, purpose="benchmark") as conn:
                version = conn.execute("SHOW server_version").fetchone()
            print(
                f"PostgreSQL {version[0] if version else '?'}, {given.revisions} revisions, {given.rounds} rounds"
            )
            inside = {"faber-db": (ours, prisma), "bare psycopg loop": (bare, prisma)}
            show("The executor, in process", measure(server, inside, given.rounds))
            whole = {"faber-db": (child("ours"), prisma), "bare psycopg loop": (child("bare"), prisma)}
            if program is None:
                print("\ndbmate is left out: there is no npm, or it could not be installed.")
            else:
                whole["dbmate"] = (dbmate(program), theirs)
            show("Whole processes", measure(server, whole, given.rounds))
        finally:
            stop_server(home / "home")


if __name__ == "__main__":
    main()
