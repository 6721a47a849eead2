"""A git host's login as a Prefect block."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

from blocks.documentation import DOCUMENTATION
from blocks.names import GIT_CREDENTIALS


class GitCredentials(Block):
    """How to log in at a git host over https.

    It is found by its name: that of the host, with dots as dashes, such as `github-com`.

    Example:
        ```python
        from blocks.git_credentials import GitCredentials

        block = GitCredentials.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid")

    _block_type_name = "Git Credentials"
    _block_type_slug = GIT_CREDENTIALS
    _documentation_url = DOCUMENTATION
    _description = "The login at one git host, for projects that are given by their https URL."

    username: str = Field(
        default="x-access-token",
        title="User name",
        description="GitHub: x-access-token; GitLab: oauth2; others: the account's name.",
    )
    token: SecretStr = Field(
        title="Token", description="An access token that may read the repositories, and no more."
    )
