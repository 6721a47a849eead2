"""What the how-to lists as the least rights is enough for every call, and each of it is needed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.stack import free_port
from faberdb.errors import FaberError
from faberdb.snapshot.place import S3Login
from faberdb.snapshot.store.s3_client import S3Client
from tests.s3_server import PART, boto, place_at
from tests.webhooks.standin import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
BUCKET = "acme-database-snapshots"


def documented() -> dict[str, Any]:
    """The policy of the how-to, less what KMS asks for: moto encrypts without asking."""
    page = (REPOSITORY / "docs" / "how-to" / "s3.md").read_text()
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    policy: dict[str, Any] = json.loads(text)
    policy["Statement"] = [s for s in policy["Statement"] if s["Sid"] != "OnlyWithAKeyOfKms"]
    return policy


ACTIONS = sorted(action for statement in documented()["Statement"] for action in statement["Action"])


@pytest.fixture(scope="module")
def strict_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A moto in a process of its own that asks IAM about every call; with the bucket and a user without rights."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("w") as out:
        environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000"}
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        wait_for(lambda: server.poll() is not None or _answers(url), timeout_s=60)
        assert server.poll() is None, log.read_text()
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/moto-api/data.json").is_success
    except httpx.TransportError:
        return False


class Account:
    """A bucket, and a user whose rights can be said."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._ask_iam(1000)
        boto(url).create_bucket(Bucket=BUCKET)
        self.iam = boto(url, "iam")
        self.iam.create_user(UserName="faber")
        self.key = self.iam.create_access_key(UserName="faber")["AccessKey"]

    def _ask_iam(self, after: int) -> None:
        httpx.post(f"{self.url}/moto-api/reset-auth", content=str(after)).raise_for_status()

    def client(self, policy: dict[str, Any]) -> S3Client:
        """Ours, as the user with these rights."""
        self._ask_iam(1000)
        self.iam.put_user_policy(UserName="faber", PolicyName="rights", PolicyDocument=json.dumps(policy))
        self._ask_iam(0)
        login = S3Login(access_key_id=self.key["AccessKeyId"], secret_access_key=self.key["SecretAccessKey"])
        return S3Client(place_at(self.url, BUCKET, prefix="shop", login=login, attempts=1))


@pytest.fixture(scope="module")
def account(strict_s3: str) -> Account:
    return Account(strict_s3)


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def every_call(client: S3Client) -> None:
    """All that a store asks of a bucket."""
    folder = f"shop/{uuid.uuid4().hex}/"
    small, big, left = (folder + name for name in ("small", "big", "left"))
    rows, part = b"rows", b"p" * PART
    client.put(small, io.BytesIO(rows), size=len(rows), md5=md5(rows))
    assert client.has(small)
    assert client.get(small).read() == rows
    assert [o.key for o in client.objects(folder)] == [small]
    assert list(client.folders(folder)) == []
    one, other = client.begin_upload(big), client.begin_upload(left)
    assert {u.key for u in client.uploads(folder)} == {big, left}
    tag = client.put_part(big, one, 1, io.BytesIO(part), size=PART, md5=md5(part))
    assert list(client.parts(big, one)) == [1]
    client.complete(big, one, {1: tag})
    client.abort(left, other)
    client.delete(small)
    assert not client.has(small)


def test_the_documented_rights_are_enough(account: Account) -> None:
    every_call(account.client(documented()))


def test_they_end_at_the_projects_prefix(account: Account) -> None:
    client = account.client(documented())
    with pytest.raises(FaberError, match="AccessDenied"):
        client.put("other/one", io.BytesIO(b"x"), size=1, md5=md5(b"x"))


@pytest.mark.parametrize("action", ACTIONS)
def test_each_of_them_is_needed(account: Account, action: str) -> None:
    policy = documented()
    for statement in policy["Statement"]:
        statement["Action"] = [a for a in statement["Action"] if a != action]
    with pytest.raises(FaberError) as refused:
        every_call(account.client(policy))
    assert "docs/how-to/s3.md" in refused.value.next_step, "it says where the rights are listed"
