"""`faber-db health-check`: is an environment well?"""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import environment_argument, json_option, project_option


@click.command("health-check")
@environment_argument
@click.option("--checks", default="", help="Comma-separated: connectivity, migrations, schema, performance.")
@click.option(
    "--timeout", type=float, default=None, help="Seconds for the whole; default from the configuration."
)
@project_option
@json_option
def command(
    environment: str, checks: str, timeout: float | None, project_dir: Path | None, as_json: bool
) -> int:
    """Check ENV. Exit code 0 when healthy or degraded, 1 when unhealthy."""
    from cli.opening import open_environment
    from cli.output import show
    from faberdb.health import HealthState
    from faberdb.release.verification import environment_health

    chosen = tuple(c.strip() for c in checks.split(",") if c.strip()) or None
    with open_environment(project_dir, environment) as target:
        report = environment_health(target, checks=chosen, timeout_s=timeout)
    show(report.to_json(), report.text(), as_json)
    return 1 if report.overall is HealthState.UNHEALTHY else 0
