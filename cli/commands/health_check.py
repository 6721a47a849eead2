"""`faber-db health-check`: is an environment well?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import environment_argument, json_option, project_option

if TYPE_CHECKING:
    from faberdb.health.history import PastLook
    from faberdb.target import Target


@click.command("health-check")
@environment_argument
@click.option(
    "--checks",
    default="",
    help="Comma-separated: connectivity, migrations, schema, performance, safety, maintenance;"
    " names of single checks, such as lock-waits; project, for the project's own checks.",
)
@click.option(
    "--timeout", type=float, default=None, help="Seconds for the whole; default from the configuration."
)
@click.option("--history", is_flag=True, help="Show the last looks instead of looking.")
@click.option("--limit", default=20, show_default=True, help="So many of them.")
@project_option
@json_option
def command(
    environment: str,
    checks: str,
    timeout: float | None,
    history: bool,
    limit: int,
    project_dir: Path | None,
    as_json: bool,
) -> int:
    """Check ENV. Exit code 0 when healthy or degraded, 1 when unhealthy.

    A look at everything is kept beside the ledger, and what moved since the look before is told.
    """
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.health import HealthState
    from faberdb.release.verification import environment_health, history_of, keep_look

    chosen = tuple(c.strip() for c in checks.split(",") if c.strip()) or None
    with open_environment(project_dir, environment) as target:
        if history:
            looks = history_of(target).looks(limit)
            show({"looks": [look.to_json() for look in looks]}, _table(target, looks), as_json)
            return 0
        report = environment_health(target, checks=chosen, timeout_s=timeout)
        moved = keep_look(target, report) if chosen is None else []
    text = "\n".join([report.text(), *(f"  moved      {line}" for line in moved)])
    show({**report.to_json(), "moved": moved}, text, as_json)
    return 1 if report.overall is HealthState.UNHEALTHY else 0


def _table(target: Target, looks: list[PastLook]) -> str:
    if not looks:
        return f"No look at {target.name} was kept yet: faber-db health-check {target.name}"
    return "\n".join(
        f"{look.at:%Y-%m-%d %H:%M}  {look.state:<9}  {look.took_ms:>6.0f} ms  {'; '.join(look.unwell)}".rstrip()
        for look in looks
    )
