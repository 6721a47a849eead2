"""The shell scripts of docs/how-to/ci.md, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.stack import Stack
from faberdb.config.webhooks import WebhookSection
from tests.flows.shoplet import GOOD, Shoplet
from tests.webhooks.standin import REPOSITORY, SECRETS, receiver

pytestmark = pytest.mark.e2e

PAGE = (REPOSITORY / "docs" / "how-to" / "ci.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NOTIFY, PLAN = (text for kind, text in BLOCKS if kind == "bash")
WORKFLOW, PIPELINE = (yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml")


def run(script: str, folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    path = folder / "script.sh"
    path.write_text(script)
    env = {k: v for k, v in os.environ.items() if k not in {"RUN", "KEY"}} | SECRETS | given
    return subprocess.run(
        ["bash", str(path)], env=env, capture_output=True, text=True, timeout=150, check=False
    )


def git(shoplet: Shoplet, *arguments: str) -> str:
    who = ["-c", "user.name=Priya", "-c", "user.email=priya@example.com"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=shoplet.root, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def commit(shoplet: Shoplet) -> str:
    """The project as a repository, with revisions that are not released."""
    shoplet.add(GOOD)
    git(shoplet, "init", "--quiet")
    git(shoplet, "add", ".")
    git(shoplet, "commit", "--quiet", "-m", "x")
    return git(shoplet, "rev-parse", "HEAD")


def test_the_plan_of_a_commit_is_printed_for_a_comment(
    stack: Stack, shoplet: Shoplet, commit: str, tmp_path: Path
) -> None:
    script = PLAN
    before = shoplet.state()
    given = {
        "SOURCE": f"file://{shoplet.root}",
        "COMMIT": commit,
        "REQUESTER": "Priya",
        "KEY": str(uuid.uuid4()),
    }
    first = run(script, tmp_path, **given)
    assert first.returncode == 0, first.stderr
    assert "Plan for production" in first.stdout
    assert all(revision in first.stdout for revision in GOOD)
    assert shoplet.state() == before
    again = run(script, tmp_path, **given)
    assert (again.stdout, again.stderr) == (first.stdout, first.stderr), "the same key is the same run"
    followed = run(script, tmp_path, RUN=first.stderr.removeprefix("run ").strip())
    assert followed.stdout == first.stdout


def test_a_plan_that_failed_fails_the_job(stack: Stack, tmp_path: Path) -> None:
    script = PLAN
    given = {"SOURCE": f"file://{tmp_path}", "COMMIT": "main", "REQUESTER": "Priya", "KEY": str(uuid.uuid4())}
    failed = run(script, tmp_path, **given)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "The run is FAILED" in failed.stderr


def test_any_ci_tells_the_receiver_about_a_push(
    stack: Stack, shoplet: Shoplet, commit: str, tmp_path: Path
) -> None:
    config = shoplet.root / "faber-db.toml"
    rule = '\n[[webhooks.rules]]\nrepository = "acme/shop"\nsource = "x"\nbranches = ["none"]\n'
    config.write_text(config.read_text() + rule)
    given = {"REPOSITORY": "acme/shop", "COMMIT": commit, "REQUESTER": "Priya", "DELIVERY": "1"}
    with receiver(shoplet.root, f"{stack.api.url}-away", tmp_path / "log") as one:
        given["FABER_DB_RECEIVER"] = one.url
        turned_away = run(NOTIFY, tmp_path, BRANCH="main", **given)
        assert (turned_away.returncode, "not allowed" in turned_away.stdout) == (22, True)
        accepted = run(NOTIFY, tmp_path, BRANCH="none", **given)
        assert '"delivery":"generic:1"' in accepted.stdout, accepted.stderr
        forged = run(NOTIFY, tmp_path, BRANCH="none", **{**given, "FABER_DB_WEBHOOK_SECRET": "x"})
        assert "not authorised" in forged.stdout


def needed(script: str) -> set[str]:
    comments = " ".join(line for line in script.splitlines() if line.startswith("# "))
    return set(re.findall(r"[A-Z][A-Z_]+", comments)) & set(re.findall(r"\$\{?([A-Z_]+)", script)) - {"RUN"}


def test_the_workflow_files_give_the_scripts_what_they_need() -> None:
    github: dict[str, Any] = {n: j["steps"] for n, j in WORKFLOW["jobs"].items()}
    always = {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "FABER_DB_RECEIVER"}
    for job, script in (("plan", PLAN), ("notify", NOTIFY)):
        assert needed(script) <= set(github[job][1]["env"])
        assert needed(script) <= set(PIPELINE[job]["variables"]) | always
        assert len(needed(script)) >= 5


def test_the_rules_of_the_page_are_rules() -> None:
    (rules,) = (text for kind, text in BLOCKS if kind == "toml")
    section = WebhookSection.model_validate(tomllib.loads(rules)["webhooks"])
    assert [r.event for r in section.rules] == ["push", "pull_request"]
