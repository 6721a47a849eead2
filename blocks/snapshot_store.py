"""Where a project's snapshots are kept, as a Prefect block."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from blocks.documentation import DOCUMENTATION
from blocks.names import SNAPSHOT_STORE
from faberdb.config.backup import S3Section
from faberdb.snapshot.place import S3Login


class S3Bucket(S3Section):
    """The bucket, as `[backup.s3]` says it too, and the key for it."""

    access_key_id: SecretStr | None = Field(
        default=None, description="Default: as boto3 finds it, which a role of the machine is best for."
    )
    secret_access_key: SecretStr | None = Field(default=None, description="Belongs to the access key id.")
    session_token: SecretStr | None = Field(default=None, description="Of a key that ends.")

    model_config = ConfigDict(hide_input_in_errors=True)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for problem in self.problems():
            raise ValueError(problem)
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key come together")
        if self.access_key_id is not None and self.profile:
            raise ValueError("has both profile and access_key_id: keep one")
        return self

    @property
    def login(self) -> S3Login | None:
        """The key, where it is here."""
        if self.access_key_id is None or self.secret_access_key is None:
            return None
        return S3Login(
            access_key_id=self.access_key_id.get_secret_value(),
            secret_access_key=self.secret_access_key.get_secret_value(),
            session_token=self.session_token.get_secret_value() if self.session_token else "",
        )


class SnapshotStore(Block):
    """Where a project's snapshots are kept: a folder that every worker of the project sees, or a bucket.

    A block named `<project>` wins over `[backup] directory` and `[backup.s3]`.

    Example:
        ```python
        from blocks.snapshot_store import SnapshotStore

        block = SnapshotStore.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    _block_type_name = "Snapshot Store"
    _block_type_slug = SNAPSHOT_STORE
    _documentation_url = DOCUMENTATION
    _description = "The folder or the bucket that holds a project's snapshots."

    directory: str = Field(
        default="", description="A folder: its absolute path on the machines where the flows run."
    )
    s3: S3Bucket | None = Field(default=None, description="Or a bucket of S3, or of what speaks it.")

    @field_validator("directory")
    @classmethod
    def _is_absolute(cls, directory: str) -> str:
        path = PurePosixPath(directory)
        if directory and (not path.is_absolute() or ".." in path.parts):
            raise ValueError(
                "directory must be an absolute path without '..': workers run in folders of their own"
            )
        return str(path) if directory else ""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.directory) == (self.s3 is not None):
            raise ValueError("needs either a directory or s3")
        return self
