"""A database's address and login as a Prefect block."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

_LOGO = (
    "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA2NCA2NCI+"
    "PGVsbGlwc2UgY3g9IjMyIiBjeT0iMTQiIHJ4PSIyMiIgcnk9IjgiIGZpbGw9IiMzMzY3OTEiLz48cGF0aCBkPSJNMTAgMTR2MzZjMCA0LjQg"
    "OS44IDggMjIgOHMyMi0zLjYgMjItOFYxNGMwIDQuNC05LjggOC0yMiA4cy0yMi0zLjYtMjItOHoiIGZpbGw9IiM0MTgyYjQiLz48L3N2Zz4="
)


class PostgresEnvironment(Block):
    """Where an environment's database is and how to log in.

    Name the block in `faber-db.toml` (`environments.production.connection_block`); it wins over the
    environment variable.

    Example:
        ```python
        from blocks.postgres_environment import PostgresEnvironment

        PostgresEnvironment(url="postgresql://user:password@db.internal/shop").save("shop-production")
        ```
    """

    _block_type_name = "PostgreSQL Environment"
    _block_type_slug = "faber-db-postgres-environment"
    _logo_url = _LOGO  # type: ignore[assignment]  # a URL that needs no network
    _description = "The address and login of one environment's PostgreSQL database."

    url: SecretStr = Field(
        title="Connection URL",
        description="postgresql://user:password@host:5432/database, as the migrating role.",
    )
