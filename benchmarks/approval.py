"""How long from a person's yes to the first statement in production, through Prefect and a worker.

Starts `faber-db up` on a shop of its own and ends it. See README.md in this folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deployments.api import PrefectApi
from deployments.stack import free_port
from deployments.stack_state import remembered
from faberdb.ledger import Kind
from faberdb.release.record import Release, newest_release
from faberdb.target import open_target

CONFIG: Final = """
[project]
name = "bench"
[environments.staging]
[environments.production]
require_approval = true
"""
_PATIENCE_S: Final = 60.0


def main() -> None:
    """Run the releases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="measured releases, after one that is not")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="faber-db-benchmark-") as folder:
        root = Path(folder) / "bench"
        _make_project(root)
        os.environ["FABER_DB_HOME"] = str(Path(folder) / "home")
        os.environ.pop("PREFECT_API_URL", None)
        _command(root, "db-create", "production")
        _command(root, "up", "--detach", "--port", str(free_port()), "--webhook-port", "0")
        try:
            api = PrefectApi(remembered(Path(folder) / "home").api)
            seconds = [_one_release(root, api, number) for number in range(rounds + 1)][1:]
        finally:
            _command(root, "down")
    _print(seconds)


def _one_release(root: Path, api: PrefectApi, number: int) -> float:
    """Seconds from the answer to the moment before the first statement."""
    _add_revision(root, number)
    parameters = {"project": str(root), "environment": "production", "requester": "Priya"}
    run = api.create_run("release/faber-db", parameters)
    _until(lambda: api.state(run).waiting)
    submitted = datetime.now(UTC)
    api.resume(run, {"decision": "approve", "approver": "Morgan", "comment": ""})
    _until(lambda: api.state(run).ended)
    release = _newest(root)
    with open_target(root, "production") as target:
        begun = target.ledger.entries(release=release.id, kind=Kind.STEP_INTENDED)
    (apply,) = [e for e in begun if e.body["step"] == "apply"]
    return (apply.at - submitted).total_seconds()


def _newest(root: Path) -> Release:
    with open_target(root, "production") as target:
        found = newest_release(target.ledger, "production")
    assert found is not None
    return found


def _make_project(root: Path) -> None:
    root.mkdir(parents=True)
    (root / "faber-db.toml").write_text(CONFIG)
    _add_revision(root, 1000)


def _add_revision(root: Path, number: int) -> None:
    folder = root / "prisma" / "migrations" / f"{number:04d}_table"
    if number == 1000:
        folder = folder.with_name("0000_0_first")
    folder.mkdir(parents=True)
    (folder / "migration.sql").write_text(f"CREATE TABLE t_{number} (id int PRIMARY KEY);\n")


def _until(holds: object) -> None:
    assert callable(holds)
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            sys.exit("A run did not get there in time.")
        time.sleep(0.02)


def _command(root: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments, "--project", str(root)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode:
        sys.exit(f"faber-db {arguments[0]} failed: {done.stderr.strip()[-800:]}")


def _print(seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    print("| approval submitted -> first statement | s |\n| --- | --: |")
    print(f"| p50 of {len(seconds)} | {statistics.median(seconds):.2f} |")
    print(f"| p95 | {p95:.2f} |")
    print(f"| max | {ordered[-1]:.2f} |")


if __name__ == "__main__":
    main()
