"""`faber-db reject`: a no to a waiting release."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option, requester_option


@click.command("reject")
@click.argument("release")
@click.option("--reason", required=True, help="Kept in the ledger and shown to the requester.")
@click.option("--rollback", is_flag=True, help="Reject taking the release back.")
@requester_option
@project_option
@json_option
def command(
    release: str, reason: str, rollback: bool, person: str | None, project_dir: Path | None, as_json: bool
) -> None:
    """Reject RELEASE: nothing of it runs."""
    from cli.deciding import decide

    decide(
        project_dir,
        release,
        {"decision": "reject", "comment": reason, "phrase": ""},
        person=person,
        rollback=rollback,
        as_json=as_json,
    )
