"""Making an environment's database be there, filled and well."""

from __future__ import annotations

from typing import Any

from prefect import task

from blocks.loading import given_for
from faberdb.framing import EnvironmentState, environment_state
from faberdb.progress import silent
from faberdb.project import load_project
from faberdb.provisioning import create_environment_database, provision_server
from faberdb.release.verification import require_health
from faberdb.seeding import seed_environment
from tasks.policies import IDEMPOTENT, ONCE, READ
from tasks.resolving import environment_of


@task(**IDEMPOTENT)
def provision(project: str, environment: str) -> dict[str, Any]:
    """Bring up the server that hosts the environment."""
    loaded = load_project(project)
    return provision_server(loaded, loaded.environment(environment))


@task(**IDEMPOTENT)
def create_database(project: str, environment: str) -> dict[str, Any]:
    """Create the database, or recognise the one that is there."""
    with environment_of(project, environment) as target:
        return create_environment_database(target, silent)


@task(**ONCE)
def seed(project: str, environment: str) -> dict[str, Any]:
    """Fill the database as the project says."""
    with environment_of(project, environment) as target:
        return seed_environment(target, silent)


@task(**READ)
def look_at_environment(project: str, environment: str) -> EnvironmentState:
    """What the environment is now; a problem is part of the answer."""
    loaded = load_project(project)
    return environment_state(loaded, loaded.environment(environment), given_for(loaded, environment))


@task(**READ)
def check_health(project: str, environment: str) -> dict[str, Any]:
    """The environment is well and the project's checks hold; unhealthy is a failure."""
    with environment_of(project, environment) as target:
        return require_health(target, silent)
