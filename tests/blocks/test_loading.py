"""Blocks in a real Prefect: who wins, what is missing, what cannot be asked, and what stays secret."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from blocks.loading import given_for, notifier_of, read_blocks, work_link
from blocks.names import BlockName
from blocks.notifier import Event, Notifier
from blocks.notifying import notify
from blocks.postgres_environment import PostgresEnvironment
from blocks.registry import TYPES
from blocks.release_policy import ReleasePolicy
from blocks.snapshot_store import S3Bucket, SnapshotStore
from blocks.work_tracker import WorkTracker
from deployments.api import PrefectApi
from deployments.stack import Stack
from faberdb.dsn import Dsn
from faberdb.errors import ConfigInvalid, Refused, ServerUnreachable, Transient, VariableMissing
from faberdb.given import NOTHING_GIVEN
from faberdb.policy import Autonomy
from faberdb.project import Project, load_project
from faberdb.snapshot.place import S3Login, S3Place
from tasks.approving import asks_person
from tasks.environments import look_at_environment
from tasks.policies import ONCE
from tasks.releasing import refuse_skips
from tasks.resolving import environment_of, policy_of

CANARY = "s3cr3t-canary"
NOWHERE = "http://127.0.0.1:9/api"  # the discard port: nothing listens


@pytest.fixture(autouse=True)
def prefect(stack: Stack) -> Iterator[PrefectApi]:
    """This process talks to the session's Prefect, whenever it imported Prefect."""
    with temporary_settings({PREFECT_API_URL: stack.api.url}):
        yield stack.api


@pytest.fixture
def save() -> Iterator[Callable[[Block, str], None]]:
    saved: list[tuple[type[Block], str]] = []

    def keep(block: Block, name: str) -> None:
        block.save(name, overwrite=True)
        saved.append((type(block), name))

    yield keep
    for kind, name in saved:
        kind.delete(name)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PROD_DATABASE_URL", f"postgresql://app:{CANARY}@variable.invalid/shop")
    monkeypatch.setenv("STAGING_DATABASE_URL", "postgresql://app@staging.invalid/shop")
    name = f"b{uuid.uuid4().hex[:8]}"
    (tmp_path / "prisma" / "migrations").mkdir(parents=True)
    (tmp_path / "faber-db.toml").write_text(
        f'[project]\nname = "{name}"\n[database]\nhosting = "postgres"\n'
        "[environments.staging]\n[environments.production]\n"
    )
    return load_project(tmp_path)


def address(dsn: Dsn, **given: Any) -> PostgresEnvironment:
    facts = {"host": dsn.host, "port": dsn.port, "database": dsn.database, "user": dsn.user}
    return PostgresEnvironment(**{**facts, "password": CANARY, **given})


@pytest.mark.parametrize(
    "block",
    [
        PostgresEnvironment(host="db", database="shop", user="migrator", password=CANARY),
        SnapshotStore(directory="/srv/snapshots"),
        SnapshotStore(
            s3=S3Bucket(
                url="s3://backups/shop", access_key_id="AKIA", secret_access_key=CANARY, session_token=CANARY
            )
        ),
        ReleasePolicy(approvals=2, approvers=["Morgan", "Robin"], approval_timeout_minutes=30),
        WorkTracker(url_template="https://github.com/acme/shop/issues/{id}"),
        Notifier(channel="slack-webhook/ops", events=[Event.FAILED]),
    ],
    ids=lambda b: type(b).__name__,
)
def test_what_is_saved_is_what_is_read(block: Block, save: Callable[[Block, str], None]) -> None:
    name = BlockName(slug=block.get_block_type_slug(), name=f"t-{uuid.uuid4().hex[:8]}")
    save(block, name.name)
    assert dict(read_blocks({name})[name]) == dict(block)
    loaded = type(block).load(name.name)
    assert isinstance(loaded, Block)
    assert dict(loaded) == dict(block)


def test_the_server_knows_every_type_since_the_deployments_were_registered(prefect: PrefectApi) -> None:
    with get_client(sync_client=True) as client:
        for slug, kind in TYPES.items():
            assert client.read_block_type_by_slug(slug).name == kind.get_block_type_name()


def test_the_blocks_win_over_variables_and_configuration(
    project: Project, fresh_database: Dsn, save: Callable[[Block, str], None], tmp_path: Path
) -> None:
    save(address(fresh_database), f"{project.name}-production")
    save(SnapshotStore(directory=str(tmp_path / "elsewhere")), project.name)
    save(ReleasePolicy(approvals=2, approval_timeout_minutes=30), f"{project.name}-production")
    with environment_of(str(project.root), "production") as target:
        assert target.dsn.database == fresh_database.database
        assert target.fingerprint()
        assert target.store.root == tmp_path / "elsewhere"  # type: ignore[attr-defined]
        assert target.environment.policy.approvals == 2
        assert target.environment.policy.approval_timeout_s("enhanced") == 1800
    state = look_at_environment.fn(str(project.root), "production")
    assert (state.exists, state.database, state.problem) == (True, fresh_database.database, "")


