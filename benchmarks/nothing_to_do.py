"""How long it takes to see that 800 revisions are all applied: faber-db, and Prisma's own `migrate status`.

Starts a PostgreSQL of its own and ends it. See README.md in this folder for what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import with_faberdb
from planned import plan_locks
from synthetic import synthetic_history, write_revisions

from faberdb.databases import ensure_database
from faberdb.dsn import Dsn
from faberdb.embedded import start_server, stop_server

HERE: Final = Path(__file__).resolve().parent
INSTALLED: Final = HERE.parent / ".cache" / "prisma"
_REVISIONS: Final = 800
_TARGET: Final = 10.0
_CONFIG: Final = """
import { defineConfig } from "prisma/config";
import { PrismaPg } from "@prisma/adapter-pg";
export default defineConfig({
  experimental: { adapter: true },
  engine: "js",
  schema: "schema.prisma",
  migrations: { path: %(migrations)s },
  adapter: async () => new PrismaPg(%(connection)s),
} as any);
"""
_SCHEMA: Final = """
datasource db {
  provider = "postgresql"
  url = env("DATABASE_URL")
}
"""


def main() -> None:
    """Apply everything once, then take turns in finding nothing to do; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured, after one that is not")
    rounds = parser.parse_args().rounds
    if not (INSTALLED / "node_modules" / "prisma").is_dir():
        sys.exit(f"The Prisma CLI is not in {INSTALLED}; .ci/run installs it where npm is.")
    with tempfile.TemporaryDirectory(prefix="faber-db-benchmark-") as temporary:
        folder = Path(temporary)
        prisma, _ = write_revisions(folder / "revisions", synthetic_history(_REVISIONS))
        plan = folder / "plan.json"
        plan.write_text(json.dumps(plan_locks(prisma)))
        home = folder / "server"
        dsn = start_server(home).with_database("nothing_to_do")
        try:
            ensure_database(dsn)
            url = f"postgres://{dsn.user}@/{dsn.database}?host={dsn.host}&port={dsn.port}&sslmode=disable"
            with_faberdb.deploy(url, prisma, json.loads(plan.read_text()))
            _measure(
                {
                    "faber-db": lambda: _ours(url, prisma, plan),
                    "prisma migrate status": _prisma(folder / "project", dsn, prisma),
                },
                rounds,
            )
        finally:
            stop_server(home)


def _measure(contenders: dict[str, Callable[[], None]], rounds: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    worked: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, look in contenders.items():
            began, before = time.perf_counter(), _worked()
            look()
            if number:
                seconds[name].append(time.perf_counter() - began)
                worked[name].append(_worked() - before)
    print(f"{_REVISIONS} revisions, all applied; {rounds} rounds; load {os.getloadavg()[0]:.1f}\n")
    print(
        "| whole process | min s | median s | max s | processor: median s |\n| --- | --: | --: | --: | --: |"
    )
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        own = statistics.median(worked[name])
        print(f"| {name} | {min(taken):.3f} | {middle:.3f} | {max(taken):.3f} | {own:.3f} |")
    for what, taken in (("prisma / ours", seconds), ("of processor time", worked)):
        ours, theirs = (statistics.median(s) for s in taken.values())
        print(f"\n{what}: {theirs / ours:.1f} (target {_TARGET:g})")


def _worked() -> float:
    """The processor's seconds for all processes that were run, which say more than the clock on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ours(url: str, prisma: Path, plan: Path) -> None:
    _run([sys.executable, "-m", "with_faberdb", str(prisma), str(plan)], HERE, {"DATABASE_URL": url})


def _prisma(folder: Path, dsn: Dsn, migrations: Path) -> Callable[[], None]:
    folder.mkdir()
    (folder / "node_modules").symlink_to(INSTALLED / "node_modules", target_is_directory=True)
    (folder / "engine.node").touch(mode=0o755)  # it looks for a native engine that nothing uses here
    connection = {"host": dsn.host, "port": dsn.port, "user": dsn.user, "database": dsn.database}
    values = {"migrations": str(migrations), "connection": connection}
    (folder / "prisma.config.ts").write_text(_CONFIG % {k: json.dumps(v) for k, v in values.items()})
    (folder / "schema.prisma").write_text(_SCHEMA)
    settings = {
        "HOME": str(folder),
        "CHECKPOINT_DISABLE": "1",
        "PRISMA_QUERY_ENGINE_LIBRARY": str(folder / "engine.node"),
        "DATABASE_URL": "postgresql://unused@localhost/unused",
    }
    command = ["node", "node_modules/prisma/build/index.js", "migrate", "status"]
    return lambda: _run(command, folder, settings)


def _run(command: list[str], folder: Path, settings: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stdout[-400:]}{done.stderr[-400:]}")


if __name__ == "__main__":
    main()
