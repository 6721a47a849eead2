"""`faber-db lint`: what would hurt a running application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import json_option, project_option

if TYPE_CHECKING:
    from faberdb.config.linting import LintSection
    from faberdb.risk import Finding

_LEVELS = ("low", "medium", "high", "critical", "never")


@click.command("lint")
@click.argument("what", nargs=-1, metavar="[FILE... | ENV]")
@click.option(
    "--fail-on",
    type=click.Choice(_LEVELS),
    default="high",
    show_default=True,
    help="Exit with 1 when a finding that is not ignored has this risk or more.",
)
@project_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, what: tuple[str, ...], fail_on: str, project_dir: Path | None, as_json: bool
) -> None:
    """Say what in SQL files, or in what is pending for ENV, would hurt a running application.

    Files need no database, no configuration and no Prefect. With ENV, its database is read: sizes, traffic, types.
    Without either, all revisions of the project are looked at.
    """
    from msgspec import to_builtins

    from cli.output import show_markdown
    from faberdb.lint.page import finding_lines
    from faberdb.risk import Risk

    findings, notes = _looked(what, project_dir)
    text = "\n".join([*finding_lines(findings), *(f"- {note}" for note in notes)])
    value = {"findings": to_builtins(findings), "notes": list(notes)}
    show_markdown(value, text or "Nothing would hurt a running application.", as_json)
    weighing = [f for f in findings if not f.ignored]
    if fail_on != "never" and any(f.risk.weight >= Risk(fail_on).weight for f in weighing):
        ctx.exit(1)


def _looked(what: Sequence[str], project_dir: Path | None) -> tuple[Sequence[Finding], Sequence[str]]:
    from faberdb.errors import Refused

    files = [Path(w) for w in what]
    if what and all(f.is_file() for f in files):
        scripts = {str(f): _read(f) for f in files}
        return _offline(scripts, _options(project_dir))
    if len(what) == 1 and not what[0].endswith(".sql"):
        return _pending(what[0], project_dir)
    if what:
        missing = next(str(f) for f in files if not f.is_file())
        raise Refused(f"There is no file {missing}.", next_step="faber-db lint FILE... or faber-db lint ENV")
    from faberdb.project import load_project
    from faberdb.target import tool_of

    project = load_project(project_dir)
    revisions = tool_of(project).revisions()
    return _offline({r.name: r.script for r in revisions}, project.config.lint)


def _read(path: Path) -> str:
    from faberdb.errors import Refused

    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8.", next_step="save it as UTF-8 without BOM") from None


def _offline(scripts: Mapping[str, str], options: LintSection) -> tuple[Sequence[Finding], Sequence[str]]:
    from faberdb.lint.linting import lint_scripts
    from faberdb.lint.squawk import SecondOpinion, ask_squawk

    second = ask_squawk(scripts) if options.squawk else SecondOpinion(opinions={})
    linted = lint_scripts(scripts, options=options, opinions=second.opinions)
    notes = [note for found in linted.values() for note in found.notes]
    return [f for found in linted.values() for f in found.findings], notes + [second.note] * bool(second.note)


def _pending(environment: str, project_dir: Path | None) -> tuple[Sequence[Finding], Sequence[str]]:
    from cli.opening import open_environment
    from faberdb.release.opening import plan_target

    with open_environment(project_dir, environment) as target:
        plan = plan_target(target)
    return plan.findings, plan.notes


def _options(project_dir: Path | None) -> LintSection:
    """The project's, where there is one; files alone need none."""
    from faberdb.config.linting import LintSection
    from faberdb.config.load import find_config
    from faberdb.errors import ConfigInvalid
    from faberdb.project import load_project

    try:
        find_config(project_dir)
    except ConfigInvalid:
        return LintSection()
    return load_project(project_dir).config.lint
