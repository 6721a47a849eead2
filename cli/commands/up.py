"""`faber-db up`: everything a team needs to try it for real, on one machine."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, project_option


@click.command("up")
@click.option("--detach", is_flag=True, help="Return when everything answers; end it with faber-db down.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen there; others need a password.")
@click.option("--port", default=4200, show_default=True, help="Of Prefect's API and UI.")
@click.option("--webhook-port", default=4210, show_default=True, help="Of the webhook receiver; 0: none.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 16), help="How many.")
@project_option
@json_option
def command(
    detach: bool,
    host: str,
    port: int,
    webhook_port: int,
    workers: int,
    project_dir: Path | None,
    as_json: bool,
) -> None:
    """Run the Prefect server, workers and the webhook receiver, with deployments, blocks and automations
    registered for the project, and start again what ends. Prefect's database is on the embedded PostgreSQL
    unless PREFECT_API_DATABASE_CONNECTION_URL names another.
    """
    from cli.output import show
    from deployments.stack_state import remembered
    from faberdb.errors import Refused
    from faberdb.project import load_project

    project = load_project(project_dir)
    state = remembered(project.home)
    if _at_work(project.home):
        raise Refused(
            f"Prefect runs here already: {state.api.removesuffix('/api')}.",
            next_step="use it, or end it first: faber-db down",
        )
    if not detach:
        _stay(project.root, project.home, host, port, webhook_port, workers)
        return
    from deployments.supervisor import detach as run_detached

    options = ["--host", host, "--port", str(port), "--webhook-port", str(webhook_port)]
    options += ["--workers", str(workers), "--project", str(project.root)]
    click.echo("starting ", nl=False, err=True)
    state = run_detached(project.home, options, told=lambda: click.echo(".", nl=False, err=True))
    click.echo(err=True)
    show(
        {"ui": state.api.removesuffix("/api"), "receiver": state.receiver, "process": state.owner},
        _addresses(state.api, state.receiver) + "\nIt stays up: faber-db down ends it.",
        as_json,
    )


def _at_work(home: Path) -> bool:
    from deployments.stack_state import is_ours, remembered

    state = remembered(home)
    return bool(state.api) and is_ours(state.owner)


def _stay(root: Path, home: Path, host: str, port: int, webhook_port: int, workers: int) -> None:
    import signal
    import threading

    from deployments.stack import Shape, running_stack
    from deployments.stack_state import remembered
    from deployments.supervisor import keep_running

    stop = threading.Event()

    def told(note: str) -> None:
        click.echo(f"  {note}")

    shape = Shape(
        host=host,
        port=port,
        workers=workers,
        receiver_port=webhook_port or None,
        project=root,
        supervised=True,
    )
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with running_stack(home, told, shape=shape) as stack:
            state = remembered(home)
            click.echo(_addresses(state.api, state.receiver) + "\nCtrl-C ends it.")
            keep_running(home, stack, stop, told)
            click.echo("  ending everything")
    except KeyboardInterrupt:
        click.echo("  everything is ended")


def _addresses(api: str, receiver: str) -> str:
    ui = api.removesuffix("/api")
    lines = [f"Prefect's UI        {ui}", f"webhook receiver    {receiver or 'not run'}"]
    return "\n".join(lines)
