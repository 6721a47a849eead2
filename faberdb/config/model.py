"""What `faber-db.toml` can say, and what the FABER-DB plugin's `config.json` says in the same words.

Every key is declared here once, with its default and its meaning (`description`), from which the JSON Schema
and the reference page are made. Unknown keys are refused. What the keys amount to for one environment is
decided in `faberdb.policy`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PositiveInt

from faberdb.config.backup import BackupSection
from faberdb.config.health import HealthSection
from faberdb.config.linting import LintSection
from faberdb.config.phases import FaberIntegration
from faberdb.config.rehearsal import RehearsalSection
from faberdb.config.safety import SafetySection
from faberdb.config.section import Seconds, Section
from faberdb.config.webhooks import WebhookSection


class Hosting(StrEnum):
    """Who runs an environment's PostgreSQL server."""

    EMBEDDED = "embedded"
    POSTGRES = "postgres"
    AWS_RDS = "aws-rds"
    AWS_AURORA = "aws-aurora"


class MigrationToolName(StrEnum):
    """The tools that a configuration may name."""

    PRISMA = "prisma"
    ALEMBIC = "alembic"
    KNEX = "knex"
    TYPEORM = "typeorm"
    SEQUELIZE = "sequelize"
    SQL = "sql"


def _known_hosting(value: Any) -> Any:
    return (
        {"local": "postgres", "postgresql": "postgres"}.get(value, value) if isinstance(value, str) else value
    )


class ProjectSection(Section):
    """Who the project is."""

    name: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9_]{0,30})?$",
        description="Used in database names and the ledger. Default: the folder's name.",
    )


class DatabaseSection(Section):
    """What all environments share."""

    provider: Literal["postgresql", "postgres"] = Field(
        default="postgresql", description="The database system; only PostgreSQL."
    )
    hosting: Annotated[Hosting, BeforeValidator(_known_hosting)] = Field(
        default=Hosting.EMBEDDED, description="Who runs the servers; an environment may say otherwise."
    )
    migration_tool: MigrationToolName = Field(
        default=MigrationToolName.PRISMA, description="The tool whose migrations are released."
    )


class EnvironmentSection(Section):
    """One environment; their order in the file is the order of promotion."""

    connection_string_env: str = Field(
        default="", description="Variable that holds the URL. Default: DEV_, STAGING_ or PROD_DATABASE_URL."
    )
    direct_connection_string_env: str = Field(
        default="", description="Variable with a URL past any connection pooler; used instead when it is set."
    )
    connection_block: str = Field(
        default="",
        description="Name of a Prefect block of type PostgreSQL Environment; it wins. Default: the block"
        " <project>-<environment>, if Prefect has one.",
    )
    hosting: Annotated[Hosting | None, BeforeValidator(_known_hosting)] = Field(
        default=None, description="Overrides database.hosting."
    )
    database: str = Field(
        default="",
        max_length=63,
        description="The database's name when embedded. Default: {project}_{environment}.",
    )
    auto_migrate: bool | None = Field(
        default=None, description="false: releases here ask a person. Default: true unless protected."
    )
    backup_before_migrate: bool | None = Field(
        default=None,
        description="true makes a snapshot required, false optional, where nothing stricter is said.",
    )
    require_approval: bool | None = Field(
        default=None, description="Releases here wait for a person. Default: true in protected environments."
    )


class MigrationsSection(Section):
    """Where the revisions are and how long one may take."""

    directory: str = Field(default="prisma/migrations", description="The revisions' folder.")
    table: str = Field(default="_prisma_migrations", description="The tool's tracking table.")
    schema_file: str = Field(
        default="", description="Prisma's schema. Default: prisma/schema.prisma or prisma/."
    )
    timeout_seconds: Seconds = Field(default=300, description="Bound on each statement.")
    concurrent_timeout_seconds: Seconds = Field(
        default=3600,
        description="Bound on a statement outside transactions, such as CREATE INDEX CONCURRENTLY.",
    )
    lock_timeout_seconds: Seconds = Field(
        default=1,
        description="Bound on each wait for a lock, during which others queue behind the migration.",
    )
    lock_attempts: PositiveInt = Field(
        default=20, description="How often a revision is tried while others hold what it locks."
    )
    lock_patience_seconds: Seconds = Field(
        default=600, description="Bound on all attempts of a revision and the waits between them."
    )
    end_idle_transactions_of: tuple[str, ...] = Field(
        default=(),
        description="Globs of application names whose idle transactions are ended when they are in the way.",
    )
    idle_transaction_seconds: Seconds = Field(
        default=60, description="How long such a transaction must have been idle."
    )


# Partition managers and monitoring keep to schemas of their own.
_OTHERS: Final = ("partman.*", "pgwatch.*", "pganalyze.*", "monitoring.*")


