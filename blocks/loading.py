"""From the names in a configuration to what Prefect's blocks say, in one round trip.

A block that is missing and one that could not be asked for are two answers. The second is never taken for the
first: the block may say another server than the variable does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from msgspec.structs import replace
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL
from pydantic import ValidationError

from blocks.git_credentials import GitCredentials
from blocks.names import (
    GIT_CREDENTIALS,
    NOTIFIER,
    SNAPSHOT_STORE,
    WORK_TRACKER,
    BlockName,
    blocks_of,
    of_project,
    postgres_environment,
    release_policy,
)
from blocks.notifier import Notifier
from blocks.postgres_environment import PostgresEnvironment
from blocks.registry import TYPES
from blocks.release_policy import ReleasePolicy
from blocks.snapshot_store import SnapshotStore
from blocks.work_tracker import WorkTracker
from faberdb.certificates import keep_certificate
from faberdb.dsn import Dsn
from faberdb.errors import ConfigInvalid, Refused, ServerUnreachable, VariableMissing
from faberdb.given import Given
from faberdb.policy import NO_TIGHTENING, Tightening
from faberdb.project import Environment, Project
from faberdb.snapshot.place import S3Place
from faberdb.source import GitLogin, GitUrl, block_name

_TURNED_AWAY = {401, 403}


def given_for(project: Project, environment: str) -> Given:
    """What blocks say of one environment; see `given_to`."""
    return given_to(project, [project.environment(environment)])[environment]


def given_to(project: Project, environments: Sequence[Environment]) -> dict[str, Given]:
    """What blocks say of environments, by name.

    Raises:
        VariableMissing: Prefect has no block of the name that `connection_block` says.
        ConfigInvalid: a block holds what cannot work.
        ServerUnreachable: Prefect did not answer.
    """
    found = read_blocks({name for e in environments for name in blocks_of(project, e)})
    return {e.name: _given(project, e, found) for e in environments}


def work_link(project: Project, change_id: str) -> str:
    """The address of a work item; "" without an id or a block."""
    name = of_project(WORK_TRACKER, project)
    tracker = read_blocks({name}).get(name) if change_id else None
    if not isinstance(tracker, WorkTracker):
        return ""
    return tracker.url_template.replace("{id}", quote(change_id, safe=""))


def notifier_of(project: Project) -> Notifier | None:
    """Who is told of the project's releases."""
    name = of_project(NOTIFIER, project)
    found = read_blocks({name}).get(name)
    return found if isinstance(found, Notifier) else None


def git_login(url: GitUrl) -> GitLogin | None:
    """The login at a repository's host; None where no block has the host's name, as a public one needs none."""
    if url.scheme != "https":
        return None
    name = BlockName(slug=GIT_CREDENTIALS, name=block_name(url.host))
    found = read_blocks({name}).get(name)
    if not isinstance(found, GitCredentials):
        return None
    return GitLogin(username=found.username, token=found.token.get_secret_value())


def read_blocks(wanted: Collection[BlockName]) -> dict[BlockName, Block]:
    """Those of the wanted blocks that Prefect has.

    Raises:
        ConfigInvalid: a block holds what cannot work.
        Refused: Prefect turned us away.
        ServerUnreachable: Prefect did not answer.
    """
    found = {}
    for document in _documents(wanted):
        name = BlockName(slug=document["block_type"]["slug"], name=document["name"])
        if name in wanted:
            found[name] = _read(name, document["data"])
    return found


@cache
def _client(url: str | None) -> SyncPrefectClient:
    """One for the process and the server it talks to: making one reads all certificates, at every step."""
    return get_client(sync_client=True).__enter__()


def _documents(wanted: Collection[BlockName]) -> Iterable[dict[str, Any]]:
    question = {
        "block_types": {"slug": {"any_": sorted({w.slug for w in wanted})}},
        "block_documents": {"name": {"any_": sorted({w.name for w in wanted})}},
        "include_secrets": True,
    }
    try:
        response = _client(PREFECT_API_URL.value()).request("POST", "/block_documents/filter", json=question)
        answer: list[dict[str, Any]] = response.json()
    except httpx.HTTPStatusError as error:
        code = error.response.status_code
        kind = Refused if code in _TURNED_AWAY else ServerUnreachable
        raise kind(f"Prefect answered {code} when it was asked for blocks.", next_step=_LOOK) from None
    except httpx.HTTPError as error:
        raise ServerUnreachable(
            "Prefect does not answer, and its blocks may say where the database is.",
            why=type(error).__name__,
            next_step=_LOOK,
        ) from None
    return answer


_LOOK = "look at PREFECT_API_URL and at the server, then run it again"


def _read(name: BlockName, data: dict[str, Any]) -> Block:
    try:
        return TYPES[name.slug].model_validate(data)
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(p) for p in e['loc']) or 'together'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise ConfigInvalid(
            f"Prefect's block {name} holds what cannot work.",
            why="; ".join(problems),
            next_step="correct it in the Prefect UI under Blocks",
        ) from None


def _given(project: Project, environment: Environment, found: dict[BlockName, Block]) -> Given:
    address = postgres_environment(project, environment)
    database = found.get(address)
    if database is None and environment.connection_block:
        raise VariableMissing(
            f"Prefect has no block {address.name!r}, which environments.{environment.name}.connection_block names.",
            next_step="create it in the Prefect UI under Blocks, type PostgreSQL Environment",
        )
    store = found.get(of_project(SNAPSHOT_STORE, project))
    policy = found.get(release_policy(project, environment))
    known = isinstance(database, PostgresEnvironment)
    return Given(
        dsn=dsn_of(database, project.home) if isinstance(database, PostgresEnvironment) else None,
        block=address.name if known else "",
        snapshots=place_of(store) if isinstance(store, SnapshotStore) else None,
        tightening=_tightening(policy) if isinstance(policy, ReleasePolicy) else NO_TIGHTENING,
    )


def place_of(block: SnapshotStore) -> Path | S3Place:
    """The block as a place for snapshots, with its key."""
    if block.s3 is None:
        return Path(block.directory)
    return replace(block.s3.place, login=block.s3.login)


def dsn_of(block: PostgresEnvironment, home: Path) -> Dsn:
    """The block as an address; its root certificate becomes a file under the state home."""
    parameters = {} if block.host.startswith("/") else {"sslmode": block.tls.value}
    if block.root_certificate is not None:
        parameters["sslrootcert"] = str(keep_certificate(home, block.root_certificate))
    return Dsn(
        host=block.host,
        port=block.port,
        user=block.user,
        password=block.password.get_secret_value() if block.password else "",
        database=block.database,
        schema=block.schema_name,
        parameters=parameters,
    )


def _tightening(block: ReleasePolicy) -> Tightening:
    minutes = block.approval_timeout_minutes
    return Tightening(
        approvals=block.approvals,
        approvers=tuple(block.approvers),
        approval_timeout_s=None if minutes is None else minutes * 60,
        snapshot=block.require_snapshot,
        health=block.require_health,
    )
