"""The migration tools that faber-db can drive, by the name they have in the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from faberdb.errors import ConfigInvalid
from faberdb.tools.prisma import PrismaMigrations
from faberdb.tools.protocol import MigrationTool

TOOLS: Final[Mapping[str, Callable[..., MigrationTool]]] = {
    "prisma": PrismaMigrations,
}


def open_tool(
    name: str, *, directory: Path, schema_file: Path | None, schema: str = "public", table: str | None = None
) -> MigrationTool:
    """The tool of that name over a project's files. Reads nothing yet.

    Args:
        name: as in the configuration.
        directory: where the revisions are.
        schema_file: the tool's model of the schema, a file or a folder, where it has one.
        schema: the PostgreSQL schema that unqualified names go to and the tracking table is in.
        table: the tracking table's name, None for the tool's own.

    Raises:
        ConfigInvalid: there is no such tool.
    """
    factory = TOOLS.get(name)
    if factory is None:
        raise ConfigInvalid(
            f"There is no migration tool {name!r}.",
            why=f"faber-db knows: {', '.join(TOOLS)}.",
            next_step="correct database.migration_tool in faber-db.toml",
        )
    given = {} if table is None else {"table": table}
    return factory(directory=directory, schema_file=schema_file, schema=schema, **given)
