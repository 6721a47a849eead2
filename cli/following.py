"""Watching a flow run from the terminal: what the ledger says as it says it, and the question to a person.

The ledger is read, not Prefect's log: it holds what happened, without the noise.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click

from deployments.api import PrefectApi, RunState
from faberdb.errors import ApprovalPending, FaberError, Failed
from faberdb.ledger import Entry, Kind, Ledger
from faberdb.release.record import Release, read_release
from faberdb.report import listed

_POLL_S = 0.25
_DRAIN_S = 60  # Prefect looks for runs to cancel every few seconds
_WAIT_BOUND_S = 6 * 3600  # a followed run that takes longer goes on without being watched

Ask = Callable[[Release], dict[str, str] | None]
"""Gets a waiting release; returns the form's answer, or None to leave it waiting."""


@dataclass(slots=True)
class _Watch:
    seen: int
    waiting: str = ""  # the release that a person was asked about last
    answered: str = ""


def follow(
    api: PrefectApi, run: str, ledger: Ledger, *, after: int, ask: Ask, quiet: bool = False
) -> RunState:
    """Print a run's steps as they happen until it ends.

    Args:
        api: the Prefect that runs it.
        run: the flow run's id.
        ledger: where its steps are written.
        after: the ledger's last entry before the run was created.
        ask: called once for each release that waits for a person.
        quiet: print nothing.

    Raises:
        ApprovalPending: a person has to decide, and `ask` left it open.
    """
    watch = _Watch(seen=after)
    deadline = time.monotonic() + _WAIT_BOUND_S
    while time.monotonic() < deadline:
        state = api.state(run)
        for entry in ledger.entries(after=watch.seen):
            watch.seen = entry.seq
            if entry.kind is Kind.APPROVAL_ASKED:
                watch.waiting = entry.release
            if not quiet:
                _print(entry)
        if state.ended:
            return state
        if not state.waiting:
            watch.answered = ""  # a second person's answer is asked for anew
        if state.waiting and watch.waiting and watch.answered != watch.waiting:
            _answer(api, run, ledger, watch, ask)
        time.sleep(_POLL_S)
    raise Failed("The run is still going and is watched no longer.", next_step="faber-db status")


def drain(api: PrefectApi, run: str, ledger: Ledger, *, quiet: bool = False) -> None:
    """Cancel a run that is at work, and print what its steps still say until it has ended.

    A run that waits for a person is left waiting: it waits without a process, and others may answer.
    """
    state = api.state(run)
    if state.ended or state.waiting:
        return
    newest = ledger.newest()
    seen = newest.seq if newest else 0
    click.echo("Cancelling: the running statement ends now, and nothing is half done.", err=True)
    api.cancel(run)
    deadline = time.monotonic() + _DRAIN_S
    while not api.state(run).ended and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    if not quiet:
        for entry in ledger.entries(after=seen):
            _print(entry)


def _answer(api: PrefectApi, run: str, ledger: Ledger, watch: _Watch, ask: Ask) -> None:
    release = read_release(ledger, watch.waiting.removesuffix("/rollback"))
    answer = ask(release)
    if answer is None:
        rollback = " --rollback" if watch.waiting.endswith("/rollback") else ""
        raise ApprovalPending(
            f"Release {release.id} waits for approval.",
            why="It waits without a process; nothing is lost if this terminal closes.",
            next_step=f"faber-db approve {release.id}{rollback} --as NAME",
        )
    api.resume(run, answer)
    watch.answered = watch.waiting


def raise_for(state: RunState) -> None:
    """Turn a run's bad end into the error with the right exit code."""
    if state.kind == "COMPLETED":
        return
    if state.kind == "CRASHED":
        raise Failed(
            "The run's process died.",
            why=state.message.splitlines()[0] if state.message else "",
            next_step="the same command goes on; where faber-db up runs, the release is recovered by itself",
        )
    text = state.message or f"The run ended {state.name}."
    # Prefect keeps an exception's class name and text in the state's message, and nothing else of it.
    text = text.removeprefix("Flow run encountered an exception: ")
    name, _, rest = text.partition(": ")
    lines = (rest or text).splitlines()
    why = next((x.removeprefix("Why: ") for x in lines if x.startswith("Why: ")), "")
    next_step = next((x.removeprefix("Next: ") for x in lines if x.startswith("Next: ")), "")
    raise _class_of(name)(lines[0], why=why, next_step=next_step)


def _class_of(name: str) -> type[FaberError]:
    from faberdb import errors

    found = getattr(errors, name, Failed)
    return found if isinstance(found, type) and issubclass(found, FaberError) else Failed


def ask_in_terminal(release: Release) -> dict[str, str] | None:
    """Ask the person at the terminal, where there is one."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    click.echo()
    name = click.prompt(f"  Approver (someone other than {release.requester or 'the requester'})")
    decision = click.prompt("  Decision", type=click.Choice(["approve", "reject"]))
    phrase = click.prompt("  Confirmation phrase", default="") if release.plan.approval == "enhanced" else ""
    comment = click.prompt("  Comment", default="")
    return {"decision": decision, "approver": name, "comment": comment, "phrase": phrase}


def _print(entry: Entry) -> None:
    for line in _lines(entry):
        click.echo(line)


def _lines(entry: Entry) -> Iterator[str]:
    body = entry.body
    match entry.kind:
        case Kind.PHASE_BEGUN:
            yield click.style(f"\n{body['phase'].upper()}", bold=True)
        case Kind.PHASE_ENDED:
            yield from (f"  {line}" for line in body["text"].splitlines())
        case Kind.RELEASE_OPENED:
            steps = len(body["plan"]["steps"])
            yield f"  release to {entry.environment}: {steps} revisions, plan {body['digest'][:12]}"
        case Kind.APPROVAL_ASKED:
            yield click.style(f"  waiting for approval: {entry.release}", fg="yellow")
        case Kind.VOTE_CAST:
            yield f"  {body['decision']} by {body['approver']}" + (
                f": {body['comment']}" if body["comment"] else ""
            )
        case Kind.STEP_DONE:
            yield f"    {click.style('✔', fg='green')} {body['step']}{_facts(body['outcome'])}"
        case Kind.STEP_FAILED:
            yield f"    {click.style('✘', fg='red')} {body['step']}: {body['what']} {body['why']}"
        case Kind.STEP_NOTED:
            yield click.style(f"      {body['note']}", dim=True)
        case Kind.ROLLBACK_OPENED:
            yield click.style(f"  taking back {entry.release}", fg="yellow")
        case Kind.RELEASE_CLOSED:
            yield click.style(f"  {entry.environment}: {body['outcome']}", bold=True)


def _facts(outcome: dict[str, object]) -> str:
    shown = []
    for key, value in outcome.items():
        text = _fact(value)
        if not text:
            continue
        shown.append(f"{key.replace('_', ' ')} {text[:12] if len(text) == 64 else text}")
    return f" ({'; '.join(shown)})" if shown else ""


def _fact(value: object) -> str:
    if isinstance(value, list):
        return listed(value)
    if value is None or value == {}:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