class DriftSection(Section):
    """What is done about schemas that were changed past the releases."""

    refuse: bool = Field(
        default=True,
        description="Where releases wait for a person, none begins on a schema that drifted, unless its plan settles "
        "that; elsewhere, and with false, the plan only says so.",
    )
    ignore: tuple[str, ...] = Field(
        default=_OTHERS,
        description="Globs of what others own and change, such as public.events_p* or index public.tmp_*: no drift.",
    )
    column_order: bool = Field(
        default=False,
        description="The order of a table's columns is part of its schema: INSERT without a list of columns, COPY"
        " and SELECT * depend on it.",
    )


class IntegrationSection(Section):
    """The plugin's companions."""

    cloud_plugin: str | None = Field(default=None, description="The plugin's cloud companion.")
    work_plugin: str | None = Field(default=None, description="The plugin's work tracker companion.")
    logs_plugin: str | None = Field(default=None, description="The plugin's logging companion.")


class LedgerSection(Section):
    """Where the record is kept: a database of its own."""

    connection_string_env: str = Field(
        default="FABER_DB_LEDGER_URL", description="Variable with the URL. Unset: the embedded server."
    )
    admin_connection_string_env: str = Field(
        default="FABER_DB_LEDGER_ADMIN_URL",
        description="Variable with the URL that sets the ledger up, once.",
    )


class SeedSection(Section):
    """How a database is filled."""

    sql: str | None = Field(default=None, description="A script, run in one transaction.")
    command: tuple[str, ...] | None = Field(default=None, description="A command; it gets DATABASE_URL.")
    environments: tuple[str, ...] | None = Field(
        default=None, description="Where it may run. Default: everywhere but in protected environments."
    )
    timeout_seconds: Seconds = Field(default=600, description="Bound on the whole.")


class EvaluateSection(Section):
    """How a plan is tried before anybody is asked."""

    test_command: tuple[str, ...] = Field(
        default=(),
        description="The application's tests; gets DATABASE_URL; {python} is faber-db's interpreter.",
    )
    staging: str = Field(default="", description="Released to first. Default: the last before the final one.")
    test_timeout_seconds: Seconds = Field(default=900, description="Bound on the tests.")


class CheckSection(Section):
    """One of the project's own assertions, run after a release."""

    name: str = Field(min_length=1, description="What people call it.")
    environments: tuple[str, ...] | None = Field(
        default=None, description="Where it holds. Default: everywhere."
    )
    sql: str | None = Field(default=None, description="Rolled back; its last statement returns one true.")
    command: tuple[str, ...] | None = Field(
        default=None, description="Exit code 0 passes; gets DATABASE_URL."
    )
    timeout_seconds: Seconds = Field(default=60, description="Bound on it.")


class FaberConfig(Section):
    """The whole file."""

    schema_version: str = Field(default="1.0", description="The layout of this file.")
    project: ProjectSection = Field(default=ProjectSection.preset(), description="Who the project is.")
    database: DatabaseSection = Field(
        default=DatabaseSection.preset(), description="What all environments share."
    )
    environments: dict[str, EnvironmentSection] = Field(
        default_factory=lambda: {n: EnvironmentSection() for n in ("dev", "staging", "production")},
        min_length=1,
        description="In order of promotion.",
    )
    migrations: MigrationsSection = Field(default=MigrationsSection.preset(), description="The revisions.")
    safety: SafetySection = Field(default=SafetySection.preset(), description="The guards.")
    backup: BackupSection = Field(default=BackupSection.preset(), description="Snapshots.")
    integration: IntegrationSection = Field(
        default=IntegrationSection.preset(), description="The plugin's companions."
    )
    faber_integration: FaberIntegration = Field(
        default=FaberIntegration.preset(), description="The five phases."
    )
    ledger: LedgerSection = Field(default=LedgerSection.preset(), description="The record.")
    seed: SeedSection = Field(default=SeedSection.preset(), description="How a database is filled.")
    evaluate: EvaluateSection = Field(default=EvaluateSection.preset(), description="Trying a plan.")
    rehearsal: RehearsalSection = Field(
        default=RehearsalSection.preset(), description="The copy that a plan is tried on."
    )
    health: HealthSection = Field(default=HealthSection.preset(), description="What is called well.")
    checks: tuple[CheckSection, ...] = Field(default=(), description="The project's own assertions.")
    lint: LintSection = Field(default=LintSection.preset(), description="How scripts are looked at.")
    drift: DriftSection = Field(default=DriftSection.preset(), description="Changes past the releases.")
    webhooks: WebhookSection = Field(default=WebhookSection.preset(), description="Deliveries of a CI.")
