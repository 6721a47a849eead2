"""Verbs on the databases of one server: is it there, create it, drop it, list them.

Each takes the Dsn of any database of the server and works from the maintenance database beside it. Refuses
to know what is inside a database.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

from faberdb.connection import Connection, connect, run
from faberdb.database_properties import DatabaseProperties
from faberdb.dsn import Dsn
from faberdb.errors import DatabaseMissing, Refused
from faberdb.server_errors import explained

NAME_BYTES: Final = 63  # NAMEDATALEN - 1: the server silently cuts a longer name, and finds another database
_TEMPLATE_PATIENCE_S: Final = 20


@contextmanager
def maintenance(
    dsn: Dsn, *, purpose: str, statement_timeout_s: float = 300, read_only: bool = False
) -> Iterator[Connection]:
    """A connection to the server's `postgres` database, else to `template1`; never to `dsn.database` itself.

    An application that lives in the database `postgres` is administered from `template1`: nobody can
    rename or drop the database they are connected to.
    """
    with contextlib.ExitStack() as stack:
        conn = _enter(stack, dsn, purpose, statement_timeout_s)
        if read_only:
            conn.execute("SET default_transaction_read_only = on")
        yield conn


def maintenance_dsn(dsn: Dsn) -> Dsn:
    """Where `maintenance` connects to; the same for every login of the server."""
    with maintenance(dsn, purpose="find the maintenance database") as conn:
        return dsn.with_database(conn.info.dbname)


def database_exists(dsn: Dsn) -> bool:
    """Whether the server has a database of the Dsn's name."""
    with maintenance(dsn, purpose="look for a database") as conn:
        return exists(conn, dsn.database)


def exists(conn: Connection, name: str) -> bool:
    """The same on an open connection to any database of the server."""
    return conn.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None


def list_databases(dsn: Dsn) -> tuple[str, ...]:
    """The names of the server's databases, templates left out, in alphabetical order."""
    with maintenance(dsn, purpose="list databases") as conn:
        rows = conn.execute(
            'SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname COLLATE "C"'
        )
        return tuple(name for (name,) in rows)


def ensure_database(dsn: Dsn, *, owner: str | None = None, like: DatabaseProperties | None = None) -> bool:
    """Create the Dsn's database from `template0` where it is missing.

    Args:
        dsn: names it.
        owner: its owner; the login's own role by default.
        like: whose encoding, locale and tablespace it gets; the server's defaults without it.

    Returns:
        Whether it was created now.

    Raises:
        Refused: the name does not fit, or the role may not create databases.
        Transient: another session keeps the template busy.
    """
    require_fitting(dsn.database)
    with (
        maintenance(dsn, purpose="create database") as conn,
        explained(f"The database {dsn.database!r} could not be created.", needs="a role with CREATEDB"),
    ):
        return not exists(conn, dsn.database) and _create(conn, _creation(conn, dsn.database, owner, like))


def drop_database(dsn: Dsn) -> bool:
    """Drop the Dsn's database where it is there, ending every session in it.

    Returns:
        Whether it was there.
    """
    with (
        maintenance(dsn, purpose="drop database") as conn,
        explained(f"The database {dsn.database!r} could not be dropped."),
    ):
        found = exists(conn, dsn.database)
        if found and conn.info.server_version >= 130000:
            run(conn, "DROP DATABASE IF EXISTS {name} WITH (FORCE)", name=dsn.database)
        elif found:
            end_sessions(conn, dsn.database)
            run(conn, "DROP DATABASE IF EXISTS {name}", name=dsn.database)
        return found


@contextmanager
def scratch_database(dsn: Dsn, label: str) -> Iterator[Dsn]:
    """An empty database of a name of its own on the Dsn's server, for as long as it is looked at.

    Args:
        dsn: its name begins the scratch one's.
        label: what it is for, such as "replay".

    Raises:
        Refused, Transient: as `ensure_database`.
    """
    scratch = dsn.with_database(fitting_name(dsn.database, f"_{label}_{secrets.token_hex(4)}"))
    ensure_database(scratch)
    try:
        yield scratch
    finally:
        drop_database(scratch)


def end_sessions(conn: Connection, *names: str) -> int:
    """Tell every client session in the named databases to end, except our own.

    Returns:
        How many there were. They may need a moment to be gone.
    """
    rows = conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = ANY(%s) AND pid <> pg_backend_pid() AND usesysid IS NOT NULL",
        (list(names),),
    ).fetchall()
    return len(rows)


