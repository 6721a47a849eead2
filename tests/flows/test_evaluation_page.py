"""What the evaluation leaves in Prefect: what the copy's own server saw of the plan."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from deployments.stack import Stack
from faberdb.question import approval_question
from faberdb.release.evidence import find_evidence
from faberdb.release.opening import plan_target
from faberdb.report import plan_markdown
from faberdb.target import open_target
from tests.flows.running import run_evaluate
from tests.flows.shoplet import Shoplet

CHANGE = {
    "0003_wide": "ALTER TABLE account ALTER COLUMN balance TYPE bigint;\nUPDATE account SET owner = 'x';",
    "0004_index": "CREATE INDEX CONCURRENTLY account_owner ON account (owner);",
}


def test_the_locks_of_the_copy_are_on_the_page_and_in_the_question(
    shoplet: Shoplet, stack: Stack, forked: Callable[..., int]
) -> None:
    shoplet.add(CHANGE)
    assert forked(run_evaluate, str(shoplet.root)) == 0
    query = {"artifacts": {"key": {"any_": [f"{shoplet.name}-evaluate", "evaluate"]}}, "sort": "CREATED_DESC"}
    pages = httpx.post(f"{stack.api.url}/artifacts/filter", json=query).raise_for_status().json()
    page = pages[0]["data"]
    assert "Watched by event triggers in the copy." in page
    assert "**rewrites** `account`: a column's type" in page
    assert "writes 500 rows" in page
    assert "####" in page.split("## Locks over time")[1]
    assert "The undo was tried there too" in page
    with open_target(shoplet.root, "production") as target:
        plan = plan_target(target, requester="Priya")
        evidence = find_evidence(target, plan.digest)
    question = approval_question(plan, evidence)
    assert "**On the copy it:** kept even readers out of `account`" in question
    assert "wrote `account` (a column's type) anew" in question
    assert "### Locks over time" in plan_markdown(plan, evidence)
    print(page, question, sep="\n=====\n")
