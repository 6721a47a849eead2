"""Deliveries as GitHub, GitLab and a plain CI send them, signed."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from typing import Any

from msgspec import Struct

SECRET = "a secret of the tests"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NO_COMMIT = "0" * 40
MIGRATION = "prisma/migrations/0003_note/migration.sql"


class Sent(Struct, frozen=True):
    """A request to one of the doors."""

    door: str
    body: bytes
    headers: dict[str, str]


def sign(message: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def github(payload: dict[str, Any], event: str = "push", *, delivery: str = "", secret: str = SECRET) -> Sent:
    body = json.dumps(payload).encode()
    headers = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": sign(body, secret),
        "Content-Type": "application/json",
    }
    return Sent("github", body, headers)


def gitlab(payload: dict[str, Any], event: str = "Push Hook", *, delivery: str = "") -> Sent:
    headers = {
        "X-Gitlab-Event": event,
        "Idempotency-Key": delivery or str(uuid.uuid4()),
        "X-Gitlab-Token": SECRET,
        "Content-Type": "application/json",
    }
    return Sent("gitlab", json.dumps(payload).encode(), headers)


def generic(payload: dict[str, Any], *, delivery: str = "", at: float | None = None) -> Sent:
    body = json.dumps(payload).encode()
    timestamp = str(int(time.time() if at is None else at))
    headers = {
        "X-FaberDB-Timestamp": timestamp,
        "X-FaberDB-Delivery": delivery or str(uuid.uuid4()),
        "X-FaberDB-Signature": sign(timestamp.encode() + b"." + body),
        "Content-Type": "application/json",
    }
    return Sent("generic", body, headers)


def github_push(**changes: Any) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main",
        "before": NO_COMMIT,
        "after": COMMIT,
        "created": False,
        "deleted": False,
        "forced": False,
        "repository": {"id": 1, "full_name": "acme/shop"},
        "pusher": {"name": "priya", "email": "priya@example.com"},
        "sender": {"login": "priya"},
        "commits": [{"id": COMMIT, "added": [MIGRATION], "modified": ["README.md"], "removed": []}],
        **changes,
    }


def github_pull_request(action: str = "opened", **head: Any) -> dict[str, Any]:
    return {
        "action": action,
        "number": 7,
        "repository": {"full_name": "acme/shop"},
        "sender": {"login": "priya"},
        "pull_request": {
            "head": {"ref": "feature", "sha": COMMIT, "repo": {"full_name": "acme/shop"}, **head},
            "base": {"ref": "main", "sha": NO_COMMIT},
        },
    }


def gitlab_push(**changes: Any) -> dict[str, Any]:
    return {
        "object_kind": "push",
        "ref": "refs/heads/main",
        "before": NO_COMMIT,
        "after": COMMIT,
        "user_username": "priya",
        "user_name": "Priya N",
        "project": {"path_with_namespace": "acme/shop"},
        "commits": [{"id": COMMIT, "added": [MIGRATION], "modified": [], "removed": []}],
        "total_commits_count": 1,
        **changes,
    }


def gitlab_merge_request(action: str = "open", **changes: Any) -> dict[str, Any]:
    return {
        "object_kind": "merge_request",
        "user": {"username": "priya"},
        "project": {"path_with_namespace": "acme/shop"},
        "object_attributes": {
            "action": action,
            "source_branch": "feature",
            "target_branch": "main",
            "source_project_id": 1,
            "target_project_id": 1,
            "last_commit": {"id": COMMIT},
            **changes,
        },
    }


def any_ci(**changes: Any) -> dict[str, Any]:
    return {
        "event": "push",
        "repository": "acme/shop",
        "branch": "main",
        "commit": COMMIT,
        "requester": "priya",
        **changes,
    }
