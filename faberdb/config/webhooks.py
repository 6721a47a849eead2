"""The `[webhooks]` section: which deliveries of a CI start what."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from faberdb.config.section import Seconds, Section

FROM_THE_EVENT = ("project", "ref", "requester")
"""Parameters that a delivery decides; a rule cannot, or it could name another requester."""


class WebhookRule(Section):
    """One answer to one kind of event in one repository."""

    repository: str = Field(min_length=1, description="Its full name, such as acme/shop.")
    event: str = Field(
        default="push",
        min_length=1,
        description="push, pull_request (also GitLab's merge request; plans only), or a generic sender's name.",
    )
    branches: tuple[str, ...] = Field(
        default=("main",), description="Globs: pushed to, or to be merged into; `*` passes a slash."
    )
    paths: tuple[str, ...] | None = Field(
        default=None,
        description="Globs from the repository's root, one of which a push has to touch; [] means any. "
        "Default: the migrations' folder.",
    )
    source: str = Field(
        default="",
        description="Git URL that workers fetch the delivery's commit from. Only a generic sender's event that "
        "names no commit goes without: then the project's own folder is taken as it is.",
    )
    deployment: str = Field(
        default="pipeline/faber-db", pattern=r"^[^/]+/[^/]+$", description="What is run, as flow/deployment."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="More parameters of it; not project, ref or requester."
    )

    @field_validator("parameters")
    @classmethod
    def _leaves_the_event_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(set(value) & set(FROM_THE_EVENT))
        if taken:
            raise ValueError(f"the delivery decides {', '.join(taken)}")
        return value

    @model_validator(mode="after")
    def _says_where_the_commit_is(self) -> WebhookRule:
        if self.event in {"push", "pull_request"} and not self.source:
            raise ValueError(f"a {self.event} needs `source`, the git URL that its commit is fetched from")
        return self

    @property
    def source_has_login(self) -> bool:
        """Whether the URL holds what would then be stored with every run."""
        parts = urlsplit(self.source)
        return bool(parts.password or (parts.username and parts.scheme in {"http", "https"}))


class WebhookSection(Section):
    """Deliveries of a CI."""

    github_secret_env: str = Field(
        default="FABER_DB_GITHUB_SECRET", description="Variable with GitHub's secret; unset closes /github."
    )
    gitlab_token_env: str = Field(
        default="FABER_DB_GITLAB_TOKEN", description="Variable with GitLab's token; unset closes /gitlab."
    )
    generic_secret_env: str = Field(
        default="FABER_DB_WEBHOOK_SECRET",
        description="Variable with the secret of /generic; unset closes it.",
    )
    max_body_bytes: int = Field(default=1_000_000, gt=0, description="Longer deliveries are turned away.")
    timestamp_window_seconds: Seconds = Field(
        default=300, description="How far a generic delivery's time stamp may be from now."
    )
    rules: tuple[WebhookRule, ...] = Field(
        default=(), description="The first that fits decides; a delivery that fits none is turned away."
    )
