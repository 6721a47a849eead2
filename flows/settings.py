"""What every flow of faber-db is decorated with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

FLOW: Final[dict[str, Any]] = {
    "persist_result": True,
    "result_serializer": "json",
    "validate_parameters": True,
}
"""Results outlive a suspension as JSON; nothing of ours needs a pickle."""


@contextmanager
def subflows() -> Iterator[None]:
    """Call flows from within a flow: they live and die with it, so only the run at the top beats.

    Each heartbeat thread costs a second at its flow's end (Prefect 3.8 sleeps it out).
    """
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
