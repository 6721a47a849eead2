"""A person's decision: into the ledger, which counts, and to the suspended run, which goes on."""

from __future__ import annotations

from pathlib import Path

from cli.opening import open_environment
from cli.output import show
from cli.person import person_typing
from deployments.stack import find_prefect
from faberdb.errors import FaberError
from faberdb.project import load_project
from faberdb.release.approval import Decision, Vote
from faberdb.release.permission import cast_rollback_vote, cast_vote, rollback_digest, rollback_run
from faberdb.release.record import read_release
from faberdb.target import open_project_ledger


def decide(
    project_dir: Path | None,
    release: str,
    answer: dict[str, str],
    *,
    person: str | None,
    rollback: bool,
    as_json: bool,
) -> None:
    """Cast a vote and resume the run that waits for it, if a Prefect is at hand.

    Raises:
        NotApproved: the vote breaks a rule; nothing is written and nothing resumed.
    """
    approver = person_typing(person)
    project = load_project(project_dir)
    with open_project_ledger(project) as ledger:
        environment = read_release(ledger, release).environment
    with open_environment(project_dir, environment) as target:
        record = read_release(target.ledger, release)
        vote = Vote(
            digest=rollback_digest(record) if rollback else record.digest,
            decision=Decision(answer["decision"]),
            approver=approver,
            comment=answer["comment"],
            phrase=answer["phrase"],
        )
        (cast_rollback_vote if rollback else cast_vote)(target, record, vote)
        run = rollback_run(target, record) if rollback else record.run
    resumed = _resume(project.home, run, answer | {"approver": approver})
    verb = "approved" if vote.decision is Decision.APPROVE else "rejected"
    text = f"{release} is {verb} by {approver}; the ledger has it. {resumed}"
    show(
        {"release": release, "decision": vote.decision.value, "approver": approver, "run": resumed},
        text,
        as_json,
    )


def _resume(home: Path, run: str, answer: dict[str, str]) -> str:
    """Let the suspended run go on; the vote stands even where that cannot be done from here."""
    try:
        api = find_prefect(home)
        if api is None or not run:
            return "The same command as before goes on from here."
        if not api.state(run).waiting:
            return "No run waits for it now; the same command as before goes on from here."
        api.resume(run, answer)
    except FaberError as error:
        return f"Its run was not resumed: {error.what} The same command as before goes on from here."
    return "Its run goes on."
