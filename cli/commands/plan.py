"""`faber-db plan`: what would run."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import environment_argument, json_option, project_option, requester_option
from cli.person import person_typing


@click.command("plan")
@environment_argument
@click.option("--work-item", default="", metavar="FILE", help="The work item, relative to the project.")
@click.option(
    "--safer",
    is_flag=True,
    help="Offer a lock-safe form of it, tried on copies of the schema.",
)
@click.option(
    "--write", is_flag=True, help="With --safer: write it as new revisions in the place of the old."
)
@requester_option
@project_option
@json_option
def command(
    environment: str,
    work_item: str,
    safer: bool,
    write: bool,
    person: str | None,
    project_dir: Path | None,
    as_json: bool,
) -> None:
    """Show what would run in ENV, at what risk, and how it would be undone. Writes nothing but with --write."""
    if write and not safer:
        raise click.UsageError("--write writes what --safer offers: give both.")
    if safer:
        show_safer(environment, project_dir, write=write, as_json=as_json)
    else:
        show_plan(environment, work_item, person_typing(person), project_dir, as_json)


def show_safer(environment: str, project_dir: Path | None, *, write: bool, as_json: bool) -> None:
    """Offer the lock-safe form of pending revisions, and write it where that was asked for."""
    from cli.opening import open_environment
    from cli.output import show_markdown
    from faberdb.safer import offers, write_offers
    from faberdb.safer.page import offers_markdown

    with open_environment(project_dir, environment) as target:
        found = offers(target)
        files: tuple[Path, ...] = ()
        if write:
            applied = {e.name: _on_record(project_dir, e.name) for e in target.project.environments}
            files = write_offers(target.tool, found, applied=applied, home=target.project.home)
    value = {"offers": [offer.to_json() for offer in found], "written": [str(f) for f in files]}
    text = offers_markdown(environment, found)
    if files:
        text += "\n".join(["Written:", *(f"- {f}" for f in files)]) + "\n"
        text += f"\nNext: read them, commit them, then: faber-db plan {environment}\n"
    show_markdown(value, text, as_json)


def _on_record(project_dir: Path | None, environment: str) -> frozenset[str]:
    """The revisions that an environment's database knows, begun or applied; none where there is no database."""
    from cli.opening import open_environment
    from faberdb.connection import connect
    from faberdb.errors import DatabaseMissing

    with open_environment(project_dir, environment) as target:
        try:
            with connect(target.dsn, purpose="plan", read_only=True) as conn:
                return frozenset(t.name for t in target.tool.tracked(conn))
        except DatabaseMissing:
            return frozenset()


def show_plan(
    environment: str,
    work_item: str,
    requester: str,
    project_dir: Path | None,
    as_json: bool,
    *,
    prove: bool = False,
) -> None:
    """Print the plan of an environment; a plan that policy forbids is shown, and then refused.

    Args:
        environment: its name.
        work_item: path of the work item, "" for none.
        requester: who asks.
        project_dir: the project's folder, None for this one.
        as_json: print JSON.
        prove: say by the server's own counters that nothing was written.
    """
    from contextlib import ExitStack

    from cli.opening import open_environment
    from cli.output import show_markdown
    from faberdb.plan import plan_to_json
    from faberdb.release.evidence import find_evidence
    from faberdb.release.opening import plan_target, refuse_blocked
    from faberdb.report import plan_markdown
    from faberdb.untouched import counted
    from faberdb.workitem import title_of

    with open_environment(project_dir, environment) as target, ExitStack() as proof:
        seen = proof.enter_context(counted(target.dsn)) if prove else None
        change = title_of(target.project.root, work_item)
        plan = plan_target(target, change=change, requester=requester)
        evidence = find_evidence(target, plan.digest)
    value, text = plan_to_json(plan) | {"digest": plan.digest}, plan_markdown(plan, evidence)
    if seen is not None:
        value["written"] = {"transactions": seen.transactions, "wal_bytes": seen.wal_bytes}
        text += f"\n{seen.text}\n"
    show_markdown(value, text, as_json)
    refuse_blocked(plan)
