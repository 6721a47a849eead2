"""The ledger's database: set up once by its owner, then only inserted into and read."""

from __future__ import annotations

import contextlib
import heapq
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg import sql

from faberdb.canonical import canonical_json
from faberdb.connection import Connection, connect, run
from faberdb.credentials import LedgerAddress
from faberdb.databases import ensure_database
from faberdb.errors import AuthenticationFailed, DatabaseMissing, Refused
from faberdb.ledger.entry import ChainReport, Entry, Kind, check_chain

_SELECT: Final = sql.SQL(
    "SELECT seq, at, project, environment, release, kind, actor, body, previous_hash, hash"
    " FROM faber_ledger.entry WHERE project = %s"
)
_ASCENDING: Final = sql.SQL("AND seq > %s ORDER BY seq LIMIT %s")
_DESCENDING: Final = sql.SQL("AND seq < %s ORDER BY seq DESC LIMIT %s")
_END: Final = 2**63 - 1  # no entry has so high a `seq`


def ensure_ledger(address: LedgerAddress) -> None:
    """Create the ledger's database, schema and the role that the product runs as, where missing."""
    ensure_database(address.admin)
    script = (resources.files("faberdb.ledger") / "schema.sql").read_text()
    with connect(address.admin, purpose="ledger set-up") as conn, conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(7236529092)")  # two set-ups at once
        conn.execute(script.encode())
        role = address.runs_as.user
        if role and role != address.admin.user:
            known = conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
            if known is None:
                _create_role(conn, address)
            run(conn, "GRANT USAGE ON SCHEMA faber_ledger TO {role}", role=role)
            run(conn, "GRANT INSERT, SELECT ON faber_ledger.entry, faber_ledger.schema TO {role}", role=role)


def _create_role(conn: Connection, address: LedgerAddress) -> None:
    role = sql.Identifier(address.runs_as.user)
    statement = sql.SQL("CREATE ROLE {} LOGIN").format(role)
    if address.runs_as.password:
        statement += sql.SQL(" PASSWORD {}").format(sql.Literal(address.runs_as.password))
    conn.execute(statement)


class Ledger(Struct, frozen=True):
    """An open ledger. It can add and read, nothing else."""

    conn: Connection
    project: str

    def append(
        self,
        kind: Kind,
        *,
        release: str,
        environment: str = "",
        actor: str = "faber-db",
        body: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Add an entry; it is durable when this returns.

        Args:
            kind: what happened.
            release: what to file it under: a release's id, a plan's digest or a run's key.
            environment: the environment it concerns, if one.
            actor: the person or program that did it.
            body: JSON values; no secrets.
        """
        row = self.conn.execute(
            "INSERT INTO faber_ledger.entry"
            " (seq, at, project, environment, release, kind, actor, body, previous_hash, hash)"
            " VALUES (0, now(), %s, %s, %s, %s, %s, %s, '', '') RETURNING "
            "seq, at, project, environment, release, kind, actor, body, previous_hash, hash",
            (self.project, environment, release, kind.value, actor, canonical_json(dict(body or {}))),
        ).fetchone()
        assert row is not None
        return _entry(row)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else adds an entry until the block ends: what was read in it still holds when it writes."""
        with self.conn.transaction():
            self.conn.execute("SELECT pg_advisory_xact_lock(7236529091)")  # the chain's own, see schema.sql
            yield

    def entries(
        self,
        *,
        release: str | None = None,
        environment: str | None = None,
        kind: Kind | None = None,
        after: int = 0,
    ) -> list[Entry]:
        """The project's entries that fit every given filter, in order of `seq`."""
        return self._read(
            _ASCENDING, seq=after, limit=None, release=release, environment=environment, kind=kind
        )

    def newest_first(
        self, *kinds: Kind, release: str | None = None, environment: str | None = None
    ) -> Iterator[Entry]:
        """The project's entries of these kinds, or of all, from the newest back, read as they are wanted."""
        filters = {"release": release, "environment": environment}
        ways = [self._backwards(filters | {"kind": kind}) for kind in kinds or (None,)]
        return heapq.merge(*ways, key=lambda entry: -entry.seq)

    def newest(
        self, *kinds: Kind, release: str | None = None, environment: str | None = None
    ) -> Entry | None:
        """The last that was added of those, or None."""
        return next(self.newest_first(*kinds, release=release, environment=environment), None)

    def _backwards(self, filters: Mapping[str, str | None]) -> Iterator[Entry]:
        before = _END
        for size in itertools.chain((1, 10, 100), itertools.repeat(1000)):
            page = self._read(_DESCENDING, seq=before, limit=size, **filters)
            yield from page
            if len(page) < size:
                return
            before = page[-1].seq

    def _read(self, order: sql.SQL, *, seq: int, limit: int | None, **filters: str | None) -> list[Entry]:
        given = {column: value for column, value in filters.items() if value is not None}
        fits = [sql.SQL("AND {} = %s").format(sql.Identifier(column)) for column in given]
        query = sql.SQL(" ").join([_SELECT, *fits, order])
        return [_entry(row) for row in self.conn.execute(query, (self.project, *given.values(), seq, limit))]

    def verify(self) -> ChainReport:
        """Walk the whole chain, of every project, from its first entry."""
        with self.conn.transaction(), self.conn.cursor("chain") as cursor:
            cursor.execute(
                "SELECT seq, at, project, environment, release, kind, actor, body, previous_hash, hash"
                " FROM faber_ledger.entry ORDER BY seq"
            )
            return check_chain(_entry(row) for row in cursor)


@contextmanager
def open_ledger(address: LedgerAddress, *, project: str) -> Iterator[Ledger]:
    """Open the ledger as the role that the product runs as, setting it up at first use.

    Raises:
        Refused: the ledger's database is there, and is not a ledger that this role may use.
        ServerUnreachable, AuthenticationFailed: it cannot be reached.
    """
    with contextlib.ExitStack() as stack:
        try:
            conn = _enter(stack, address)
        except (DatabaseMissing, AuthenticationFailed, psycopg.errors.UndefinedTable):
            ensure_ledger(address)
            conn = _enter(stack, address)
        yield Ledger(conn, project)


def _enter(stack: contextlib.ExitStack, address: LedgerAddress) -> Connection:
    conn = stack.enter_context(connect(address.runs_as, purpose="ledger", statement_timeout_s=60))
    try:
        conn.execute(
            "SELECT (SELECT 1 FROM faber_ledger.entry LIMIT 1), (SELECT 1 FROM faber_ledger.schema LIMIT 1)"
        )
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            f"The role {address.runs_as.user!r} may not read the ledger.",
            why=str(error).strip().splitlines()[0],
            next_step="run faber-db doctor with the ledger's admin URL set, which grants it",
        ) from None
    return conn


def _entry(row: tuple[Any, ...]) -> Entry:
    seq, at, project, environment, release, kind, actor, body, previous_hash, hash_ = row
    return Entry(
        seq=seq,
        at=at,
        project=project,
        environment=environment,
        release=release,
        kind=Kind(kind),
        actor=actor,
        body_text=body,
        previous_hash=previous_hash,
        hash=hash_,
    )
