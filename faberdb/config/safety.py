"""The `[safety]` section: what guards the environments that matter."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from faberdb.config.proving import SnapshotProof
from faberdb.config.section import Seconds, Section


class BackupNeed(StrEnum):
    """Whether a release may go on without a snapshot."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"
    OPTIONAL = "optional"


class DestructiveRule(Section):
    """What policy says of one kind of destructive statement."""

    allowed: bool = Field(default=True, description="false: a plan with it is blocked.")
    approval: Literal["standard", "enhanced"] = Field(
        default="standard",
        description="enhanced: the approver types the confirmation phrase. What is of high risk always asks for it.",
    )
    require_backup: bool = Field(default=True, description="A snapshot is taken even where it is optional.")
    row_threshold: int | None = Field(
        default=None, ge=0, description="More rows than this in the relation make the approval enhanced."
    )
    block_reason: str = Field(default="", description="Shown when it is blocked.")


_ENHANCED = DestructiveRule.preset(approval="enhanced")


class DestructiveOperations(Section):
    """A rule for each kind of destructive statement."""

    drop_database: DestructiveRule = Field(
        default=DestructiveRule.preset(allowed=False), description="DROP DATABASE."
    )
    drop_schema: DestructiveRule = Field(
        default=DestructiveRule.preset(allowed=False), description="DROP SCHEMA."
    )
    drop_table: DestructiveRule = Field(default=_ENHANCED, description="DROP TABLE.")
    truncate: DestructiveRule = Field(default=_ENHANCED, description="TRUNCATE.")
    delete_without_where: DestructiveRule = Field(default=_ENHANCED, description="DELETE of every row.")
    update_without_where: DestructiveRule = Field(
        default=_ENHANCED, description="UPDATE of every row, as backfills do."
    )
    drop_column: DestructiveRule = Field(default=DestructiveRule.preset(), description="DROP COLUMN.")
    delete_with_where: DestructiveRule = Field(
        default=DestructiveRule.preset(), description="DELETE of some rows."
    )
    drop_constraint: DestructiveRule = Field(default=DestructiveRule.preset(), description="DROP CONSTRAINT.")
    alter_column_type: DestructiveRule = Field(
        default=DestructiveRule.preset(), description="A column's new type."
    )


class ApprovalTimeouts(Section):
    """How long a release waits for a person, in seconds."""

    standard: Seconds = Field(default=24 * 3600, description="Then it expires; it can be asked again.")
    enhanced: Seconds = Field(default=72 * 3600, description="For plans that destroy something.")


_Name = Annotated[str, Field(pattern=r"\S")]


class SafetySection(Section):
    """What guards the environments that matter."""

    protected_environments: tuple[str, ...] = Field(
        default=("production",), description="Here approval is always asked for and snapshots are required."
    )
    require_approval_for: tuple[str, ...] = Field(
        default=(), description="Further environments whose releases wait for a person."
    )
    approvals: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="Per environment: so many people must say yes to every release, at every level of autonomy."
        " Default: one, where a person is asked at all.",
    )
    approvers: dict[str, tuple[_Name, ...]] = Field(
        default_factory=dict,
        description="Per environment: only these may say yes. Default: anybody but the requester.",
    )
    max_auto_rollback_attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="So often a rollback is tried by itself; then it waits for a person.",
    )
    health_check_before_deploy: bool = Field(
        default=True, description="Unhealthy before: the release is refused."
    )
    validate_destructive_operations: bool = Field(
        default=True,
        description="Judge statements by destructive_operations. Cannot be turned off when protected.",
    )
    backup_enforcement: dict[str, BackupNeed] = Field(
        default_factory=dict,
        description="Per environment. Default: required when protected, recommended for staging, else optional.",
    )
    snapshot_proof: dict[str, SnapshotProof] = Field(
        default_factory=dict,
        description="Per environment, how a release's snapshot is proven before its first statement. restore: it is"
        " restored beside and compared; recent: so was another of the same schema, not longer than backup.proof_hours"
        " ago; manifest: its files are as its manifest says. Default: restore when protected, else manifest.",
    )
    destructive_operations: DestructiveOperations = Field(
        default=DestructiveOperations.preset(), description="A rule for each kind of destructive statement."
    )
    approval_timeouts: ApprovalTimeouts = Field(
        default=ApprovalTimeouts.preset(), description="Bounds on waiting."
    )
