"""Where the connection URLs come from: a block, a variable, `.env`, or the embedded server.

A URL is looked up when it is needed and is kept nowhere. Errors name the variable, never its value.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from faberdb.dsn import Dsn, parse_dsn
from faberdb.embedded import find_server
from faberdb.errors import ConfigInvalid, Refused, ServerUnreachable, VariableMissing
from faberdb.given import NOTHING_GIVEN, Given
from faberdb.project import Environment, Hosting, Project
from faberdb.tools.prisma.datasource import read_datasource

LEDGER_DATABASE = "faber_ledger"
LEDGER_ROLE = "faber_ledger_app"


class LedgerAddress(Struct, frozen=True, kw_only=True):
    """Where the ledger is: as the product runs, and as its owner who sets it up."""

    runs_as: Dsn
    admin: Dsn


def resolve_dsn(project: Project, environment: Environment, *, given: Given = NOTHING_GIVEN) -> Dsn:
    """An environment's database and login.

    Args:
        project: whose.
        environment: which.
        given: what Prefect blocks say of it; they win.

    Raises:
        VariableMissing: nothing says where it is.
        ServerUnreachable: the embedded server does not run.
        ConfigInvalid: the URL is malformed, or a block speaks of an embedded database.
    """
    if given.dsn is not None:
        _refuse_two_servers(environment, given)
        return given.dsn
    if environment.hosting is Hosting.EMBEDDED:
        return _embedded(project).with_database(environment.database)
    if environment.hosting is not Hosting.POSTGRES:
        raise Refused(
            f"The hosting {environment.hosting.value!r} of {environment.name} is not supported yet.",
            why="embedded and postgres are; a managed server works as postgres, by its URL.",
            next_step=f'set environments.{environment.name}.hosting = "postgres"',
        )
    variable, value = _variable(project, environment)
    if value:
        return parse_dsn(value, source=variable)
    raise VariableMissing(
        f"{environment.variable} is not set, and {environment.name} is where it points.",
        why="It is neither in the environment nor in .env beside the configuration.",
        next_step=f"export {environment.variable}=postgresql://USER:PASSWORD@HOST:5432/DATABASE",
    )


def address_source(project: Project, environment: Environment, given: Given = NOTHING_GIVEN) -> str:
    """Where an environment's address comes from: `block shop-production`, `variable X_URL` or `embedded`."""
    if given.dsn is not None:
        return f"block {given.block}"
    if environment.hosting is Hosting.EMBEDDED:
        return "embedded"
    variable, value = _variable(project, environment)
    return f"variable {variable}" if value else f"variable {variable} (not set)"


def _refuse_two_servers(environment: Environment, given: Given) -> None:
    """A block that says another server than the configuration must not be silently followed, nor ignored."""
    if environment.hosting is Hosting.EMBEDDED:
        raise ConfigInvalid(
            f"{environment.name} is embedded, and Prefect has the block {given.block!r} with an address for it.",
            next_step=f'set environments.{environment.name}.hosting = "postgres", or delete the block',
        )


def _variable(project: Project, environment: Environment) -> tuple[str, str]:
    """The variable that holds the URL, and its value; "" where none does."""
    for variable in (_direct_variable(project, environment), environment.variable):
        value = look_up(variable, project.root) if variable else ""
        if value:
            return variable, value
    return environment.variable, ""


def _direct_variable(project: Project, environment: Environment) -> str:
    """The variable with a URL past a pooler: the configured one, else Prisma's `directUrl`.

    Prisma's belongs to one URL only: to the environment whose variable is the schema's own `url`.
    """
    if environment.direct_variable or project.schema_file is None:
        return environment.direct_variable
    source = read_datasource(project.schema_file)
    return source.direct_url_env or "" if source.url_env == environment.variable else ""


def ledger_dsn(project: Project) -> LedgerAddress:
    """The ledger's address: from its variable, else on the embedded server."""
    section = project.config.ledger
    url = look_up(section.connection_string_env, project.root)
    if url:
        runs_as = parse_dsn(url, source=section.connection_string_env)
        admin = look_up(section.admin_connection_string_env, project.root)
        return LedgerAddress(
            runs_as=runs_as,
            admin=parse_dsn(admin, source=section.admin_connection_string_env) if admin else runs_as,
        )
    server = _embedded(project)
    owner = server.with_database(LEDGER_DATABASE)
    runs_as = Dsn(host=owner.host, port=owner.port, user=LEDGER_ROLE, database=LEDGER_DATABASE)
    return LedgerAddress(runs_as=runs_as, admin=owner)


def unset_variables(project: Project, given: Mapping[str, Given] = MappingProxyType({})) -> list[str]:
    """The variables that the environments need, no block stands for, and that have no value now."""
    return [
        e.variable
        for e in project.environments
        if e.hosting is not Hosting.EMBEDDED
        and not e.connection_block
        and given.get(e.name, NOTHING_GIVEN).dsn is None
        and not any(look_up(v, project.root) for v in (e.direct_variable, e.variable) if v)
    ]


def look_up(variable: str, root: Path) -> str:
    """A variable's value from the environment, else from `.env`; "" where it is in neither."""
    if os.environ.get(variable):
        return os.environ[variable]
    if not (root / ".env").is_file():
        return ""
    from dotenv import dotenv_values  # noqa: PLC0415 -- only projects with a .env pay for it

    return dotenv_values(root / ".env").get(variable) or ""


def _embedded(project: Project) -> Dsn:
    found = find_server(project.home)
    if found is None:
        raise ServerUnreachable(
            "The embedded PostgreSQL server does not run.",
            why=f"Its data is in {project.home / 'postgres'}.",
            next_step="faber-db doctor starts it",
        )
    return found
