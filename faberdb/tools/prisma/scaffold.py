"""What a Prisma project needs to begin with, where it has none: a schema, the migrations' lock file, the client."""

from __future__ import annotations

from pathlib import Path

from faberdb.dsn import Dsn
from faberdb.errors import CommandFailed
from faberdb.subprocesses import run_program

_SCHEMA = """\
// Models go here; `prisma migrate dev --create-only` writes the migration for a change of them.
generator client {
  provider = "prisma-client-js"
}

datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}
"""
_LOCK = 'provider = "postgresql"\n'
_CLIENT_TIMEOUT_S = 180


def scaffold(root: Path, directory: Path, schema_file: Path | None, dsn: Dsn) -> dict[str, str]:
    """Write what is missing; touch nothing that is there.

    Args:
        root: the project's folder, where `node_modules` would be.
        directory: of the migrations.
        schema_file: the schema that was found, None for none.
        dsn: what the client's generator may look at.

    Returns:
        What was done or should be, in words, by subject; empty where nothing was missing.
    """
    if schema_file is not None:
        return {}
    directory.mkdir(parents=True, exist_ok=True)
    lock = directory / "migration_lock.toml"
    if not lock.exists():
        lock.write_text(_LOCK)
    schema = root / "prisma" / "schema.prisma"
    schema.parent.mkdir(parents=True, exist_ok=True)
    schema.write_text(_SCHEMA)
    return {"schema": f"wrote {schema.relative_to(root)}", "client": _generate_client(root, dsn)}


def _generate_client(root: Path, dsn: Dsn) -> str:
    program = root / "node_modules" / ".bin" / "prisma"
    if not program.exists():
        return "not generated, as the project has no Prisma CLI: npm install prisma @prisma/client"
    try:
        run_program(
            [program, "generate"],
            timeout_s=_CLIENT_TIMEOUT_S,
            environment={"DATABASE_URL": dsn.url(), "CHECKPOINT_DISABLE": "1"},
            cwd=root,
            what="prisma generate",
        )
    except CommandFailed as error:  # the database is made; the client is the project's own next step
        return f"not generated: {error.reason[:200]}"
    return "generated"
