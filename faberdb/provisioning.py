"""From nothing to an environment's database that the tool can work on. Every function is an ensure."""

from __future__ import annotations

from typing import Any

from faberdb.baseline import find_baseline, has_objects
from faberdb.connection import connect
from faberdb.databases import ensure_database, maintenance_dsn
from faberdb.embedded import start_server
from faberdb.errors import Refused
from faberdb.progress import Progress
from faberdb.project import Environment, Hosting, Project
from faberdb.reach import refuse_beyond
from faberdb.target import Target
from faberdb.tools.prisma.scaffold import scaffold


def provision_server(project: Project, environment: Environment) -> dict[str, Any]:
    """Bring up what the hosting provides; a server by URL is there already and is only looked at later.

    Raises:
        Refused: the hosting is one that this version cannot provision.
    """
    if environment.hosting is Hosting.EMBEDDED:
        return {"server": str(start_server(project.home))}
    if environment.hosting is Hosting.POSTGRES:
        return {"server": "given by URL"}
    raise Refused(
        f"The hosting {environment.hosting.value!r} of {environment.name} cannot be provisioned yet.",
        why="embedded and postgres are supported; a managed server works as postgres, by its URL.",
        next_step=f"set environments.{environment.name}.hosting to postgres and give its URL",
    )


def create_environment_database(target: Target, progress: Progress) -> dict[str, Any]:
    """Create the environment's database, or recognise an existing one; initialise the tool's tracking table.

    Returns:
        `{"created": bool, "recognised": [revision names], "server_version": int, "initialised": {...}}`.
    """
    with connect(maintenance_dsn(target.dsn), purpose="create database") as conn:
        version = conn.info.server_version
    created = ensure_database(target.dsn)
    progress("created the database" if created else "found the database")
    recognised: tuple[str, ...] = ()
    with connect(target.dsn, purpose="create database") as conn:
        there = has_objects(conn, leave_out=target.tool.tracking_tables)
        if there and not target.tool.tracked(conn):
            recognised = _recognise(target, progress)
        target.tool.ensure_tracking(conn)
        if recognised:
            known = [r for r in target.tool.revisions() if r.name in recognised]
            target.tool.baseline(conn, known)
    initialised = scaffold(
        target.project.root, target.project.migrations_directory, target.project.schema_file, target.dsn
    )
    return {
        "created": created,
        "recognised": list(recognised),
        "server_version": version,
        "initialised": initialised,
    }


def _recognise(target: Target, progress: Progress) -> tuple[str, ...]:
    revisions, policy = target.tool.revisions(), target.environment.policy
    refuse_beyond(
        ((r.name, r.script) for r in revisions),
        hosting=target.environment.hosting,
        what="What the database has is not recognised by replaying revisions",
    )
    return tuple(r.name for r in find_baseline(target.dsn, target.tool, revisions, policy.budget, progress))
