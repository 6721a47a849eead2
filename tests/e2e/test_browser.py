"""The UI as people use it: a suspended release is read, answered in its form, and ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from deployments.stack import Stack
from faberdb.release.record import Outcome
from tests.e2e.test_commands import ask, wait_until_ended
from tests.flows.shoplet import GOOD, Shoplet

pytestmark = pytest.mark.e2e

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
DESTROYS = {"0003_drop": "DROP TABLE entry;"}


@pytest.fixture(scope="session")
def page() -> Iterator[Page]:
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 1200})
        page.set_default_timeout(20_000)
        yield page
        browser.close()


def open_form(page: Page, stack: Stack, shoplet: Shoplet) -> None:
    page.goto(f"{stack.ui}/runs/flow-run/{shoplet.newest().run}")
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_text("Release to production?").wait_for()


def fill(page: Page, decision: str, approver: str, comment: str, phrase: str = "") -> None:
    dialog = page.get_by_role("dialog")
    choice = dialog.locator(".schema-form-property", has_text="Decision").locator(".p-select button").first
    choice.focus()
    choice.press("ArrowDown")  # a click opens the list and closes it again
    page.get_by_role("option", name=decision).click()
    for label, text in {"Your name": approver, "Comment": comment, "Confirmation phrase": phrase}.items():
        if text:
            dialog.locator(".schema-form-property", has_text=label).locator("textarea").first.fill(text)


def keep_picture(page: Page, name: str) -> None:
    folder = os.environ.get("FABER_DB_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def submit(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Submit").click()


def test_a_release_is_approved_in_the_form_and_lands(page: Page, stack: Stack, shoplet: Shoplet) -> None:
    shoplet.add(GOOD)
    ask(shoplet)
    open_form(page, stack, shoplet)
    text = page.get_by_role("dialog").inner_text()
    for said in (
        "Priya asks for 3 revisions",
        "Risk:",
        "Locks:",
        "restore-and-swap",
        "Rehearsed:",
        "0003_note",
    ):
        assert said in text
    fill(page, "approve", "Morgan", "read it in the browser")
    keep_picture(page, "approval-form")
    submit(page)
    assert wait_until_ended(shoplet) is Outcome.RELEASED
    (vote,) = shoplet.newest().votes
    assert (vote.approver, vote.comment) == ("Morgan", "read it in the browser")


def test_the_form_takes_no_answer_without_a_decision(page: Page, stack: Stack, shoplet: Shoplet) -> None:
    shoplet.add(GOOD)
    ask(shoplet)
    open_form(page, stack, shoplet)
    submit(page)
    page.get_by_text("required").first.wait_for()
    assert shoplet.newest().state == "waiting for approval"
    assert not shoplet.newest().votes


def test_what_destroys_asks_for_the_phrase(page: Page, stack: Stack, shoplet: Shoplet) -> None:
    before = shoplet.state()
    shoplet.add(DESTROYS)
    ask(shoplet)
    open_form(page, stack, shoplet)
    fill(page, "approve", "Morgan", "", phrase="yes please")
    keep_picture(page, "approval-form-destructive")
    submit(page)
    page.get_by_text("lacks the confirmation phrase").first.wait_for()
    assert shoplet.state() == before
    assert shoplet.newest().open, "it can be asked again"
