"""Running a deployment from the terminal and watching it to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from cli.following import Ask, ask_in_terminal, drain, follow, raise_for
from cli.output import show, show_markdown
from deployments.api import PrefectApi
from deployments.stack import running_stack
from faberdb.ledger import Kind, Ledger
from faberdb.project import Project
from faberdb.release.record import read_release
from faberdb.report import release_markdown
from faberdb.target import open_project_ledger


def run_deployment(
    project: Project,
    deployment: str,
    parameters: Mapping[str, Any],
    *,
    as_json: bool,
    ask: Ask = ask_in_terminal,
) -> None:
    """Run a deployment on the Prefect at hand, or on one that lives as long as this command, and report."""

    def note(text: str) -> None:
        if not as_json:
            click.echo(click.style(f"… {text}", dim=True), err=True)

    with running_stack(project.home, note) as stack, open_project_ledger(project) as ledger:
        run_and_report(stack.api, ledger, deployment, parameters, as_json=as_json, ask=ask)


def run_and_report(
    api: PrefectApi,
    ledger: Ledger,
    deployment: str,
    parameters: Mapping[str, Any],
    *,
    as_json: bool,
    ask: Ask = ask_in_terminal,
) -> None:
    """Create the run, follow it, and print the report of the release that it ended.

    Raises:
        FaberError: the run's bad end, with its exit code.
    """
    before = ledger.newest()
    after = before.seq if before else 0
    run = api.create_run(deployment, parameters)
    try:
        state = follow(api, run, ledger, after=after, ask=ask, quiet=as_json)
    except KeyboardInterrupt:
        drain(api, run, ledger, quiet=as_json)
        raise
    closed = ledger.entries(after=after, kind=Kind.RELEASE_CLOSED)
    if closed:
        release = read_release(ledger, closed[-1].release)
        value = {"run": run, "state": state.kind, "release": release.id, "outcome": release.state}
        show_markdown(value, "\n" + release_markdown(release), as_json)
    elif state.kind == "COMPLETED":
        show(
            {"run": run, "state": state.kind, "release": "", "outcome": "nothing to do"},
            "Nothing to do.",
            as_json,
        )
    raise_for(state)
