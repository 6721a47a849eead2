"""`faber-db config`: is the configuration right, and what can it say?"""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.group("config")
def command() -> None:
    """Check the configuration; print its JSON Schema."""


@command.command("check")
@project_option
@json_option
def check(project_dir: Path | None, as_json: bool) -> int:
    """Say what the configuration amounts to, what has no effect, and what is missing. Exit code 1 if something is."""
    from cli.output import show
    from faberdb.checks import runnable
    from faberdb.config.coverage import keys_without_effect
    from faberdb.credentials import unset_variables
    from faberdb.project import load_project
    from faberdb.target import tool_of

    project = load_project(project_dir)
    for environment in project.environments:
        runnable(project.checks_for(environment.name))
    idle = keys_without_effect(project.config)
    unset = unset_variables(project)
    lines = [f"{project.config_path} is valid."]
    for e in project.environments:
        p = e.policy
        asks = "asks a person" if p.approval else "asks nobody"
        lines.append(
            f"  {e.name}: {e.hosting.value}, {'protected, ' if p.protected else ''}{asks}, snapshot {p.backup.value}"
        )
    revisions = len(tool_of(project).revisions()) if project.migrations_directory.is_dir() else 0
    lines.append(f"  {revisions} revisions in {project.migrations_directory}")
    lines += [f"  {key} has no effect: {why}" for key, why in idle]
    warning = project.tracked_secrets()
    lines += [f"  warning: {warning}"] if warning else []
    lines += [f"  missing: {v} is not set" for v in unset]
    value = {
        "path": str(project.config_path),
        "environments": [e.name for e in project.environments],
        "revisions": revisions,
        "without_effect": dict(idle),
        "missing": unset,
        "warning": warning,
    }
    show(value, "\n".join(lines), as_json)
    return 1 if unset else 0


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema, for editors."""
    import json

    from faberdb.config.model import FaberConfig

    click.echo(json.dumps(FaberConfig.model_json_schema(), indent=2))
