"""What a flow run is called, so that people find it in a list: flow, environment, change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from faberdb.errors import FaberError
from faberdb.project import load_project
from faberdb.workitem import read_work_item


def run_name(flow: str) -> Callable[[], str]:
    """The callable that Prefect asks for the name when a run begins."""

    def name() -> str:
        given: dict[str, Any] = flow_run.parameters
        if given.get("release"):
            return f"{flow}-{given['release']}"  # the id names the environment
        words = (flow, given.get("environment", ""), _change(given))
        return "-".join(w for w in words if w)

    return name


def _change(given: dict[str, Any]) -> str:
    """The change's id; a bad project or work item is for the flow to refuse, in better words."""
    if not given.get("work_item"):
        return ""
    try:
        return read_work_item(load_project(Path(given["project"])).root / given["work_item"]).id
    except FaberError:
        return ""
