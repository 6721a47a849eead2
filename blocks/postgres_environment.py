"""A database's address and login as a Prefect block."""

from __future__ import annotations

import re
import ssl
from enum import StrEnum
from typing import Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from blocks.documentation import DOCUMENTATION
from blocks.names import POSTGRES_ENVIRONMENT


class Tls(StrEnum):
    """libpq's `sslmode`."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"

    @property
    def verifies(self) -> bool:
        """Whether the server's certificate is checked against a root certificate."""
        return self in {Tls.VERIFY_CA, Tls.VERIFY_FULL}


class PostgresEnvironment(Block):
    """Where an environment's PostgreSQL database is and how to log in, as the migrating role.

    A block named `<project>-<environment>`, or the one that `environments.<name>.connection_block` names, wins
    over the environment variable. TLS is `require` unless said otherwise: no password or row crosses a network
    in clear, and it needs no certificate; `verify-full` is stronger, because it also proves who answers.

    Example:
        ```python
        from blocks.postgres_environment import PostgresEnvironment

        block = PostgresEnvironment.load("BLOCK_NAME")
        ```
    """

    # A block that is refused must not print the password that it was given.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    _block_type_name = "PostgreSQL Environment"
    _block_type_slug = POSTGRES_ENVIRONMENT
    _documentation_url = DOCUMENTATION
    _description = "The address and login of one environment's PostgreSQL database."

    host: str = Field(
        min_length=1, description="A host name, an address, or the folder of a Unix socket (/run/postgresql)."
    )
    port: int = Field(default=5432, ge=1, le=65535, description="The server's port.")
    database: str = Field(min_length=1, max_length=63, description="The database's name.")
    user: str = Field(min_length=1, description="The role that migrates.")
    password: SecretStr | None = Field(
        default=None, description="Its password. Leave it out where the server asks for none."
    )
    schema_name: str = Field(
        default="public",
        min_length=1,
        title="Schema",
        description="Where the tool creates unqualified names, as Prisma's ?schema= says.",
    )
    tls: Tls = Field(
        default=Tls.REQUIRE,
        title="TLS",
        description="libpq's sslmode. The verify modes need the root certificate.",
    )
    root_certificate: str | None = Field(
        default=None,
        description="PEM text of the authority that signed the server's certificate, for the verify modes.",
    )

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        if host.startswith("/"):
            return host
        if "://" in host or not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
            raise ValueError(
                "host is one host name, an address, or the folder of a Unix socket; not a URL. Port,"
                " user and database have fields of their own"
            )
        return host

    @field_validator("root_certificate")
    @classmethod
    def _is_a_certificate(cls, text: str | None) -> str | None:
        if not text or not text.strip():
            return None
        if "PRIVATE KEY" in text:
            raise ValueError("root_certificate holds a private key: give the authority's certificate only")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text.strip())
        except (ssl.SSLError, ValueError):
            raise ValueError(
                "root_certificate is not PEM text: it begins with -----BEGIN CERTIFICATE-----"
            ) from None
        return text.strip() + "\n"

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        socket = self.host.startswith("/")
        if self.tls.verifies and socket:
            raise ValueError(
                f"tls = {self.tls} is impossible on a Unix socket: PostgreSQL speaks no TLS there"
            )
        if self.tls.verifies and self.root_certificate is None:
            raise ValueError(
                f"tls = {self.tls} needs root_certificate: without it there is nothing to verify by"
            )
        if self.root_certificate is not None and not self.tls.verifies:
            raise ValueError(
                f"root_certificate is not looked at with tls = {self.tls}: choose verify-full, or remove it"
            )
        return self
