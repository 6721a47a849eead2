"""`faber-db init`: the configuration of a project."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from cli.options import json_option


@click.command("init")
@click.option(
    "--project", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default="."
)
@click.option("--provider", type=click.Choice(["postgresql"]), default="postgresql", show_default=True)
@click.option(
    "--hosting", type=click.Choice(["embedded", "postgres"]), default=None, help="Who runs the servers."
)
@click.option("--migration-tool", type=click.Choice(["prisma"]), default=None)
@click.option("--environments", default=None, metavar="NAMES", help="Comma-separated, in order of promotion.")
@click.option("--yes", is_flag=True, help="Ask nothing; take the defaults for what is not given.")
@click.option("--force", is_flag=True, help="Replace a configuration that is there.")
@json_option
def command(
    folder: Path,
    provider: str,
    hosting: str | None,
    migration_tool: str | None,
    environments: str | None,
    yes: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write faber-db.toml: asks in a terminal, takes flags without one, never overwrites without --force."""
    from cli.output import show
    from faberdb.config.load import FILE_NAME
    from faberdb.config.model import Hosting
    from faberdb.config.template import render, write_config
    from faberdb.errors import Refused
    from faberdb.project import load_project

    folder = folder.resolve()
    asking = not yes and sys.stdin.isatty()
    if not asking and not yes and hosting is None:
        raise Refused(
            "There is no terminal to ask in.",
            next_step="faber-db init --yes, or give --hosting, --migration-tool and --environments",
        )
    if (folder / FILE_NAME).exists() and not force:
        write_config(folder, "", force=False)  # refuses before anything is asked
    name = re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_") or "project"
    name = name if name[0].isalpha() else f"p_{name}"
    chosen_hosting = hosting or _ask(asking, "Hosting", "embedded", ["embedded", "postgres"])
    tool = migration_tool or _ask(asking, "Migration tool", "prisma", ["prisma"])
    listed = environments or _ask(asking, "Environments, in order of promotion", "dev,staging,production")
    names = [n.strip() for n in listed.split(",") if n.strip()]
    protected = _ask(asking, "Protected (approval, snapshot and health always)", names[-1])
    guarded = [n.strip() for n in protected.split(",") if n.strip()]
    text = render(
        name=name, hosting=Hosting(chosen_hosting), tool=tool, environments=names, protected=guarded
    )
    path = write_config(folder, text, force=force)
    project = load_project(path)
    lines = [f"Wrote {path}.", *_next_steps(project)]
    show({"path": str(path), "project": project.name, "environments": names}, "\n".join(lines), as_json)


def _ask(asking: bool, question: str, default: str, choices: list[str] | None = None) -> str:
    if not asking:
        return default
    kind = click.Choice(choices) if choices else None
    return str(click.prompt(question, default=default, type=kind))


def _next_steps(project: object) -> list[str]:
    from faberdb.credentials import unset_variables
    from faberdb.project import Project

    assert isinstance(project, Project)
    steps = []
    if not project.migrations_directory.is_dir():
        steps.append(
            f"No revisions in {project.migrations_directory} yet: set migrations.directory if they are elsewhere."
        )
    steps += [f"Set {v}, in the environment or in .env." for v in unset_variables(project)]
    steps += ["Next: faber-db config check", f"Then: faber-db db-create {project.environments[0].name}"]
    return steps