def cannot_restore_beside(dsn: Dsn) -> str:
    """Why the login could not restore a copy beside the database and exchange the names; "" when it could.

    Asked while planning, so that it is not found out in the middle of an undo.
    """
    with maintenance(dsn, purpose="look at privileges", read_only=True) as conn:
        row = conn.execute(_PRIVILEGES, {"name": dsn.database}).fetchone()
        if row is None:
            return f"the server has no database {dsn.database!r}"
        role, superuser, creates, owns, owner, settings, of_roles = row
        strangers = sessions_beyond_us(conn, dsn.database)
    reasons = {
        f"the role {role!r} may not create databases (ALTER ROLE ... CREATEDB)": not creates,
        f"the role {role!r} does not own the database {dsn.database!r}; {owner!r} does": not owns,
        f"only a superuser may set {_listed(settings)}, which the database has set": settings,
        f"the database has settings of other roles: {_listed(of_roles)}": of_roles,
        f"the role {role!r} may not end sessions of {_listed(strangers)}": strangers,
    }
    return "" if superuser else next((why for why, holds in reasons.items() if holds), "")


def sessions_beyond_us(conn: Connection, *names: str) -> tuple[str, ...]:
    """The roles with sessions in the named databases that our role may not end."""
    rows = conn.execute(_BEYOND_US, (list(names),)).fetchall()
    return tuple(role for (role,) in rows)


def fitting_name(head: str, tail: str) -> str:
    """`head` and `tail` joined, the head cut so that the whole fits a database's name, whatever its script."""
    room = NAME_BYTES - len(tail.encode())
    return head.encode()[:room].decode(errors="ignore") + tail


def require_fitting(name: str) -> None:
    """Refuse a name that the server would cut.

    Raises:
        Refused: it is empty, longer than 63 bytes, or has a zero byte.
    """
    if not name or "\0" in name or len(name.encode()) > NAME_BYTES:
        raise Refused(
            f"{name[:80]!r} cannot be a database's name.",
            why=f"PostgreSQL's names have 1 to {NAME_BYTES} bytes; this one has {len(name.encode())}.",
            next_step="choose a shorter name",
        )


def _listed(names: Iterable[str] | None) -> str:
    return ", ".join(names or ())


def _enter(stack: contextlib.ExitStack, dsn: Dsn, purpose: str, timeout_s: float) -> Connection:
    if dsn.database != "postgres":
        with contextlib.suppress(DatabaseMissing):  # some servers have none, by their administrator's will
            beside = dsn.with_database("postgres")
            return stack.enter_context(connect(beside, purpose=purpose, statement_timeout_s=timeout_s))
    beside = dsn.with_database("template1")
    return stack.enter_context(connect(beside, purpose=purpose, statement_timeout_s=timeout_s))


def _create(conn: Connection, statement: sql.Composed) -> bool:
    deadline = time.monotonic() + _TEMPLATE_PATIENCE_S
    while True:
        try:
            conn.execute(statement)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return False  # another process was quicker by a moment: it is there, as wanted
        except psycopg.errors.ObjectInUse:  # somebody looks into template0
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return True


def _creation(
    conn: Connection, name: str, owner: str | None, like: DatabaseProperties | None
) -> sql.Composed:
    parts = [sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))]
    if conn.info.server_version >= 150000:
        # The default, wal_log, makes files with holes. On a disk that fills up before the next checkpoint no
        # checkpoint succeeds any more, and DROP DATABASE, which would free the space, waits for one.
        parts.append(sql.SQL("STRATEGY file_copy").format())
    if owner is not None:
        parts.append(sql.SQL("OWNER {}").format(sql.Identifier(owner)))
    if like is not None:
        parts += like.creation_options(conn.info.server_version)
    return sql.SQL(" ").join(parts)


_PRIVILEGES: Final = """
SELECT r.rolname, r.rolsuper, r.rolcreatedb, pg_has_role(d.datdba, 'USAGE'), pg_get_userbyid(d.datdba),
  (SELECT array_agg(DISTINCT s.name ORDER BY s.name) FROM pg_db_role_setting t, unnest(t.setconfig) AS u (item)
     JOIN pg_settings s ON lower(s.name) = lower(split_part(u.item, '=', 1))
   WHERE t.setdatabase = d.oid AND s.context LIKE 'superuser%%'),
  (SELECT array_agg(DISTINCT pg_get_userbyid(t.setrole)::text) FROM pg_db_role_setting t
   WHERE t.setdatabase = d.oid AND t.setrole NOT IN (0, r.oid) AND NOT r.rolcreaterole)
FROM pg_database d, pg_roles r
WHERE d.datname = %(name)s AND r.rolname = current_user
"""

# As pg_terminate_backend judges: a superuser's session is for superusers, another's for members of its
# role and of pg_signal_backend. Workers of the server itself have no usesysid.
_BEYOND_US: Final = """
SELECT DISTINCT s.rolname::text
FROM pg_stat_activity a JOIN pg_roles s ON s.oid = a.usesysid, pg_roles us
WHERE us.rolname = current_user AND NOT us.rolsuper AND a.datname = ANY (%s) AND a.pid <> pg_backend_pid()
  AND (s.rolsuper OR NOT (pg_has_role(s.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')))
ORDER BY 1
"""
