"""The ids of snapshots: names that every store takes as they are."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Final

from faberdb.errors import SnapshotUnusable

PARTIAL: Final = ".partial"  # ends the name of one that is not complete
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,149}")


def new_snapshot_id(environment: str, now: datetime) -> str:
    """An id that sorts by time within its environment and that nobody else has."""
    return f"{_plain(environment)}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def snapshot_id_of_release(release_id: str) -> str:
    """The one id of a release's snapshot, so that taking it again finds it."""
    return f"{_plain(release_id)}-before"


def is_id(name: str) -> bool:
    """Whether a name can be that of a complete snapshot."""
    return _ID.fullmatch(name) is not None and not name.endswith(PARTIAL)


def checked_id(id_: str) -> str:
    """The id, when it is one.

    Raises:
        SnapshotUnusable: it is none; it could lead out of the store.
    """
    if not is_id(id_):
        raise SnapshotUnusable(
            f"{id_!r} is no snapshot's id.",
            why="An id has letters, digits, dots, dashes and underscores, and begins with a letter or digit.",
            next_step="faber-db snapshots",
        )
    return id_


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip("._-")[:120] or "snapshot"
