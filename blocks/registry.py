"""Every block type of ours: what `prefect block register --module blocks.registry` makes known to a server."""

from __future__ import annotations

from typing import Final

from prefect.blocks.core import Block

from blocks.git_credentials import GitCredentials
from blocks.names import (
    GIT_CREDENTIALS,
    NOTIFIER,
    POSTGRES_ENVIRONMENT,
    RELEASE_POLICY,
    SNAPSHOT_STORE,
    WORK_TRACKER,
)
from blocks.notifier import Notifier
from blocks.postgres_environment import PostgresEnvironment
from blocks.release_policy import ReleasePolicy
from blocks.snapshot_store import SnapshotStore
from blocks.work_tracker import WorkTracker

TYPES: Final[dict[str, type[Block]]] = {
    POSTGRES_ENVIRONMENT: PostgresEnvironment,
    SNAPSHOT_STORE: SnapshotStore,
    RELEASE_POLICY: ReleasePolicy,
    WORK_TRACKER: WorkTracker,
    NOTIFIER: Notifier,
    GIT_CREDENTIALS: GitCredentials,
}
