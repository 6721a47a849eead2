"""How long `faber-db status` takes for three environments on an embedded server, each after a release.

Starts a PostgreSQL of its own and ends it. See README.md in this folder for what the figures mean.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from faberdb.embedded import start_server, stop_server
from faberdb.progress import silent
from faberdb.provisioning import create_environment_database
from faberdb.release import execution
from faberdb.release.lock import hold_environment
from faberdb.release.opening import close_release, open_release, plan_target
from faberdb.release.record import Outcome, read_release
from faberdb.release.verification import environment_health, keep_look
from faberdb.target import open_target

SHOP: Final = Path(__file__).resolve().parent.parent / "examples" / "shop"
_ENVIRONMENTS: Final = ("dev", "staging", "production")
_TARGET_S: Final = 0.6
_CONFIG: Final = """
[project]
name = "shop"
[environments.dev]
[environments.staging]
[environments.production]
[safety]
protected_environments = []
[safety.backup_enforcement]
dev = "required"
staging = "required"
production = "required"
[safety.snapshot_proof]
production = "restore"
"""


def main() -> None:
    """Release into each environment, then ask for their status again and again; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="measured, after three that are not")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="faber-db-benchmark-") as temporary:
        home, project = Path(temporary) / "home", Path(temporary) / "shop"
        shutil.copytree(SHOP, project)
        (project / "faber-db.toml").write_text(_CONFIG)
        os.environ["FABER_DB_HOME"] = str(home)
        start_server(home)
        try:
            for environment in _ENVIRONMENTS:
                _release(project, environment)
            _print(sorted(_seconds(project, rounds)))
        finally:
            stop_server(home)


def _release(project: Path, environment: str) -> None:
    """As the release flow does it, without Prefect."""
    with open_target(project, environment) as target:
        create_environment_database(target, silent)
        release = open_release(target, plan_target(target, requester="Benchmark"))
        execution.snapshot_release(target, release)
        release = read_release(target.ledger, release.id)
        execution.prove_release_snapshot(target, release)
        with hold_environment(target.dsn, release.id):
            execution.apply_release(target, read_release(target.ledger, release.id))
        seen = execution.verify_revisions(target, release)
        close_release(target, release, Outcome.RELEASED, fingerprint=seen["fingerprint"])
        keep_look(target, environment_health(target))


def _seconds(project: Path, rounds: int) -> list[float]:
    seconds = []
    for number in range(rounds + 3):
        began = time.perf_counter()
        subprocess.run(
            [Path(sys.executable).with_name("faber-db"), "status"],
            cwd=project,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        if number >= 3:
            seconds.append(time.perf_counter() - began)
    return seconds


def _print(seconds: list[float]) -> None:
    print(f"Three environments; {len(seconds)} rounds; load {os.getloadavg()[0]:.1f}\n")
    print("| min s | median s | max s |\n| --: | --: | --: |")
    print(f"| {seconds[0]:.3f} | {statistics.median(seconds):.3f} | {seconds[-1]:.3f} |")
    print(f"\ntarget {_TARGET_S:g} s")


if __name__ == "__main__":
    main()
