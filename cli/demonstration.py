"""The demo: an existing shop, a good change that lands, and a bad one that is taken back by itself.

Everything is real: PostgreSQL, the Prefect server, its worker and the deployments. Only the shop and its
people are made up. All of it lives in `.faber/demo` of the repository.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from msgspec import Struct

from cli.following import Ask, ask_in_terminal
from cli.output import show_markdown
from cli.running import run_and_report
from deployments.stack import Stack, running_stack
from faberdb.connection import connect, run
from faberdb.credentials import resolve_dsn
from faberdb.databases import drop_database, list_databases
from faberdb.embedded import start_server, stop_server
from faberdb.errors import Failed, Refused, TakenBack
from faberdb.progress import silent
from faberdb.project import Project, load_project
from faberdb.provisioning import create_environment_database
from faberdb.release.evidence import find_evidence
from faberdb.release.record import Outcome, Release, newest_release
from faberdb.report import plan_markdown
from faberdb.seeding import run_seed_script
from faberdb.subprocesses import run_program
from faberdb.target import Target, open_project_ledger, open_target

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "shop"
APPROVER = "Morgan Chen"


class Change(Struct, frozen=True, kw_only=True):
    """One of the example's prepared changes."""

    folder: str
    story: str


GOOD = Change(folder="0001_loyalty_points", story="A good change: loyalty points for returning customers")
BAD = Change(
    folder="0002_support_can_see_orders",
    story="A bad change: it passes everywhere, and stops the checkout in production",
)


def demonstrate() -> None:
    """Run the demo to its end.

    Raises:
        Refused: the examples are not here (an installed wheel does not carry them).
        Failed: something did not come out as the demo promises.
    """
    if not EXAMPLE.is_dir():
        raise Refused("The demo needs the repository's examples.", next_step="run it from a clone: make demo")
    signal.signal(signal.SIGTERM, _interrupt)
    home = EXAMPLE.parent.parent / ".faber" / "demo"
    os.environ["FABER_DB_HOME"] = str(home)
    root = home / "shop"
    with _everything_ended(home):
        _say("An existing shop")
        start_server(home)
        _forget(home)
        _copy_shop(root)
        project = load_project(root)
        _build_existing(project)
        with running_stack(home, lambda note: click.echo(f"  {note}")) as stack:
            _show_changes(project, stack)
            if sys.stdin.isatty() and sys.stdout.isatty():
                click.echo(f"\nPrefect's UI: {stack.ui}   (the artifacts hold the plans and reports)")
                click.prompt("Press Enter to stop everything", default="", show_default=False)


def _show_changes(project: Project, stack: Stack) -> None:
    _release(project, stack, GOOD)
    _expect(project, Outcome.RELEASED)
    try:
        _release(project, stack, BAD)
    except TakenBack as error:
        click.echo(click.style(f"\n↩ {error.what}", bold=True))
    _expect(project, Outcome.ROLLED_BACK)


def _release(project: Project, stack: Stack, change: Change) -> None:
    _say(change.story)
    source = EXAMPLE / "changes" / change.folder
    for part in sorted(source.iterdir()):
        if part.is_dir():
            shutil.copytree(part, project.root / "prisma" / "migrations" / part.name)
        elif part.name == "schema.prisma":
            shutil.copy(part, project.root / "prisma" / part.name)
        else:
            shutil.copy(part, project.root / part.name)
    _commit(project.root, change.story)
    parameters = {"project": str(project.root), "work_item": "work-item.md"}
    with open_project_ledger(project) as ledger:
        run_and_report(stack.api, ledger, "pipeline/faber-db", parameters, as_json=False, ask=_asker(project))


def _asker(project: Project) -> Ask:
    """Show the plan, then ask the person at the terminal, or answer as the demo's approver."""

    def ask(release: Release) -> dict[str, str] | None:
        with open_target(project.root, release.environment) as target:
            evidence = find_evidence(target, release.digest)
        show_markdown({}, "\n" + plan_markdown(release.plan, evidence), as_json=False)
        answer = ask_in_terminal(release)
        if answer is not None:
            return answer
        click.echo(f"  no terminal to ask in: {APPROVER}, the demo's approver, says yes")
        return {"decision": "approve", "approver": APPROVER, "comment": "looks safe to me", "phrase": ""}

    return ask


def _expect(project: Project, outcome: Outcome) -> None:
    with open_project_ledger(project) as ledger:
        newest = newest_release(ledger, "production")
    if newest is None or newest.outcome is not outcome:
        state = newest.state if newest else "nothing"
        raise Failed(f"The demo expected production to end {outcome.value}, and it is {state}.")


def _build_existing(project: Project) -> None:
    """The shop as it was before faber-db came: production and staging in use, made by Prisma alone."""
    with open_target(project.root, "production") as target:
        create_environment_database(target, silent)
        _apply_as_prisma_did(target)
        run_seed_script(target)
        production = target.dsn
    staging = resolve_dsn(project, project.environment("staging"))
    with connect(production.with_database("postgres"), purpose="demo") as conn:
        run(conn, "CREATE DATABASE {copy} TEMPLATE {of}", copy=staging.database, of=production.database)
    with connect(production, purpose="demo") as conn:
        rows = conn.execute("SELECT sum(n_live_tup)::bigint FROM pg_stat_user_tables").fetchone()
    click.echo(f"  production and staging: 14 revisions applied, about {rows[0] if rows else 0:,} rows each")


def _apply_as_prisma_did(target: Target) -> None:
    from faberdb.budget import Budget

    with connect(target.dsn, purpose="demo") as conn:
        for revision in target.tool.revisions():
            target.tool.apply(conn, revision, Budget(), silent)


def _copy_shop(root: Path) -> None:
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("changes", "__pycache__"))
    _git(root, "init", "--quiet", "--initial-branch", "main")
    _commit(root, "The shop")


def _commit(root: Path, message: str) -> None:
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", message)


def _git(root: Path, *arguments: str) -> None:
    who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        who |= {f"GIT_{role}_NAME": "Shop Developer", f"GIT_{role}_EMAIL": "developer@shop.example"}
    run_program(["git", *arguments], timeout_s=30, environment=who, cwd=root, what=f"git {arguments[0]}")


def _forget(home: Path) -> None:
    """Start from nothing: the demo's databases, its ledger and its snapshots are nobody else's."""
    server = start_server(home)
    for name in list_databases(server):
        if name.startswith("shop_") or name == "faber_ledger":
            drop_database(server.with_database(name))
    for folder in ("shop", "snapshots"):
        shutil.rmtree(home / folder, ignore_errors=True)


@contextmanager
def _everything_ended(home: Path) -> Iterator[None]:
    try:
        yield
    finally:
        stop_server(home)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    click.echo(
        click.style(f"\n━━ {text} ", bold=True, fg="cyan")
        + click.style("━" * max(0, 76 - len(text)), fg="cyan")
    )
