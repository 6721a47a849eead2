"""The `faber-db.toml` that `faber-db init` writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import tomlkit

from faberdb.config.load import FILE_NAME
from faberdb.config.model import Hosting
from faberdb.errors import Refused


def render(
    *, name: str, hosting: Hosting, tool: str, environments: Sequence[str], protected: Sequence[str]
) -> str:
    """A configuration with what was chosen, and a word on what may be added."""
    document = tomlkit.document()
    document.add(tomlkit.comment("What each key means: docs/reference/configuration.md of faber-db."))
    document.add("schema_version", tomlkit.item("1.0"))
    document["project"] = {"name": name}
    document["database"] = {"provider": "postgresql", "hosting": hosting.value, "migration_tool": tool}
    sections = tomlkit.table(is_super_table=True)
    for environment in environments:
        section = tomlkit.table()
        if hosting is not Hosting.EMBEDDED:
            section.add(
                tomlkit.comment("the variable that holds this environment's URL; it may stand in .env")
            )
            section["connection_string_env"] = _variable(environment)
        sections[environment] = section
    document["environments"] = sections
    document["safety"] = {"protected_environments": list(protected)}
    return tomlkit.dumps(document)


def write_config(folder: Path, text: str, *, force: bool) -> Path:
    """Write the file, whole or not at all.

    Raises:
        Refused: there is one, and `force` was not given.
    """
    path = folder / FILE_NAME
    if path.exists() and not force:
        raise Refused(
            f"{path} is there already; it was not changed.", next_step="faber-db init --force replaces it"
        )
    partial = path.with_suffix(".toml.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path


def _variable(environment: str) -> str:
    short = {"production": "PROD"}.get(environment, environment.upper().replace("-", "_"))
    return f"{short}_DATABASE_URL"
