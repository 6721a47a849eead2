"""The `datasource` block of a Prisma schema, which may be one file or a folder of files.

Reads that block only; models and generators are Prisma's business. Prisma 7 keeps the connection in
`prisma.config.ts`, and then the block names no variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from faberdb.errors import ConfigInvalid

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<word>[A-Za-z_][\w.-]*)
      | (?P<mark>[{}()\[\]=,@:?!]|.)""",
    re.VERBOSE,
)


class Datasource(Struct, frozen=True, kw_only=True):
    """What a schema says about its database."""

    provider: str  # as written, such as "postgresql"
    url_env: str | None  # the variable that `url` names
    direct_url_env: str | None  # the variable of the connection that migrations use, past a pooler
    schemas: tuple[str, ...]  # PostgreSQL schemas, where the project uses several


def read_datasource(schema: Path) -> Datasource:
    """Read a schema's datasource.

    Args:
        schema: a `.prisma` file, or the folder of a schema in several files.

    Raises:
        ConfigInvalid: the file is missing or unreadable, or has not exactly one datasource.
    """
    files = sorted(schema.rglob("*.prisma")) if schema.is_dir() else [schema]
    blocks = [block for file in files for block in _datasource_blocks(_read(file))]
    if len(blocks) != 1:
        raise ConfigInvalid(
            f"{schema} has {len(blocks) or 'no'} datasource blocks; a Prisma schema has one.",
            next_step="point the project's schema in faber-db.toml at the file or folder that has it",
        )
    fields = blocks[0]
    return Datasource(
        provider=_string(fields.get("provider")) or "",
        url_env=_variable(fields.get("url")),
        direct_url_env=_variable(fields.get("directUrl")),
        schemas=tuple(t[1:-1] for t in fields.get("schemas", []) if t.startswith('"')),
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"The Prisma schema {file} cannot be read.",
            why=str(error),
            next_step="correct the project's schema path in faber-db.toml",
        ) from None


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            yield match.group()


def _datasource_blocks(text: str) -> Iterator[dict[str, list[str]]]:
    """Each `datasource NAME { ... }` as its fields' value tokens. Blocks do not nest in this language."""
    tokens = list(_tokens(text))
    depth = 0
    for place, word in enumerate(tokens):
        if depth == 0 and word == "datasource" and tokens[place + 2 : place + 3] == ["{"]:
            yield _fields(tokens[place + 3 :])
        depth += {"{": 1, "}": -1}.get(word, 0)


def _fields(tokens: list[str]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    end = tokens.index("}") if "}" in tokens else len(tokens)
    for place, word in enumerate(tokens[:end]):
        if word == "=" and place > 0:
            fields[tokens[place - 1]] = []
        elif fields and tokens[place + 1 : place + 2] != ["="]:
            fields[next(reversed(fields))].append(word)
    return fields


def _string(value: list[str] | None) -> str | None:
    return value[0][1:-1] if value and value[0].startswith('"') else None


def _variable(value: list[str] | None) -> str | None:
    """The name inside `env("NAME")`; a URL written into the schema names none."""
    if value and value[0] == "env" and len(value) >= 3 and value[2].startswith('"'):
        return value[2][1:-1]
    return None
