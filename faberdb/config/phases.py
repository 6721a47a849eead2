"""The `[faber_integration]` section: the five phases."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from faberdb.config.section import Section


class DetectionPatterns(Section):
    """How Frame recognises database work in a work item."""

    title_keywords: tuple[str, ...] = Field(
        default=("database", "schema", "migration", "table", "column", "index", "sql", "prisma"),
        description="Words in its title.",
    )
    labels: tuple[str, ...] = Field(
        default=("database", "schema", "migration", "db"), description="Its labels."
    )
    description_keywords: tuple[str, ...] = Field(
        default=("alter table", "create table", "add column", "foreign key", "migration", "schema change"),
        description="Words in its description.",
    )


class FaberEnvironment(Section):
    """What the phases do in one environment; the stricter of this and the other sections holds."""

    auto_migrate: bool | None = Field(default=None, description="false: releases here ask a person.")
    require_approval: bool | None = Field(default=None, description="Releases here wait for a person.")
    health_check_before: bool | None = Field(default=None, description="Look at the health before a release.")
    health_check_after: bool | None = Field(default=None, description="Look at the health after a release.")
    backup_required: bool | None = Field(default=None, description="true makes a snapshot required.")
    validate_safety: bool | None = Field(default=None, description="true judges destructive statements.")


class Coordination(Section):
    """How the phases get on with trouble."""

    block_on_health_check_failure: bool = Field(
        default=True, description="false: an unhealthy environment does not stop Build and Evaluate."
    )
    retry_failed_health_checks: bool = Field(
        default=True, description="Look again before calling it unhealthy."
    )
    max_retry_attempts: int = Field(default=3, ge=0, le=10, description="How often a look is repeated.")
    log_coordination_activities: bool = Field(default=True, description="The plugin's log of its own steps.")


class FaberIntegration(Section):
    """The five phases."""

    enabled: bool = Field(default=True, description="false: the pipeline refuses to run.")
    auto_detect_database_work: bool = Field(
        default=True, description="false: every work item counts as database work."
    )
    detection_patterns: DetectionPatterns = Field(
        default=DetectionPatterns.preset(), description="How Frame recognises database work."
    )
    auto_generate_migrations: bool = Field(default=False, description="Have the tool write the migration.")
    auto_deploy_dev: bool = Field(
        default=True, description="false: releases to the first environment ask a person."
    )
    environments: dict[str, FaberEnvironment] = Field(
        default_factory=dict, description="Per environment; the stricter holds."
    )
    phase_hooks: dict[str, Any] = Field(default_factory=dict, description="The plugin's hooks.")
    coordination: Coordination = Field(
        default=Coordination.preset(), description="How the phases get on with trouble."
    )
