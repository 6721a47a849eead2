"""`faber-db rescue`: what a rollback left in the set-aside database."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("rescue")
@click.argument("release", metavar="RELEASE")
@click.option("--format", "form", type=click.Choice(["sql", "csv"]), default="sql", help="Default: sql.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="A new folder for the files. Default: RELEASE-rescued.",
)
@project_option
@json_option
def command(release: str, form: str, output: Path | None, project_dir: Path | None, as_json: bool) -> None:
    """Write the rows that were set aside when RELEASE was taken back: those that are new, changed or gone against
    the live database. Nothing is written into any database.
    """
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.project import load_project
    from faberdb.release.record import read_release
    from faberdb.release.rescuing import rescue_release
    from faberdb.rescue_files import Format
    from faberdb.target import open_project_ledger

    with open_project_ledger(load_project(project_dir)) as ledger:
        environment = read_release(ledger, release).environment
    folder = output or Path(f"{release}-rescued")
    with open_environment(project_dir, environment) as target:
        facts = rescue_release(
            target, release, folder, Format(form), lambda note: click.echo(f"  {note}", err=True)
        )
    lines = [
        f"{t['table']}: {t['new']} new, {t['changed']} changed, {t['gone']} gone"
        + (f", {t['added']} with values of columns that went" if t["added"] else "")
        + (f" ({t['note']})" if t["note"] else "")
        for t in facts["tables"]
    ]
    where = (
        f"\n{len(facts['files'])} files in {folder}" if facts["files"] else "Nothing came after the snapshot."
    )
    show(facts, "\n".join([*lines, where]).strip(), as_json)
