"""Telling a Prefect what there is to run: deployments, block types, automations, and a project's names.

The deployments are Prefect's own `deploy --all` of `prefect.yaml`. What depends on a project is added after
it: its folder as the default, and its environments as the choices of the form.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from deployments.api import PrefectApi
from deployments.automations import register_automations
from deployments.processes import log_of, tail
from faberdb.errors import Failed, Transient
from faberdb.project import load_project

NAME: Final = "faber-db"  # of every deployment: flow/faber-db
POOL: Final = "database-work"
BLOCKS: Final = ("blocks.registry",)
# Looking is harmless, so a project that is known is looked at from the first day.
_HARMLESS: Final = ("health-check/faber-db", "drift/faber-db")
_TIMEOUT_S = 300


def register_deployments(
    home: Path,
    env: Mapping[str, str],
    api: PrefectApi,
    project: Path | None = None,
    *,
    automations: bool = False,
    beat_s: int = 30,
) -> None:
    """Register everything with a Prefect, unless it has it already of the same code.

    Args:
        home: the folder of local state.
        env: of the programs that register; names the Prefect.
        api: the same Prefect.
        project: a project's folder whose names the forms offer, if there is one.
        automations: whether dead runs are noticed and their releases recovered.
        beat_s: seconds between two heartbeats of a run.

    Raises:
        Failed: Prefect's own command failed; the log says why.
    """
    mark = home / "prefect" / "deployed"
    now = _digest(project, automations)
    if mark.is_file() and mark.read_text() == now:
        return
    mark.unlink(missing_ok=True)
    _run_prefect(home, env)
    _leave_out_pull_steps(api)
    if project is not None:
        _fit_forms(api, project)
    if automations:
        register_automations(api, beat_s=beat_s)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(now)


def _run_prefect(home: Path, env: Mapping[str, str]) -> None:
    log = log_of(home, "deploy")
    file = str(resources.files("deployments") / "prefect.yaml")
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    commands = [[*prefect, "deploy", "--all", "--prefect-file", file]]
    commands += [[*prefect, "block", "register", "--module", module] for module in BLOCKS]
    with log.open("w") as out:
        for command in commands:
            try:
                done = subprocess.run(
                    command, env=env, stdout=out, stderr=out, check=False, timeout=_TIMEOUT_S
                )
            except subprocess.TimeoutExpired:
                raise Transient(
                    "The deployments could not be registered in time.",
                    why=f"{' '.join(command[3:5])} took longer than {_TIMEOUT_S} s; this machine or Prefect is busy.",
                    next_step="run the same command again",
                ) from None
            if done.returncode != 0:
                raise Failed(
                    "The deployments could not be registered.", why=tail(log), next_step=f"read {log}"
                )


def _leave_out_pull_steps(api: PrefectApi) -> None:
    """The code is installed, so there is nothing to pull; `prefect deploy` adds a step of its own all the same."""
    for deployment in api.deployments_named(NAME):
        api.update_deployment(deployment["id"], {"pull_steps": []})


def _fit_forms(api: PrefectApi, folder: Path) -> None:
    """Make the forms offer what the project has."""
    names = [e.name for e in load_project(folder).environments]
    for deployment in api.deployments_tagged("faber-db"):
        schema = _with_choices(deployment["parameter_openapi_schema"], names)
        parameters = {**deployment["parameters"], "project": str(folder)}
        api.update_deployment(
            deployment["id"], {"parameter_openapi_schema": schema, "parameters": parameters}
        )
    for name in _HARMLESS:
        api.activate_schedules(name)


def _with_choices(schema: dict[str, Any], environments: list[str]) -> dict[str, Any]:
    found = schema.get("properties", {}).get("environment")
    if found is None:
        return schema
    optional = [""] if found.get("default") == "" else []
    choice = {**found, "enum": optional + environments}
    return {**schema, "properties": {**schema["properties"], "environment": choice}}


def _digest(project: Path | None, automations: bool) -> str:
    """Of everything that decides what is registered: deployments, flows with their parameters, the project."""
    digest = hashlib.sha256(f"{sys.prefix} {project} {automations}".encode())
    if project is not None:
        digest.update(" ".join(e.name for e in load_project(project).environments).encode())
    for room in ("blocks", "deployments", "flows", "tasks"):
        for path in sorted(Path(str(resources.files(room))).iterdir()):
            if path.is_file() and not os.path.basename(path).startswith("."):
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
