"""Where a database is and how to log in, with the password kept out of sight.

Owns the reading of connection URLs, including what Prisma adds to them, and the three forms in which
programs take them: psycopg arguments, libpq environment variables and a URL. Refuses to know where a
URL comes from (`faberdb.credentials`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from msgspec import field
from msgspec.structs import force_setattr, replace

from faberdb.errors import ConfigInvalid
from faberdb.redacted import Redacted

# What libpq understands in a URL's query; everything else there belongs to the tool that wrote the URL
# (Prisma: schema, connection_limit, pool_timeout, pgbouncer, socket_timeout, sslidentity, ...).
_LIBPQ_PARAMETERS = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "options": "PGOPTIONS",
}


class Dsn(Redacted, frozen=True, kw_only=True):
    """A PostgreSQL database's address and login."""

    SHOWN = ("host", "port", "user", "database", "schema")

    host: str  # a name, an address, or the folder of a Unix socket
    port: int = 5432
    user: str = ""
    password: str = ""
    database: str
    schema: str = "public"  # Prisma's `?schema=`: where an unqualified name is created
    parameters: Mapping[str, str] = field(default_factory=dict)  # libpq's only

    def __post_init__(self) -> None:
        force_setattr(self, "parameters", MappingProxyType(dict(self.parameters)))

    def __str__(self) -> str:
        where = self.host if self.host.startswith("/") else f"{self.host}:{self.port}"
        return f"{self.database} on {where}" + (f" as {self.user}" if self.user else "")

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Dsn holds a password and does not leave the process")

    def with_database(self, name: str) -> Dsn:
        """The same server and login, another database."""
        return replace(self, database=name)

    def connect_arguments(self) -> dict[str, str]:
        """Keyword arguments for `psycopg.connect`."""
        given = {
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
        }
        return {k: v for k, v in given.items() if v} | dict(self.parameters)

    def process_environment(self) -> dict[str, str]:
        """libpq's variables for a client program; the password goes nowhere else (law 7)."""
        given = {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
        }
        extra = {_LIBPQ_PARAMETERS[k]: v for k, v in self.parameters.items()}
        return {k: v for k, v in given.items() if v} | extra

    def url(self) -> str:
        """A URL with the password, for `DATABASE_URL` in a tool's process environment only."""
        login = quote(self.user, safe="")
        if self.password:
            login += ":" + quote(self.password, safe="")
        query = dict(self.parameters)
        if self.schema != "public":
            query["schema"] = self.schema
        if self.host.startswith("/"):
            place, query["host"] = "localhost", self.host
        else:
            place = f"[{self.host}]" if ":" in self.host else self.host
        head = f"postgresql://{login}@{place}:{self.port}/{quote(self.database, safe='')}"
        return head + (f"?{urlencode(query)}" if query else "")


def parse_dsn(url: str, *, source: str) -> Dsn:
    """Read a connection URL.

    Args:
        url: `postgresql://user:password@host:port/database?...`; Prisma's additions are understood.
        source: what to name in an error instead of the URL, such as the variable that held it.

    Raises:
        ConfigInvalid: not a PostgreSQL URL, or it lacks the database's name. The URL is not quoted.
    """
    hint = f"set {source} to postgresql://USER:PASSWORD@HOST:5432/DATABASE"
    try:
        parts = urlsplit(url.strip().strip('"').strip("'"))
        port = parts.port
    except ValueError:
        raise ConfigInvalid(
            f"{source} does not hold a readable connection URL.",
            why="Its host or port is malformed; a password with reserved characters must be percent-encoded.",
            next_step=hint,
        ) from None
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ConfigInvalid(
            f"{source} does not hold a PostgreSQL URL.",
            why=f"Its scheme is {parts.scheme or 'missing'!r}; faber-db speaks to PostgreSQL only.",
            next_step=hint,
        )
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = unquote(parts.path.lstrip("/")) or query.get("dbname", "")
    host = query.get("host") or unquote(parts.hostname or "") or "localhost"
    if not database:
        raise ConfigInvalid(f"{source} names no database.", why="The URL's path is empty.", next_step=hint)
    return Dsn(
        host=host,
        port=port or int(query.get("port", 5432)),
        user=unquote(parts.username or query.get("user", "")),
        password=unquote(parts.password or query.get("password", "")),
        database=database,
        schema=query.get("schema") or "public",
        parameters={k: v for k, v in query.items() if k in _LIBPQ_PARAMETERS and v},
    )
