"""Opening an environment for a command that needs no Prefect, unless its credentials are in a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faberdb.embedded import start_server
from faberdb.project import Environment, Project, load_project
from faberdb.target import Target, open_target


@contextmanager
def open_environment(project_dir: Path | None, environment: str) -> Iterator[Target]:
    """The environment with its tool, store and ledger; an embedded server is started if need be."""
    project = load_project(project_dir)
    chosen = project.environment(environment)
    if project.uses_embedded:
        start_server(project.home)
    with open_target(project.root, environment, given=urls_of(project, chosen)) as target:
        yield target


def urls_of(project: Project, environment: Environment) -> dict[str, str]:
    """The URL of an environment that names a Prefect block; imports Prefect only for one that does."""
    if not environment.connection_block:
        return {}
    from blocks.loading import given_urls

    return given_urls(project, environment.name)
