"""Filling a database with the project's own seed: a script in one transaction, or a command."""

from __future__ import annotations

from typing import Any

import psycopg

from faberdb.connection import connect
from faberdb.errors import BlockedByPolicy, Failed
from faberdb.ledger import Kind
from faberdb.progress import Progress
from faberdb.project_commands import run_project_command
from faberdb.target import Target


def seed_environment(target: Target, progress: Progress) -> dict[str, Any]:
    """Run the project's seed; running it twice is the seed's own promise.

    Raises:
        BlockedByPolicy: the configuration does not allow seeding this environment.
        Failed: the script or the command failed; a script leaves nothing behind.
    """
    config = target.project.config.seed
    if config.sql is None and config.command is None:
        return {"seeded": "nothing configured"}
    if not target.project.may_seed(target.name):
        raise BlockedByPolicy(
            f"Seeding {target.name} is not allowed; nothing was changed.",
            why="It is not among the environments that [seed] names.",
            next_step=f'add "{target.name}" to seed.environments in faber-db.toml if that is meant',
        )
    if config.sql is not None:
        progress(f"running {config.sql}")
        run_seed_script(target)
    else:
        run_project_command(
            config.command or (),
            target.dsn,
            cwd=target.project.root,
            timeout_s=config.timeout_seconds,
            what="the seed command",
        )
    # A seed may grant and create; what it leaves is what the environment is meant to be.
    facts = {"seeded": config.sql or "by command", "fingerprint": target.record_schema()}
    target.ledger.append(Kind.ENVIRONMENT_SEEDED, release="", environment=target.name, body=facts)
    return facts


def run_seed_script(target: Target) -> None:
    """Run `seed.sql` in one transaction."""
    config = target.project.config.seed
    assert config.sql is not None
    script, timeout = (target.project.root / config.sql).read_text(), config.timeout_seconds
    with connect(target.dsn, purpose="seed", statement_timeout_s=timeout) as conn:
        try:
            with conn.transaction():
                conn.execute(script.encode())
        except psycopg.Error as error:
            raise Failed(
                f"The seed of {target.name} failed; nothing of it stays.",
                why=str(error).strip().splitlines()[0],
                next_step=f"correct the script, then: faber-db seed {target.name}",
            ) from error
