"""From the names in a configuration to the secrets that Prefect keeps."""

from __future__ import annotations

from blocks.git_credentials import GitCredentials
from blocks.postgres_environment import PostgresEnvironment
from faberdb.errors import VariableMissing
from faberdb.project import Project
from faberdb.source import GitLogin, GitUrl, block_name


def given_urls(project: Project, environment: str) -> dict[str, str]:
    """The connection URL of an environment whose configuration names a block; {} where none is named.

    Raises:
        VariableMissing: Prefect has no block of that name.
    """
    block = project.environment(environment).connection_block
    if not block:
        return {}
    try:
        loaded = PostgresEnvironment.load(block)
        assert isinstance(loaded, PostgresEnvironment)  # sync here: tasks and commands run no event loop
    except ValueError:
        raise VariableMissing(
            f"Prefect has no block {block!r}, which environments.{environment}.connection_block names.",
            next_step="create it in the Prefect UI under Blocks, type PostgreSQL Environment",
        ) from None
    return {environment: loaded.url.get_secret_value()}


def git_login(url: GitUrl) -> GitLogin | None:
    """The login at a repository's host; None where no block has the host's name, as a public one needs none."""
    if url.scheme != "https":
        return None
    try:
        loaded = GitCredentials.load(block_name(url.host))
        assert isinstance(loaded, GitCredentials)  # sync here, as above
    except ValueError:
        return None
    return GitLogin(username=loaded.username, token=loaded.token.get_secret_value())