def test_a_bucket_of_a_block_wins_with_its_key_and_the_server_keeps_the_key_hidden(
    project: Project, fresh_database: Dsn, save: Callable[[Block, str], None]
) -> None:
    bucket = S3Bucket(url="s3://backups/shop", access_key_id="AKIA", secret_access_key=CANARY)
    save(SnapshotStore(s3=bucket), project.name)
    given = given_for(project, "production").snapshots
    assert isinstance(given, S3Place)
    assert (given.bucket, given.prefix) == ("backups", "shop")
    assert given.login == S3Login(access_key_id="AKIA", secret_access_key=CANARY)
    question = {"block_documents": {"name": {"any_": [project.name]}}}
    with get_client(sync_client=True) as client:
        answer = client.request("POST", "/block_documents/filter", json=question).text
    assert "backups/shop" in answer
    assert CANARY not in answer


def test_a_policy_block_makes_a_release_ask_and_keep_its_guards(
    project: Project, save: Callable[[Block, str], None]
) -> None:
    root = str(project.root)
    assert not asks_person.fn(root, "staging", Autonomy.GUARDED)
    refuse_skips.fn(root, "staging", backup=True, health=True)
    save(ReleasePolicy(approvals=1, require_snapshot=True, require_health=True), f"{project.name}-staging")
    assert asks_person.fn(root, "staging", Autonomy.GUARDED)
    assert asks_person.fn(root, "staging", Autonomy.AUTONOMOUS)
    with pytest.raises(Refused, match="--skip-backup"):
        refuse_skips.fn(root, "staging", backup=True, health=False)
    with pytest.raises(Refused, match="--skip-health-check is refused: staging requires it"):
        refuse_skips.fn(root, "staging", backup=False, health=True)


def test_a_policy_block_does_not_weaken_what_the_configuration_says(
    project: Project, save: Callable[[Block, str], None]
) -> None:
    save(ReleasePolicy(approvals=1, approval_timeout_minutes=1e6), f"{project.name}-production")
    before = project.environment("production").policy
    assert policy_of(str(project.root), "production") == before


def test_no_block_changes_nothing(project: Project) -> None:
    assert given_for(project, "production") == NOTHING_GIVEN
    assert work_link(project, "42") == ""
    assert notifier_of(project) is None


def test_a_named_block_is_used_by_its_name_and_is_missed_by_it(
    project: Project, fresh_database: Dsn, save: Callable[[Block, str], None]
) -> None:
    named = f"vault-{uuid.uuid4().hex[:8]}"
    with project.config_path.open("a") as file:
        file.write(f'connection_block = "{named}"\n')
    renamed = load_project(project.root)
    save(address(fresh_database, database="wrong"), f"{project.name}-production")
    with pytest.raises(VariableMissing, match=named):
        given_for(renamed, "production")
    save(address(fresh_database), named)
    found = given_for(renamed, "production")
    assert found.dsn is not None
    assert (found.block, found.dsn.database) == (named, fresh_database.database)


def test_a_prefect_that_cannot_be_asked_is_not_a_missing_block(project: Project) -> None:
    with (
        temporary_settings({PREFECT_API_URL: NOWHERE}),
        pytest.raises(Transient, match="Prefect does not answer"),
        environment_of(str(project.root), "production"),
    ):
        raise AssertionError("the variable was followed")


def test_a_block_for_an_embedded_environment_is_neither_followed_nor_ignored(
    project: Project, fresh_database: Dsn, save: Callable[[Block, str], None]
) -> None:
    project.config_path.write_text(project.config_path.read_text().replace('"postgres"', '"embedded"'))
    save(address(fresh_database), f"{project.name}-production")
    with (
        pytest.raises(ConfigInvalid, match="is embedded, and Prefect has the block"),
        environment_of(str(project.root), "production"),
    ):
        raise AssertionError("one of the two was followed")


def test_a_block_that_cannot_work_is_refused_without_its_values(
    project: Project, save: Callable[[Block, str], None]
) -> None:
    name = f"{project.name}-production"
    save(PostgresEnvironment(host="db", database="shop", user="app", password=CANARY), name)
    with get_client(sync_client=True) as client:
        slug = PostgresEnvironment.get_block_type_slug()
        saved = client.read_block_document_by_name(name, slug)
        broken = {**saved.data, "tls": "verify-full", "port": 0, "password": CANARY}
        client.request("PATCH", f"/block_documents/{saved.id}", json={"data": broken}).raise_for_status()  # type: ignore[arg-type]
    with pytest.raises(ConfigInvalid) as refused:
        given_for(project, "production")
    assert "port: Input should be greater than or equal to 1" in str(refused.value)
    assert CANARY not in "".join(traceback.format_exception(refused.value))


