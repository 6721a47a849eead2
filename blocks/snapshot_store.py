"""Where a project's snapshots are kept, as a Prefect block."""

from __future__ import annotations

from pathlib import PurePosixPath

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, field_validator

from blocks.documentation import DOCUMENTATION
from blocks.names import SNAPSHOT_STORE


class SnapshotStore(Block):
    """Where a project's snapshots are kept: a folder that every worker of the project sees.

    A block named `<project>` wins over `[backup] directory`.

    Example:
        ```python
        from blocks.snapshot_store import SnapshotStore

        block = SnapshotStore.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid")

    _block_type_name = "Snapshot Store"
    _block_type_slug = SNAPSHOT_STORE
    _documentation_url = DOCUMENTATION
    _description = "The folder that holds a project's snapshots."

    directory: str = Field(description="The folder's absolute path on the machines where the flows run.")

    @field_validator("directory")
    @classmethod
    def _is_absolute(cls, directory: str) -> str:
        path = PurePosixPath(directory)
        if not path.is_absolute() or ".." in path.parts:
            raise ValueError(
                "directory must be an absolute path without '..': workers run in folders of their own"
            )
        return str(path)
