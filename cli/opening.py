"""Opening an environment for a command that runs without Prefect, as long as Prefect has no block for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from faberdb.embedded import start_server
from faberdb.errors import ServerUnreachable
from faberdb.given import NOTHING_GIVEN, Given
from faberdb.project import Environment, Project, load_project
from faberdb.snapshot.store import SnapshotStore
from faberdb.target import Target, open_target, store_of

if TYPE_CHECKING:
    from deployments.api import PrefectApi


@contextmanager
def open_environment(project_dir: Path | None, environment: str) -> Iterator[Target]:
    """The environment with its tool, store and ledger; an embedded server is started if need be."""
    project = load_project(project_dir)
    chosen = project.environment(environment)
    if project.uses_embedded:
        start_server(project.home)
    with open_target(project.root, environment, given=given_to(project, [chosen])[environment]) as target:
        yield target


def open_store(project_dir: Path | None) -> tuple[Project, SnapshotStore]:
    """The project, and where its snapshots are kept: all of its environments share one store."""
    project = load_project(project_dir)
    first = project.environments[0]
    return project, store_of(project, given_to(project, [first])[first.name])


def given_to(project: Project, environments: Sequence[Environment]) -> dict[str, Given]:
    """What blocks say of environments, by name, where a Prefect is known; imported only when it has one.

    Raises:
        ServerUnreachable: `PREFECT_API_URL` names a Prefect that does not answer, or a block is named and
            no Prefect is known.
    """
    api = _known_prefect(project)
    named = [e for e in environments if e.connection_block]
    if api is None and named:
        raise ServerUnreachable(
            f"environments.{named[0].name}.connection_block names the block {named[0].connection_block!r},"
            " and no Prefect is known here.",
            next_step="faber-db up, or export PREFECT_API_URL=http://HOST:4200/api",
        )
    if api is None or not (named or _has_any(api, project, environments)):
        return dict.fromkeys((e.name for e in environments), NOTHING_GIVEN)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from blocks.loading import given_to as load

    with temporary_settings({PREFECT_API_URL: api.url}):
        return load(project, environments)


def _known_prefect(project: Project) -> PrefectApi | None:
    from deployments.stack_state import seems_up

    if not os.environ.get("PREFECT_API_URL") and not seems_up(project.home):
        return None  # without an HTTP client
    from deployments.stack import find_prefect

    return find_prefect(project.home)


def _has_any(api: PrefectApi, project: Project, environments: Sequence[Environment]) -> bool:
    from blocks.names import blocks_of

    wanted = {name for e in environments for name in blocks_of(project, e)}
    return any(api.block_exists(name.slug, name.name) for name in wanted)
