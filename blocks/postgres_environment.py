"""A database's address and login as a Prefect block."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr


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
    _description = "The address and login of one environment's PostgreSQL database."

    url: SecretStr = Field(
        title="Connection URL",
        description="postgresql://user:password@host:5432/database, as the migrating role.",
    )
