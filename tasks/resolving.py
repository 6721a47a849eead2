"""From the names a task is given to the open environment its one call works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from blocks.loading import given_urls
from faberdb.project import load_project
from faberdb.release.record import Release, read_release
from faberdb.target import Target, open_target
from tasks.announcing import announced


@contextmanager
def environment_of(project: str, environment: str) -> Iterator[Target]:
    """Open an environment; a block that the configuration names gives its credentials."""
    given = given_urls(load_project(project), environment)
    with open_target(project, environment, given=given) as target:
        yield target


@contextmanager
def release_of(project: str, environment: str, release: str) -> Iterator[tuple[Target, Release]]:
    """Open an environment and read one of its releases from the ledger; what comes of it is announced."""
    with environment_of(project, environment) as target, announced(target, release):
        yield target, read_release(target.ledger, release)
