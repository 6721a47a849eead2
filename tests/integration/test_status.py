"""What `faber-db status` says of one environment, from nothing to a release that waits."""

from __future__ import annotations

import subprocess
import sys

from faberdb.connection import connect
from faberdb.given import NOTHING_GIVEN
from faberdb.look import begin_looks
from faberdb.release.record import newest_release
from faberdb.release.verification import environment_health, keep_look
from faberdb.status import EnvironmentStatus, read_status
from faberdb.status_page import status_page
from faberdb.target import Target
from tests.flows.shoplet import Shoplet
from tests.integration.releasing import land

NOTE = {"0003_note": "ALTER TABLE account ADD COLUMN note text;"}
LABEL = {"0004_label": "ALTER TABLE account ADD COLUMN label text;"}


def status_of(target: Target) -> EnvironmentStatus:
    looks = begin_looks(target.project, [target.environment], {target.name: NOTHING_GIVEN})
    (found,) = read_status(target.project, looks)
    return found


def line(target: Target, name: str) -> str:
    page = status_page(status_of(target)).splitlines()
    (found,) = (text.split(None, len(name.split()))[-1] for text in page if text.startswith(f"  {name} "))
    return found


def test_what_is_not_known_yet_has_a_line_that_says_so(target: Target) -> None:
    assert line(target, "revisions") == "2 applied, none pending"
    assert line(target, "drift") == "not known; what would tell: faber-db drift production"
    assert (line(target, "last release"), line(target, "snapshot")) == ("none", "none")
    assert line(target, "health") == "never examined: faber-db health-check production"
    assert line(target, "next") == "nothing to do"


def test_a_release_and_who_asked_and_agreed_drift_and_health_are_told(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(NOTE)
    release = land(shoplet)
    assert line(target, "drift") == "none since the last release"
    assert line(target, "last release").startswith(f"{release.id}: released, ")
    assert line(target, "last release").endswith(" by Priya, approved by Morgan")
    assert "; proven by a restore " in line(target, "snapshot")

    with connect(target.dsn, purpose="test") as conn:
        conn.execute("CREATE INDEX by_hand ON account (note)")
    keep_look(target, environment_health(target))

    assert line(target, "drift") == "not what the last release left: faber-db drift production"
    assert line(target, "health").startswith("degraded, ")


def test_a_release_that_waits_is_an_open_approval_beside_the_last_release(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add(NOTE)
    before = land(shoplet)
    shoplet.add(LABEL)
    shoplet.approve()
    waiting = newest_release(target.ledger, "production")
    assert waiting is not None
    assert line(target, "revisions") == "3 applied, 1 pending: 0004_label"
    assert line(target, "last release").startswith(before.id)
    assert line(target, "approval").startswith(f"{waiting.id} waits for a person, asked ")
    assert line(target, "next") == f"faber-db approve {waiting.id} --as NAME"
    assert status_of(target).to_json()["waiting"][0]["release"] == waiting.id


def test_an_undo_that_waits_is_an_open_approval(shoplet: Shoplet, target: Target) -> None:
    from faberdb.release.permission import ask_rollback

    shoplet.add(NOTE)
    release = land(shoplet)
    assert ask_rollback(target, release, requester="Priya", cause="test")

    assert line(target, "approval").startswith(f"taking back {release.id} waits for a person, asked ")
    assert line(target, "next") == f"faber-db approve {release.id} --rollback --as NAME"


def test_it_imports_neither_prefect_nor_what_it_does_not_use(shoplet: Shoplet) -> None:
    """Each of them would take longer than the look itself."""
    heavy = ("prefect", "postgast", "boto3", "httpx", "psutil")
    script = f"import sys; sys.modules.update(dict.fromkeys({heavy}))\nfrom cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", script, "status", "--project", shoplet.root],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "revisions    2 applied, none pending" in done.stdout
