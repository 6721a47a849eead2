"""`python -m deployments.webhooks`: run the receiver, or look at what it has accepted."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path

import click
import uvicorn

from deployments.api import PrefectApi
from deployments.webhooks.app import create_app
from deployments.webhooks.outbox import Delivery, Outbox
from deployments.webhooks.rules import require_known_parameters
from faberdb.embedded import start_server
from faberdb.errors import ConfigInvalid, FaberError, Refused, VariableMissing
from faberdb.project import Project, load_project

log = logging.getLogger("faber-db.webhooks")


@click.command()
@click.option("--project", "folder", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=4300, show_default=True)
@click.option("--list", "listing", is_flag=True, help="Show accepted deliveries, the newest first.")
@click.option("--resend", metavar="DELIVERY", default="", help="Try a refused delivery again.")
def main(folder: Path, host: str, port: int, listing: bool, resend: str) -> None:
    """Receive webhooks of GitHub, GitLab or any CI, and start what the project's rules say."""
    try:
        project = load_project(folder)
        if project.uses_embedded:
            start_server(project.home)
        if listing or resend:
            _look(project, resend)
        else:
            _serve(project, host, port)
    except FaberError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


def _serve(project: Project, host: str, port: int) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    log.setLevel(logging.INFO)
    api = _prefect()
    _check(project, api)
    app = create_app(project, api, ui=os.environ.get("PREFECT_UI_URL", ""))
    uvicorn.run(app, host=host, port=port, server_header=False, timeout_graceful_shutdown=5)


def _prefect() -> PrefectApi:
    url = os.environ.get("PREFECT_API_URL", "")
    if not url:
        raise VariableMissing(
            "PREFECT_API_URL is not set, and runs are made there.",
            next_step="export PREFECT_API_URL=http://127.0.0.1:4200/api",
        )
    return PrefectApi(url.rstrip("/"), os.environ.get("PREFECT_API_AUTH_STRING", ""))


def _check(project: Project, api: PrefectApi) -> None:
    """Refuse impossible rules now rather than at the first delivery; a Prefect that is away is no reason."""
    if not api.healthy():
        log.warning("Prefect at %s does not answer; the rules are checked at each delivery", api.url)
        return
    try:
        require_known_parameters(project, api)
    except ConfigInvalid:
        raise
    except (
        FaberError,
        ValueError,
        KeyError,
    ) as error:  # the latter two: something else answered in its place
        log.warning("the rules could not be checked: %s", error)


def _look(project: Project, resend: str) -> None:
    outbox = Outbox(project)
    with contextlib.closing(outbox):
        outbox.prepare()
        if resend:
            if not outbox.send_again(resend):
                raise Refused(f"There is no refused delivery {resend!r}.", next_step="look: --list")
            click.echo(f"{resend} is pending again.")
            return
        click.echo(_table([_HEAD, *(_row(d) for d in outbox.newest())]))


_HEAD = ("received", "state", "delivery", "repository", "event", "deployment", "run", "tries", "last error")


def _row(delivery: Delivery) -> tuple[str, ...]:
    return (
        delivery.received_at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        delivery.state.value,
        delivery.key,
        delivery.repository,
        delivery.event,
        delivery.deployment,
        delivery.run or "-",
        str(delivery.attempts),
        " ".join(delivery.last_error.split()) or "-",
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


if __name__ == "__main__":
    main()
