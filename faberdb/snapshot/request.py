"""What somebody wants a snapshot of, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """A wish for one snapshot; its id makes taking it an ensure."""

    id: str
    project: str
    environment: str
    label: str
    reason: str
    retention_days: int
    revisions: tuple[str, ...]
    tracking_tables: tuple[str, ...]  # left out of the fingerprint
    release_id: str | None = None
