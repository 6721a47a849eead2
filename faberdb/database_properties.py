"""What a database has beside its content, and a dump of it leaves out: owner, locale, grants, settings.

Owns reading them and giving them to another database. Refuses to know why (`faberdb.swap`,
`faberdb.snapshot.restore`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import psycopg
from msgspec import Struct
from psycopg import sql

from faberdb.connection import Connection, run
from faberdb.errors import DatabaseMissing, Refused
from faberdb.redacted import Redacted

_PROVIDERS: Final = {"c": "libc", "i": "icu", "b": "builtin"}

# PostgreSQL keeps these as quoted lists in one string (GUC_LIST_QUOTE in its guc_tables.c), and takes
# them back only item by item.
_LISTS: Final = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)


class Grant(Struct, frozen=True, kw_only=True, order=True):
    """One privilege on the database."""

    grantee: str  # "" is PUBLIC, which no role can be named
    privilege: str
    grantable: bool


class Setting(Redacted, frozen=True, kw_only=True, order=True):
    """One parameter set on the database. Its value may be an application's secret, so it is not shown."""

    SHOWN = ("role", "name")

    role: str  # for this role only; "" for everybody
    name: str
    value: str


class DatabaseProperties(Struct, frozen=True, kw_only=True):
    """A database from outside. Encoding, locale and tablespace are given at its creation only."""

    owner: str
    encoding: str
    provider: str  # "libc", "icu" or "builtin"
    collate: str
    ctype: str
    locale: str | None  # of the icu and builtin providers
    icu_rules: str | None
    tablespace: str
    connection_limit: int  # -1: none
    allow_connections: bool
    comment: str | None
    acl: tuple[Grant, ...]  # the default grants spelled out, sorted
    settings: tuple[Setting, ...]  # sorted

    def creation_options(self, server_version: int) -> list[sql.Composed]:
        """The clauses of CREATE DATABASE that make another database alike."""
        options = {"ENCODING": self.encoding, "LC_COLLATE": self.collate, "LC_CTYPE": self.ctype}
        if server_version >= 150000:
            options["LOCALE_PROVIDER"] = self.provider
        if self.locale is not None:
            options["ICU_LOCALE" if self.provider == "icu" else "BUILTIN_LOCALE"] = self.locale
        if self.icu_rules is not None:
            options["ICU_RULES"] = self.icu_rules
        if self.tablespace != "pg_default":
            options["TABLESPACE"] = self.tablespace
        return [sql.SQL("{} {}").format(sql.SQL(k), sql.Literal(v)) for k, v in options.items()]


def read_properties(conn: Connection, name: str) -> DatabaseProperties:
    """The properties of a database, read from any database of its server.

    Raises:
        DatabaseMissing: the server has none of that name.
    """
    row = conn.execute(_PROPERTIES, {"name": name}).fetchone()
    if row is None:
        raise DatabaseMissing(f"The server has no database {name!r}.", next_step="faber-db status")
    oid, owner, encoding, provider, collate, ctype, locale, rules, tablespace, limit, allow, comment = row
    grants = conn.execute(_ACL, (oid,)).fetchall()
    settings = conn.execute(_SETTINGS, (oid,)).fetchall()
    return DatabaseProperties(
        owner=owner,
        encoding=encoding,
        provider=_PROVIDERS[provider],
        collate=collate,
        ctype=ctype,
        locale=locale,
        icu_rules=rules,
        tablespace=tablespace,
        connection_limit=limit,
        allow_connections=allow,
        comment=comment,
        acl=tuple(sorted(Grant(grantee=g, privilege=p, grantable=o) for g, p, o in grants)),
        settings=tuple(sorted(_setting(role, item) for role, item in settings)),
    )


def apply_properties(conn: Connection, name: str, wanted: DatabaseProperties) -> None:
    """Give a database the owner, connection limit, grants and settings of another, all or none of them.

    What is equal already is not touched. Comment and permission to connect stay as they are: they tell
    where an exchange of databases stands (`faberdb.swap`).

    Raises:
        Refused: a setting may not be set by this role.
    """
    with conn.transaction():
        now = read_properties(conn, name)
        if now.owner != wanted.owner:
            run(conn, "ALTER DATABASE {name} OWNER TO {owner}", name=name, owner=wanted.owner)
        if now.connection_limit != wanted.connection_limit:
            _alter(conn, name, sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(wanted.connection_limit)))
        now = read_properties(conn, name)  # another owner, other grants
        if now.acl != wanted.acl:
            _replace_grants(conn, name, now.acl, wanted.acl)
        _replace_settings(conn, name, now.settings, wanted.settings)


