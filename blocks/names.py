"""What our blocks are called in Prefect. Imports no Prefect: a command asks for a block before it pays for that."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from faberdb.project import Environment, Project

POSTGRES_ENVIRONMENT: Final = "faber-db-postgres-environment"
SNAPSHOT_STORE: Final = "faber-db-snapshot-store"
RELEASE_POLICY: Final = "faber-db-release-policy"
WORK_TRACKER: Final = "faber-db-work-tracker"
NOTIFIER: Final = "faber-db-notifier"
GIT_CREDENTIALS: Final = "faber-db-git-credentials"


class BlockName(Struct, frozen=True, kw_only=True):
    """A block by its type's slug and its own name."""

    slug: str
    name: str

    def __str__(self) -> str:
        return f"{self.slug}/{self.name}"


def postgres_environment(project: Project, environment: Environment) -> BlockName:
    """The block with the environment's address: the one that the configuration names, else by convention."""
    named = environment.connection_block
    return BlockName(slug=POSTGRES_ENVIRONMENT, name=named or _dashed(f"{project.name}-{environment.name}"))


def release_policy(project: Project, environment: Environment) -> BlockName:
    """The block that tightens the environment's policy."""
    return BlockName(slug=RELEASE_POLICY, name=_dashed(f"{project.name}-{environment.name}"))


def of_project(slug: str, project: Project) -> BlockName:
    """The project's own block of a type."""
    return BlockName(slug=slug, name=_dashed(project.name))


def blocks_of(project: Project, environment: Environment) -> tuple[BlockName, ...]:
    """Every block that has a say in one environment."""
    return (
        postgres_environment(project, environment),
        release_policy(project, environment),
        of_project(SNAPSHOT_STORE, project),
    )


def _dashed(name: str) -> str:
    """Prefect's block names are of lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
