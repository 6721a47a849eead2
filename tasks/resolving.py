"""From the names a task is given to the open environment its one call works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from blocks.loading import given_for
from faberdb.policy import Policy, tightened
from faberdb.project import load_project
from faberdb.release.record import Release, read_release
from faberdb.target import Target, open_target
from tasks.announcing import announced


@contextmanager
def environment_of(project: str, environment: str) -> Iterator[Target]:
    """Open an environment, with what Prefect's blocks say of it."""
    given = given_for(load_project(project), environment)
    with open_target(project, environment, given=given) as target:
        yield target


@contextmanager
def release_of(project: str, environment: str, release: str) -> Iterator[tuple[Target, Release]]:
    """Open an environment and read one of its releases from the ledger; what comes of it is announced."""
    with environment_of(project, environment) as target, announced(target, release):
        yield target, read_release(target.ledger, release)


def policy_of(project: str, environment: str) -> Policy:
    """The environment's policy as its block tightens it."""
    loaded = load_project(project)
    tightening = given_for(loaded, environment).tightening
    return tightened(loaded.environment(environment).policy, tightening)
