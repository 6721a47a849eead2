"""Verbs on the databases of one server: look, create, drop, carry properties over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from faberdb.connection import Connection, connect, run
from faberdb.dsn import Dsn
from faberdb.errors import AuthenticationFailed, DatabaseMissing, Failed, Refused


def maintenance_dsn(dsn: Dsn) -> Dsn:
    """The same server's maintenance database, where databases are created, dropped and renamed from.

    `postgres` is there on every server unless somebody dropped it; `template1` always is.
    """
    wanted = dsn.with_database("postgres")
    try:
        with connect(wanted, purpose="find the maintenance database"):
            return wanted
    except (DatabaseMissing, AuthenticationFailed, Refused):
        return dsn.with_database("template1")


def database_exists(dsn: Dsn) -> bool:
    """Whether the server has a database of the Dsn's name."""
    with connect(maintenance_dsn(dsn), purpose="look for a database") as conn:
        return _exists(conn, dsn.database)


def list_databases(dsn: Dsn) -> tuple[str, ...]:
    """The names of the server's databases, templates apart."""
    with connect(maintenance_dsn(dsn), purpose="list databases") as conn:
        rows = conn.execute("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1").fetchall()
    return tuple(name for (name,) in rows)


def ensure_database(dsn: Dsn, *, like: str | None = None) -> bool:
    """Create the database if the server has none of its name.

    Args:
        dsn: its name and server.
        like: a database whose owner, encoding and locale it gets. Default: the server's own.

    Returns:
        Whether it was created now.

    Raises:
        Refused: the role may not create databases.
    """
    with connect(maintenance_dsn(dsn), purpose="create database") as conn:
        if _exists(conn, dsn.database):
            return False
        options = _creation_options(conn, like) if like else sql.SQL("")
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0{}").format(
            sql.Identifier(dsn.database), options
        )
        try:
            conn.execute(statement)
        except psycopg.errors.DuplicateDatabase:  # somebody else was quicker
            return False
        except psycopg.errors.InsufficientPrivilege as error:
            raise Refused(
                f"The role {dsn.user!r} may not create the database {dsn.database!r}.",
                why=str(error).strip().splitlines()[0],
                next_step=f"have an administrator run: ALTER ROLE {dsn.user} CREATEDB",
            ) from None
    return True


def drop_database(dsn: Dsn) -> None:
    """Drop the database if it is there, ending sessions in it. For copies and scratch databases only."""
    with connect(maintenance_dsn(dsn), purpose="drop database") as conn:
        run(conn, "DROP DATABASE IF EXISTS {name} WITH (FORCE)", name=dsn.database)


def cannot_restore_beside(dsn: Dsn) -> str:
    """Why restore-and-swap would not work with this login, "" when it would.

    It takes creating a database and renaming the live one: a superuser, or an owner with CREATEDB.
    """
    with connect(dsn, purpose="check rights") as conn:
        row = conn.execute(
            "SELECT r.rolsuper, r.rolcreatedb, pg_has_role(d.datdba, 'USAGE'), pg_get_userbyid(d.datdba)"
            " FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()"
        ).fetchone()
    assert row is not None
    superuser, may_create, owns, owner = row
    if superuser:
        return ""
    if not may_create:
        return f"the role {dsn.user!r} has no CREATEDB"
    return "" if owns else f"the database belongs to {owner!r}, not to {dsn.user!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseProperties:
    """What belongs to a database and is in no dump of it."""

    owner: str
    connection_limit: int
    grants: tuple[
        tuple[str, str, bool], ...
    ]  # role ("" for PUBLIC), privilege, grantable; () for the default
    default_grants: bool  # the access list is PostgreSQL's default
    settings: tuple[tuple[str, str], ...]  # role ("" for all) and `name=value`
    comment: str | None


def read_properties(conn: Connection, name: str) -> DatabaseProperties:
    """A database's properties, read from any database of its server."""
    row = conn.execute(
        "SELECT pg_get_userbyid(d.datdba), d.datconnlimit, d.datacl IS NULL,"
        " shobj_description(d.oid, 'pg_database'), d.oid FROM pg_database d WHERE d.datname = %s",
        (name,),
    ).fetchone()
    if row is None:
        raise Failed(f"The server has no database {name!r}.")
    owner, limit, default_grants, comment, oid = row
    grants = conn.execute(
        "SELECT coalesce(r.rolname, ''), a.privilege_type, a.is_grantable FROM pg_database d,"
        " aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE d.oid = %s ORDER BY 1, 2",
        (oid,),
    ).fetchall()
    settings = conn.execute(
        "SELECT coalesce(r.rolname, ''), unnest(s.setconfig) FROM pg_db_role_setting s"
        " LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = %s ORDER BY 1, 2",
        (oid,),
    ).fetchall()
    return DatabaseProperties(
        owner=owner,
        connection_limit=limit,
        grants=tuple(grants),
        default_grants=default_grants,
        settings=tuple(settings),
        comment=comment,
    )


def apply_properties(conn: Connection, name: str, properties: DatabaseProperties) -> None:
    """Give a database another's properties; the statements may run in a transaction."""
    database = sql.Identifier(name)
    statements = [
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(properties.owner)),
        sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
            database, sql.Literal(properties.connection_limit)
        ),
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(properties.comment)),
        *_grant_statements(database, properties),
        *(_setting_statement(database, role, setting) for role, setting in properties.settings),
    ]
    for statement in statements:
        conn.execute(statement)


def _grant_statements(database: sql.Identifier, properties: DatabaseProperties) -> Sequence[sql.Composed]:
    if properties.default_grants:
        return []
    made = [sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database)]
    for role, privilege, grantable in properties.grants:
        made.append(
            sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
                sql.SQL(privilege),  # PostgreSQL's own word, from aclexplode
                database,
                sql.Identifier(role) if role else sql.SQL("PUBLIC"),
                sql.SQL(" WITH GRANT OPTION" if grantable else ""),
            )
        )
    return made


def _setting_statement(database: sql.Identifier, role: str, setting: str) -> sql.Composed:
    name, _, value = setting.partition("=")
    who = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), database) if role else None
    head = who or sql.SQL("DATABASE {}").format(database)
    # A list such as search_path is stored as SQL already; quoting it whole would make it one name.
    text: Any = sql.SQL(value) if name in {"search_path", "temp_tablespaces"} else sql.Literal(value)
    return sql.SQL("ALTER {} SET {} TO {}").format(head, sql.Identifier(*name.split(".")), text)


def _creation_options(conn: Connection, like: str) -> sql.Composable:
    version = conn.info.server_version
    # The columns came in 15 and one was renamed in 17.
    locale = "datlocale" if version >= 170000 else "daticulocale"
    newer = sql.SQL("d.datlocprovider::text, {}").format(sql.Identifier("d", locale))
    query = sql.SQL(
        "SELECT pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, {}"
        " FROM pg_database d WHERE d.datname = %s"
    ).format(newer if version >= 150000 else sql.SQL("'c', NULL"))
    row = conn.execute(query, (like,)).fetchone()
    if row is None:
        return sql.SQL("")
    owner, encoding, collate, ctype, kind, icu_locale = row
    made = sql.SQL(" OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        sql.Identifier(owner), sql.Literal(encoding), sql.Literal(collate), sql.Literal(ctype)
    )
    if kind == "i":
        made += sql.SQL(" LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(icu_locale))
    elif kind == "b":
        made += sql.SQL(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(sql.Literal(icu_locale))
    return made


def _exists(conn: Connection, name: str) -> bool:
    return conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None
