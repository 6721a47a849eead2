"""What is wrong with the Prefect that runs our flows, and what to type about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deployments.api import PrefectApi
from deployments.automations import NAMES
from deployments.registration import POOL
from deployments.stack import find_prefect
from deployments.stack_state import is_ours, remembered
from faberdb.doctor import Finding
from faberdb.errors import AuthenticationFailed, FaberError


def examine_prefect(home: Path) -> list[Finding]:
    """Look at the server, workers, deployments, automations and the webhook receiver, where a Prefect is known."""
    state = remembered(home)
    try:
        api = find_prefect(home)
    except AuthenticationFailed as error:
        return [Finding(subject="Prefect", well=False, text=error.reason, next_step=error.next_step)]
    if api is None and state.api and is_ours(state.owner):
        return [Finding(subject="Prefect", well=False, text=f"{state.api} does not answer", next_step=_LOGS)]
    if api is None:
        text = "none runs here; commands that need one run their own (faber-db up keeps one)"
        return [Finding(subject="Prefect", well=True, text=text)]
    kept = state.supervised or not state.api  # a command's own Prefect ends with it and recovers nothing
    return [*_examine(api, kept=kept), *_receiver(state.receiver)]


_LOGS = "read the logs beside: .faber/logs, then: faber-db down, faber-db up"
_REGISTER = "faber-db deploy"


def _examine(api: PrefectApi, *, kept: bool) -> Iterator[Finding]:
    try:
        if not api.healthy():
            yield Finding(subject="Prefect", well=False, text=f"{api.url} does not answer", next_step=_LOGS)
            return
        yield Finding(subject="Prefect", well=True, text=api.url)
        workers = api.online_workers(POOL) if api.pool_exists(POOL) else []
        yield Finding(
            subject="workers",
            well=bool(workers),
            text=f"{len(workers)} online in the pool {POOL}: {', '.join(workers) or 'so nothing would run'}",
            next_step="" if workers else f"prefect worker start --pool {POOL} --type process, or faber-db up",
        )
        deployments = api.deployments_tagged("faber-db")
        yield Finding(
            subject="deployments",
            well=bool(deployments),
            text=f"{len(deployments)} registered",
            next_step="" if deployments else _REGISTER,
        )
        yield _schedules(api, deployments)
        missing = [name for name in NAMES if kept and not api.automation_enabled(name)]
        yield Finding(
            subject="recovery",
            well=not missing,
            text=f"missing or paused: {'; '.join(missing)}" if missing else "dead runs are recovered",
            next_step=_REGISTER if missing else "",
        )
    except FaberError as error:
        yield Finding(subject="Prefect", well=False, text=error.reason, next_step=error.next_step)


def _schedules(api: PrefectApi, deployments: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether Prefect's scheduler does its work: each active schedule has a run ahead of it."""
    active = {
        str(d["id"]): str(d["name"])
        for d in deployments
        if not d["paused"] and any(s["active"] for s in d["schedules"])
    }
    idle = sorted(set(active) - api.deployments_ahead(list(active))) if active else []
    names = ", ".join(sorted(active[i] for i in idle))
    return Finding(
        subject="schedules",
        well=not idle,
        text=f"no run is ahead of {names}" if idle else f"{len(active)} active, each with a run ahead",
        next_step="look again in a minute; where it stays so, read the server's log" if idle else "",
    )


def _receiver(url: str) -> Iterator[Finding]:
    if url:
        well = PrefectApi(url).healthy()
        text = url if well else f"{url} does not answer"
        yield Finding(subject="webhook receiver", well=well, text=text, next_step="" if well else _LOGS)