def test_the_password_is_in_no_log_line_and_no_value(
    project: Project,
    fresh_database: Dsn,
    save: Callable[[Block, str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    save(address(fresh_database), f"{project.name}-production")
    with caplog.at_level(logging.DEBUG):
        found = given_for(project, "production")
        state = look_at_environment.fn(str(project.root), "production")
    assert found.dsn is not None
    assert found.dsn.password == CANARY
    assert CANARY not in f"{found!r} {state!r} {caplog.text}"


def test_a_work_item_has_an_address(project: Project, save: Callable[[Block, str], None]) -> None:
    save(WorkTracker(url_template="https://tracker.example/{id}?full=1"), project.name)
    assert work_link(project, "42") == "https://tracker.example/42?full=1"
    assert work_link(project, "../A 1&x") == "https://tracker.example/..%2FA%201%26x?full=1"
    assert work_link(project, "") == ""


def faber_db(
    project: Project, stack: Stack, *arguments: str, url: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command; what it imported goes to standard error."""
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('IMPORTED PREFECT' if 'prefect' in sys.modules else '', file=sys.stderr))\n"
        "from cli.main import main\nmain()"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=project.root,
        env={**os.environ, "PREFECT_API_URL": url or stack.api.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_asks_for_blocks_without_importing_prefect(project: Project, stack: Stack) -> None:
    told = faber_db(project, stack, "status", "--json")
    sources = [e["address"] for e in json.loads(told.stdout)["environments"]]
    assert sources == ["variable STAGING_DATABASE_URL", "variable PROD_DATABASE_URL"]
    assert "IMPORTED PREFECT" not in told.stderr


def test_the_command_says_that_an_address_comes_from_a_block(
    project: Project, stack: Stack, fresh_database: Dsn, save: Callable[[Block, str], None]
) -> None:
    save(address(fresh_database), f"{project.name}-production")
    told = faber_db(project, stack, "status", "production")
    assert f"address      block {project.name}-production" in told.stdout, told.stderr
    assert fresh_database.database in told.stdout
    assert CANARY not in told.stdout + told.stderr


def test_the_command_does_not_follow_the_variable_when_prefect_is_down(
    project: Project, stack: Stack
) -> None:
    told = faber_db(project, stack, "status", url=NOWHERE)
    assert told.returncode == ServerUnreachable.exit_code
    assert "does not answer" in told.stderr


class Channel:
    """A webhook on the loopback interface."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []
        self.answer = 200
        self.delay_s = 0.0
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(channel.delay_s)
                channel.heard.append(json.loads(body))
                self.send_response(channel.answer)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def block(self) -> CustomWebhookNotificationBlock:
        return CustomWebhookNotificationBlock(
            name="ops",
            url=f"http://127.0.0.1:{self.server.server_port}/{CANARY}",
            json_data={"text": "{{subject}}: {{body}}"},
        )


@pytest.fixture
def channel(project: Project, save: Callable[[Block, str], None]) -> Iterator[Channel]:
    made = Channel()
    save(made.block(), f"{project.name}-ops")
    save(Notifier(channel=f"custom-webhook/{project.name}-ops"), project.name)
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join(5)


def test_the_channel_is_told_of_what_it_asked_for(project: Project, channel: Channel) -> None:
    assert notify(project, Event.RELEASED, "shop", "production is done")
    assert not notify(project, Event.APPROVED, "shop", "Morgan said yes")
    assert channel.heard == [{"text": "shop: production is done"}]


def test_a_task_reads_blocks_and_tells_by_the_client_of_its_run(project: Project, channel: Channel) -> None:
    @task(**ONCE)
    def tell(root: str) -> bool:
        loaded = load_project(root)
        return given_for(loaded, "production") == NOTHING_GIVEN and notify(
            loaded, Event.WAITING, "shop", "go?"
        )

    @flow
    def asking(root: str) -> bool:
        return tell(root)

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        assert asking(str(project.root))
    assert channel.heard == [{"text": "shop: go?"}]


def test_a_channel_that_fails_stops_nothing_and_its_address_is_not_logged(
    project: Project, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    channel.answer = 500
    with caplog.at_level(logging.WARNING):
        logging.getLogger("prefect").propagate = True
        assert not notify(project, Event.FAILED, "shop", "x")
        logging.getLogger("prefect").propagate = False
    assert len(channel.heard) == 1
    assert "could not be told of failed: HTTPStatusError" in caplog.text
    assert CANARY not in caplog.text


def test_a_channel_that_hangs_is_left_alone_in_time(project: Project, channel: Channel) -> None:
    channel.delay_s = 3
    begun = time.monotonic()
    assert not notify(project, Event.FAILED, "shop", "x", timeout_s=1)
    assert time.monotonic() - begun < 2
    time.sleep(2.5)


@pytest.mark.parametrize(
    "channel", ["custom-webhook/nobody", "no-such-type/ops", "faber-db-work-tracker/{name}"]
)
def test_a_channel_that_is_none_stops_nothing(
    project: Project, save: Callable[[Block, str], None], channel: str
) -> None:
    save(WorkTracker(url_template="https://tracker.example/{id}"), project.name)
    save(Notifier(channel=channel.format(name=project.name)), project.name)
    assert not notify(project, Event.FAILED, "shop", "x")


def test_a_prefect_that_is_down_is_told_of_nothing_and_stops_nothing(project: Project) -> None:
    with temporary_settings({PREFECT_API_URL: NOWHERE}):
        assert not notify(project, Event.FAILED, "shop", "x")
