"""`faber-db approve`: a yes to a waiting release."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option, requester_option


@click.command("approve")
@click.argument("release")
@click.option("--comment", default="", help="Kept in the ledger.")
@click.option("--phrase", default="", help="The confirmation phrase, where the plan asks for it.")
@click.option("--rollback", is_flag=True, help="Approve taking the release back.")
@requester_option
@project_option
@json_option
def command(
    release: str,
    comment: str,
    phrase: str,
    rollback: bool,
    person: str | None,
    project_dir: Path | None,
    as_json: bool,
) -> None:
    """Approve RELEASE as someone other than its requester, and let its run go on."""
    from cli.deciding import decide

    decide(
        project_dir,
        release,
        {"decision": "approve", "comment": comment, "phrase": phrase},
        person=person,
        rollback=rollback,
        as_json=as_json,
    )