def set_comment(conn: Connection, name: str, comment: str | None) -> None:
    """Write the database's comment, or remove it."""
    template = sql.SQL("COMMENT ON DATABASE {} IS {}")
    conn.execute(template.format(sql.Identifier(name), sql.Literal(comment)))


def allow_connections(conn: Connection, name: str, allowed: bool) -> None:
    """Open or close a database to new sessions, a superuser's too. Sessions that are there stay."""
    _alter(conn, name, sql.SQL("ALLOW_CONNECTIONS {}").format(sql.Literal(allowed)))


def _alter(conn: Connection, name: str, what: sql.Composed) -> None:
    conn.execute(sql.SQL("ALTER DATABASE {} WITH {}").format(sql.Identifier(name), what))


def _replace_grants(conn: Connection, name: str, now: Iterable[Grant], wanted: Iterable[Grant]) -> None:
    database = sql.Identifier(name)
    for grantee in {g.grantee for g in now}:
        conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM {} CASCADE").format(database, _grantee(grantee)))
    for grant in wanted:
        conn.execute(
            sql.SQL("GRANT {} ON DATABASE {} TO {} {}").format(
                sql.SQL(grant.privilege),
                database,
                _grantee(grant.grantee),
                sql.SQL("WITH GRANT OPTION" if grant.grantable else ""),
            )
        )


def _grantee(role: str) -> sql.Composable:
    return sql.Identifier(role) if role else sql.SQL("PUBLIC")


def _replace_settings(conn: Connection, name: str, now: Sequence[Setting], wanted: Sequence[Setting]) -> None:
    for gone in now:
        if (gone.role, gone.name) not in {(w.role, w.name) for w in wanted}:
            _set(conn, name, gone, sql.SQL("RESET {}").format(_parameter(gone.name)))
    for setting in wanted:
        if setting not in now:
            values = sql.SQL(", ").join(map(sql.Literal, _values(setting)))
            _set(conn, name, setting, sql.SQL("SET {} TO {}").format(_parameter(setting.name), values))


def _set(conn: Connection, name: str, setting: Setting, what: sql.Composed) -> None:
    whose = sql.SQL("DATABASE {}").format(sql.Identifier(name))
    if setting.role:
        whose = sql.SQL("ROLE {} IN {}").format(sql.Identifier(setting.role), whose)
    try:
        conn.execute(sql.SQL("ALTER {} {}").format(whose, what))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:  # its text may quote the value
        raise Refused(
            f"The setting {setting.name} of the database could not be carried over to {name!r}.",
            why=f"PostgreSQL answered {type(error).__name__}.",
            next_step="set it by hand on the new database, or run as a superuser",
        ) from None


def _parameter(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split("."))


def _values(setting: Setting) -> list[str]:
    return split_list(setting.value) if setting.name.lower() in _LISTS else [setting.value]


def split_list(text: str) -> list[str]:
    """The items of a list as PostgreSQL stores it: comma-separated, quoted where they need it."""
    items: list[str] = []
    item, quoted, at = "", False, 0
    while at < len(text):
        sign = text[at]
        if sign == '"' and quoted and text[at + 1 : at + 2] == '"':
            item, at = item + '"', at + 1
        elif sign == '"':
            quoted = not quoted
        elif sign == "," and not quoted:
            items, item = [*items, item], ""
        elif quoted or not sign.isspace():
            item += sign
        at += 1
    return [*items, item]


def _setting(role: str, item: str) -> Setting:
    name, _, value = item.partition("=")
    return Setting(role=role, name=name, value=value)


# Columns that only some server versions have are read through to_jsonb(row), which is NULL elsewhere.
_PROPERTIES: Final = """
SELECT d.oid, pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text,
  COALESCE(to_jsonb(d) ->> 'datlocprovider', 'c'), d.datcollate::text, d.datctype::text,
  COALESCE(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), to_jsonb(d) ->> 'daticurules',
  t.spcname::text, d.datconnlimit, d.datallowconn, shobj_description(d.oid, 'pg_database')
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
WHERE d.datname = %(name)s
"""

_ACL: Final = """
SELECT DISTINCT CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END,
  a.privilege_type, a.is_grantable
FROM pg_database d, aclexplode(COALESCE(d.datacl, acldefault('d', d.datdba))) AS a
WHERE d.oid = %s
"""

_SETTINGS: Final = """
SELECT CASE WHEN s.setrole = 0 THEN '' ELSE pg_get_userbyid(s.setrole)::text END, u.item
FROM pg_db_role_setting s, unnest(s.setconfig) AS u (item)
WHERE s.setdatabase = %s
"""
