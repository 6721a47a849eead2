"""What makes an environment's policy stricter, as a Prefect block."""

from __future__ import annotations

from typing import Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, field_validator, model_validator

from blocks.documentation import DOCUMENTATION
from blocks.names import RELEASE_POLICY


class ReleasePolicy(Block):
    """What a release to one environment needs beyond what the configuration says. It can only tighten.

    A block named `<project>-<environment>` is read at every step, so that a tightening holds for releases that
    wait already. What is left out stays as the configuration says.

    Example:
        ```python
        from blocks.release_policy import ReleasePolicy

        block = ReleasePolicy.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid")

    _block_type_name = "Release Policy"
    _block_type_slug = RELEASE_POLICY
    _documentation_url = DOCUMENTATION
    _description = "Tightens what a release to one environment needs: approvals, a snapshot, health."

    approvals: int | None = Field(
        default=None,
        ge=1,
        description="So many people must say yes to every release, at every level of autonomy.",
    )
    approval_timeout_minutes: float | None = Field(
        default=None, gt=0, description="A release waits no longer than this for them."
    )
    approvers: list[str] = Field(
        default=[], description="Only these may say yes. Empty is anybody but the requester."
    )
    require_snapshot: bool = Field(default=False, description="A snapshot comes first and cannot be skipped.")
    require_health: bool = Field(
        default=False, description="Health is looked at before and after and cannot be skipped."
    )

    @field_validator("approvers")
    @classmethod
    def _are_names(cls, approvers: list[str]) -> list[str]:
        if any(not name.strip() for name in approvers):
            raise ValueError("approvers has an empty name")
        return [name.strip() for name in approvers]

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        people = len({name.casefold() for name in self.approvers})
        if people and (self.approvals or 1) > people:
            raise ValueError(
                f"approvals is {self.approvals} and approvers names {people}: nothing could pass"
            )
        return self
