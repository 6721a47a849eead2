"""What each block takes and refuses, without a server."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.client.schemas.actions import BlockTypeCreate
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import ValidationError

from blocks.loading import dsn_of, place_of
from blocks.names import BlockName, blocks_of
from blocks.notifier import Event, Notifier
from blocks.postgres_environment import PostgresEnvironment, Tls
from blocks.registry import TYPES
from blocks.release_policy import ReleasePolicy
from blocks.snapshot_store import S3Bucket, SnapshotStore
from blocks.work_tracker import WorkTracker
from faberdb.project import load_project
from faberdb.snapshot.place import S3Place
from tests.blocks.authority import Authority, make_authority
from tests.conftest import REPOSITORY

CANARY = "s3cr3t-canary"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


class TestEveryBlock(BlockStandardTestSuite):
    @pytest.fixture(params=list(TYPES.values()), ids=lambda t: t.__name__)
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        found: type[Block] = request.param
        return found

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """None has one: Prefect takes no logo but one that the browser fetches from elsewhere."""
        assert block._logo_url is None
        with pytest.raises(ValidationError, match="http"):
            BlockTypeCreate(name="x", slug="x", logo_url="data:image/png;base64,AAAA")

    def test_is_registered_under_its_own_slug(self, block: type[Block]) -> None:
        assert TYPES[block.get_block_type_slug()] is block

    def test_is_in_the_reference_with_all_its_fields(self, block: type[Block]) -> None:
        page = (REPOSITORY / "docs" / "reference" / "blocks.md").read_text()
        section = page.split(f"## {block.get_block_type_name()}\n")[1].split("\n## ")[0]
        rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
        assert f"Type `{block.get_block_type_slug()}`" in section
        assert rows == list(block.model_fields)

    def test_refuses_a_field_that_it_does_not_have(self, block: type[Block]) -> None:
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            block(aprovals=2)


def address(**given: Any) -> PostgresEnvironment:
    facts = {"host": "db.internal", "database": "shop", "user": "migrator", "password": CANARY}
    return PostgresEnvironment(**{**facts, **given})


def test_the_parts_become_an_address_that_asks_for_tls(tmp_path: Path) -> None:
    dsn = dsn_of(address(port=6543, schema_name="sales"), tmp_path)
    assert (dsn.host, dsn.port, dsn.user, dsn.database) == ("db.internal", 6543, "migrator", "shop")
    assert (dsn.password, dsn.schema, dict(dsn.parameters)) == (CANARY, "sales", {"sslmode": "require"})


def test_a_unix_socket_is_a_host_and_has_no_tls(tmp_path: Path) -> None:
    dsn = dsn_of(address(host="/run/postgresql", password=None), tmp_path)
    assert (dsn.host, dsn.password, dict(dsn.parameters)) == ("/run/postgresql", "", {})


def test_the_root_certificate_becomes_one_private_file(tmp_path: Path, authority: Authority) -> None:
    block = address(tls=Tls.VERIFY_FULL, root_certificate=authority.certificate)
    first, second = dsn_of(block, tmp_path), dsn_of(block, tmp_path)
    file = Path(first.parameters["sslrootcert"])
    assert first == second
    assert file.read_text().strip() == authority.certificate.strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert first.process_environment()["PGSSLROOTCERT"] == str(file)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"host": f"postgresql://u:{CANARY}@h/shop"}, "not a URL"),
        ({"host": ""}, "at least 1 character"),
        ({"host": "a,b"}, "one host name"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"tls": "verify-full"}, "needs root_certificate"),
        ({"tls": "verify-ca", "host": "/run/postgresql"}, "impossible on a Unix socket"),
        ({"tls": "maybe"}, "'disable', 'prefer', 'require', 'verify-ca' or 'verify-full'"),
        ({"tls": "verify-full", "root_certificate": "hello"}, "is not PEM text"),
        ({"tls": "verify-full", "root_certificate": "-----BEGIN PRIVATE KEY-----"}, "holds a private key"),
    ],
)
def test_an_impossible_address_is_refused_in_words_and_without_the_password(
    given: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        address(**given)
    assert why in str(refused.value)
    assert CANARY not in "".join(traceback.format_exception(refused.value))


def test_a_certificate_that_nobody_would_look_at_is_refused(authority: Authority) -> None:
    with pytest.raises(ValidationError, match="not looked at with tls = require"):
        address(root_certificate=authority.certificate)


def test_the_password_shows_nowhere(tmp_path: Path) -> None:
    block = address()
    dsn = dsn_of(block, tmp_path)
    assert CANARY not in f"{block} {block!r} {block.model_dump()} {block.model_dump_json()} {dsn} {dsn!r}"
    with pytest.raises(TypeError):
        pickle.dumps(dsn)


@pytest.mark.parametrize("directory", ["snapshots", "~/snapshots", "/srv/../etc"])
def test_a_store_is_an_absolute_folder(directory: str) -> None:
    with pytest.raises(ValidationError, match="absolute path"):
        SnapshotStore(directory=directory)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "either a directory or s3"),
        ({"directory": "/srv/snapshots", "s3": {"url": "s3://backups"}}, "either a directory or s3"),
        ({"s3": {"url": "backups"}}, "must be s3://BUCKET"),
        ({"s3": {"url": "s3://backups", "access_key_id": "AKIA"}}, "come together"),
        (
            {
                "s3": {
                    "url": "s3://backups",
                    "profile": "p",
                    "access_key_id": "A",
                    "secret_access_key": CANARY,
                }
            },
            "both profile and access_key_id",
        ),
        ({"s3": {"url": "s3://backups", "endpoint_url": f"https://me:{CANARY}@minio"}}, "holds a login"),
        ({"s3": {"url": "s3://backups", "kms_key_id": "k"}}, "kms_key_id has no effect"),
    ],
)
def test_a_store_is_a_folder_or_a_bucket_that_can_work(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SnapshotStore(**given)
    assert why in str(refused.value)
    assert CANARY not in str(refused.value)


def test_the_key_for_a_bucket_shows_nowhere() -> None:
    block = SnapshotStore(
        s3=S3Bucket(url="s3://backups/shop", access_key_id=CANARY, secret_access_key=CANARY, sse="AES256")
    )
    place = place_of(block)
    assert isinstance(place, S3Place)
    assert place.login is not None
    assert (place.bucket, place.prefix, place.sse) == ("backups", "shop", "AES256")
    assert place.login.secret_access_key == CANARY
    assert CANARY not in f"{block} {block!r} {block.model_dump()} {block.model_dump_json()} {place} {place!r}"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"approvals": 0}, "greater than or equal to 1"),
        ({"approval_timeout_minutes": 0}, "greater than 0"),
        ({"approvers": ["Morgan", " "]}, "an empty name"),
        ({"approvals": 2, "approvers": ["Morgan", "morgan"]}, "approvers names 1"),
    ],
)
def test_a_policy_that_nothing_could_pass_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ReleasePolicy(**given)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("http://tracker/{id}", "begin with https"),
        ("https:///{id}", "and a host"),
        ("https://[tracker/{id}", "and a host"),
        ("https://tracker/issues", "have {id} after the host"),
        ("https://{id}/issues", "have {id} after the host"),
        (f"https://me:{CANARY}@tracker/{{id}}", "hold no login"),
    ],
)
def test_a_tracker_is_an_https_address_with_a_place_for_the_id(template: str, why: str) -> None:
    with pytest.raises(ValidationError) as refused:
        WorkTracker(url_template=template)
    assert why in str(refused.value)
    assert CANARY not in str(refused.value)


def test_a_notifier_tells_of_all_but_approvals() -> None:
    assert set(Notifier(channel="slack-webhook/ops").events) == set(Event) - {Event.APPROVED}


@pytest.mark.parametrize("channel", ["ops", "slack-webhook/", "slack-webhook/ops/x", "Slack/ops"])
def test_a_channel_is_a_type_and_a_name(channel: str) -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        Notifier(channel=channel)


def test_names_follow_from_the_project_unless_the_configuration_says_one(tmp_path: Path) -> None:
    (tmp_path / "faber-db.toml").write_text(
        '[project]\nname = "web_shop"\n[database]\nhosting = "postgres"\n'
        '[environments.Pre_Prod]\n[environments.production]\nconnection_block = "vault"\n'
    )
    project = load_project(tmp_path)
    names = [{b.name for b in blocks_of(project, e)} for e in project.environments]
    assert names == [{"web-shop-pre-prod", "web-shop"}, {"vault", "web-shop-production", "web-shop"}]
    assert BlockName(slug="faber-db-release-policy", name="vault") not in blocks_of(
        project, project.environments[1]
    )
