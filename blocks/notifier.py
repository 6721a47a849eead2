"""Who is told of a project's releases, as a Prefect block."""

from __future__ import annotations

from enum import StrEnum

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, field_validator

from blocks.documentation import DOCUMENTATION
from blocks.names import NOTIFIER


class Event(StrEnum):
    """What people can be told of."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    RELEASED = "released"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


class Notifier(Block):
    """Which of Prefect's notification blocks is told of a project's releases, and of what.

    A block named `<project>`. The channel keeps its own address and secrets; this block only names it.

    Example:
        ```python
        from blocks.notifier import Notifier

        block = Notifier.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid")

    _block_type_name = "Release Notifier"
    _block_type_slug = NOTIFIER
    _documentation_url = DOCUMENTATION
    _description = "The channel that is told of a project's releases."

    channel: str = Field(
        pattern=r"^[a-z0-9-]+/[a-z0-9-]+$",
        description="A notification block as type/name, such as slack-webhook/ops.",
    )
    events: list[Event] = Field(
        default=[e for e in Event if e is not Event.APPROVED],
        description="What is told. Default: all but approved.",
    )

    @field_validator("events")
    @classmethod
    def _are_distinct(cls, events: list[Event]) -> list[Event]:
        return list(dict.fromkeys(events))
