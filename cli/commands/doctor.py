"""`faber-db doctor`: what is wrong here, and what to type."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("doctor")
@project_option
@json_option
def command(project_dir: Path | None, as_json: bool) -> int:
    """Look at the configuration, servers, credentials, programs, the ledger and Prefect. Exit code 1 if one is
    bad.
    """
    from cli.opening import given_to
    from cli.output import show
    from deployments.examination import examine_prefect
    from faberdb.doctor import Finding, examine
    from faberdb.errors import FaberError
    from faberdb.project import load_project

    project = load_project(project_dir)
    findings, given = [], {}
    try:
        given = given_to(project, project.environments)
    except FaberError as error:
        findings.append(Finding(subject="blocks", well=False, text=error.reason, next_step=error.next_step))
    findings += examine(project, given)
    findings += examine_prefect(project.home)
    lines = []
    for f in findings:
        sign = click.style("✔", fg="green") if f.well else click.style("✘", fg="red")
        lines.append(f"{sign} {f.subject}: {f.text}")
        if f.next_step:
            lines.append(f"    Next: {f.next_step}")
    value = {
        "findings": [
            {"subject": f.subject, "well": f.well, "text": f.text, "next": f.next_step} for f in findings
        ]
    }
    show(value, "\n".join(lines), as_json)
    return 0 if all(f.well for f in findings) else 1
