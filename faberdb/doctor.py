"""What is wrong on this machine for this project, and what to type about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import psycopg
from msgspec import Struct

from faberdb.connection import connect
from faberdb.credentials import resolve_dsn, unset_variables
from faberdb.embedded import client_program, start_server
from faberdb.errors import DatabaseMissing, FaberError
from faberdb.given import NOTHING_GIVEN, Given
from faberdb.project import Project
from faberdb.target import open_project_ledger, tool_of


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    subject: str
    well: bool
    text: str
    next_step: str = ""


def examine(project: Project, given: Mapping[str, Given]) -> list[Finding]:
    """Look at everything the project needs here; one bad thing hides no other.

    Args:
        project: whose.
        given: what blocks say, by environment.
    """
    return list(_examine(project, given))


def _examine(project: Project, given: Mapping[str, Given]) -> Iterator[Finding]:
    yield Finding(subject="configuration", well=True, text=str(project.config_path))
    for variable in unset_variables(project, given):
        yield Finding(
            subject=f"variable {variable}",
            well=False,
            text="not set, neither in the environment nor in .env",
            next_step=f"export {variable}=postgresql://USER:PASSWORD@HOST:5432/DATABASE",
        )
    for program in ("pg_dump", "pg_restore"):
        path = client_program(program)
        yield Finding(subject=program, well=path.exists(), text=str(path))
    yield _disk(project)
    if project.uses_embedded:
        yield _try("embedded server", lambda: str(start_server(project.home)))
    yield _try("ledger", lambda: _ledger(project))
    yield _try("revisions", lambda: _revisions(project))
    for environment in project.environments:
        yield _try(
            f"environment {environment.name}",
            partial(_environment, project, environment.name, given.get(environment.name, NOTHING_GIVEN)),
        )


def _try(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject=subject, well=True, text=look())
    except DatabaseMissing as error:
        return Finding(subject=subject, well=True, text=f"{error.what} {error.next_step}".strip())
    except FaberError as error:
        text = error.reason
        return Finding(subject=subject, well=False, text=text, next_step=error.next_step)
    except psycopg.Error as error:
        return Finding(subject=subject, well=False, text=str(error).strip().splitlines()[0])


def _disk(project: Project) -> Finding:
    project.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(project.home).free
    return Finding(
        subject="disk",
        well=free > 1 << 30,
        text=f"{free / (1 << 30):.1f} GiB free in {project.home}",
        next_step="" if free > 1 << 30 else "make room, or set FABER_DB_HOME to a folder on another disk",
    )


def _ledger(project: Project) -> str:
    with open_project_ledger(project) as ledger:
        report = ledger.verify()
    if report.broken_at is not None:
        raise FaberError(
            f"The ledger's chain is broken at entry {report.broken_at}.",
            why=report.reason,
            next_step="faber-db ledger --verify; compare with a backup of the ledger",
        )
    return f"{report.entries} entries, the chain is whole"


def _revisions(project: Project) -> str:
    tool = tool_of(project)
    return f"{len(tool.revisions())} revisions of {tool.name} in {project.migrations_directory}"


def _environment(project: Project, name: str, given: Given) -> str:
    dsn = resolve_dsn(project, project.environment(name), given=given)
    with connect(dsn, purpose="doctor") as conn:
        return f"{dsn}, PostgreSQL {conn.info.server_version // 10000}"
