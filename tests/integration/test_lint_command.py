"""`faber-db lint` on files and on what is pending."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from cli.commands.lint import command
from faberdb.release.opening import plan_target
from faberdb.risk import Risk
from faberdb.target import Target
from tests.flows.shoplet import Shoplet

BLOCKING = "CREATE INDEX account_note ON account (owner);\n"
REPOSITORY = Path(__file__).parents[2]


def test_files_are_looked_at_without_database_configuration_and_prefect(tmp_path: Path) -> None:
    script = tmp_path / "next.sql"
    script.write_text(BLOCKING)
    command_line = [sys.executable, "-c", _WITHOUT_PREFECT, "lint", "--json", str(script)]
    done = subprocess.run(
        command_line,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, "")
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["code"], finding["line"], finding["risk"]) == ("index-blocks-writes", 1, "high")


_WITHOUT_PREFECT = """
import sys
sys.modules["prefect"] = None  # importing it fails
from cli.main import main
main()
"""


def test_what_counts_as_failing_is_asked_for(tmp_path: Path) -> None:
    script = tmp_path / "next.sql"
    script.write_text(BLOCKING)
    assert CliRunner().invoke(command, [str(script), "--fail-on", "critical"]).exit_code == 0
    assert CliRunner().invoke(command, [str(script), "--fail-on", "low"]).exit_code == 1
    script.write_text("-- faber-db: ignore index-blocks-writes nobody writes\n" + BLOCKING)
    ignored = CliRunner().invoke(command, [str(script), "--fail-on", "low"])
    assert ignored.exit_code == 0
    assert "ignored, as nobody writes" in ignored.output


def test_what_is_pending_is_seen_with_its_database(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0003_index": BLOCKING})
    plan = plan_target(target)
    (finding,) = [f for f in plan.findings if f.code == "index-blocks-writes"]
    assert (finding.revision, finding.line) == ("0003_index", 1)
    assert finding.risk is Risk.LOW  # the table is small and quiet
    assert "CONCURRENTLY" in finding.rewrite
    assert plan.steps[-1].statements[0].locks == (("account", "SHARE"),)
