"""Reading a whole schema from a live server, by six set-based queries on its system catalogue.

Server versions 13 to 18. Told are all objects of the database that are neither the server's nor an
extension's; not told are data, positions of columns, object ids, the last values of sequences, and what
is not inside the database's dump: roles, settings of the database, subscriptions and user mappings.
PostgreSQL prints expressions a little differently from one major version to the next, so fingerprints
compare within one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import psycopg
from psycopg.pq import TransactionStatus

from faberdb.catalog.annotations import COMMENTS_QUERY, GRANTS_QUERY
from faberdb.catalog.database_objects import database_objects_query
from faberdb.catalog.datatypes import TYPES_QUERY
from faberdb.catalog.relations import relations_query
from faberdb.catalog.routines import ROUTINES_QUERY
from faberdb.catalog.schema import Schema
from faberdb.catalog.spelling import canonical, canonical_function
from faberdb.connection import Connection
from faberdb.errors import Refused, Transient

_OLDEST: Final = 130000

# Everything that changes how the server prints a definition. `jit` only costs time here.
_PRINTING: Final = {
    "search_path": "pg_catalog, pg_temp",
    "client_encoding": "UTF8",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "jit": "off",
}
_AUTHORS_TEXT: Final = frozenset({"function", "procedure"})
_Address = tuple[int, int, int]  # catalogue, object, column


def read_schema(conn: Connection, *, leave_out: Collection[str] = ()) -> Schema:
    """The whole schema of the connected database, as of one moment.

    Works inside a transaction that the caller has open, and leaves its settings as they were.

    Args:
        conn: any login: the catalogue is readable to all.
        leave_out: unqualified names of tables that are not the application's, such as a migration tool's
            tracking table; their columns, constraints, indexes and owned sequences go with them.

    Raises:
        Refused: the server is older than version 13.
        Transient: an object was dropped or locked while it was read, or time ran out; nothing changed.
    """
    version = conn.info.server_version
    if version < _OLDEST:
        raise Refused(
            f"The server's version {version // 10000} is older than 13.",
            why="Its system catalogue lacks what faber-db reads.",
            next_step="upgrade the server",
        )
    parameters = {"leave_out": list(leave_out)}
    try:
        with _steady(conn):
            rows = [
                *_rows(conn, database_objects_query(version), parameters),
                *_rows(conn, TYPES_QUERY),
                *_rows(conn, ROUTINES_QUERY),
                *_rows(conn, relations_query(version), parameters),
            ]
            grants = _rows(conn, GRANTS_QUERY)
            comments = _rows(conn, COMMENTS_QUERY)
    except (
        psycopg.errors.InternalError_,  # "cache lookup failed": dropped after the snapshot
        psycopg.errors.UndefinedObject,
        psycopg.errors.UndefinedTable,
        psycopg.errors.LockNotAvailable,
        psycopg.errors.QueryCanceled,
    ) as error:
        raise _moved(str(error)) from error
    names, objects = _named(rows)
    for address, own_name, text in _annotations(grants):
        if own_name:
            objects[own_name] = text
        elif address in names:
            objects[f"grants on {names[address]}"] = text
    for address, part, text in _annotations(comments):
        if address in names:
            objects[f"comment on {part}{names[address]}"] = text
    return Schema(objects=objects)


@contextmanager
def _steady(conn: Connection) -> Iterator[None]:
    """One snapshot and one way of printing, undone at the end also inside a caller's transaction."""
    outermost = conn.info.transaction_status == TransactionStatus.IDLE
    with conn.transaction(force_rollback=True):
        if outermost:
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        conn.execute(
            "SELECT set_config(s.name, s.value, true) FROM unnest(%s::text[], %s::text[]) AS s (name, value)",
            (list(_PRINTING), list(_PRINTING.values())),
        )
        yield


def _rows(conn: Connection, query: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    return conn.execute(cast("Any", query), parameters).fetchall()


def _named(rows: list[tuple[Any, ...]]) -> tuple[dict[_Address, str], dict[str, str]]:
    """Each object's name by its address, and its definition and owner by its name."""
    names: dict[_Address, str] = {}
    objects: dict[str, str] = {}
    for catalogue, oid, column, kind, identity, definition, owner in rows:
        name = f"{kind} {identity}"
        if definition is None:
            raise _moved(f"{name} has no definition any more")
        if name in objects:
            raise AssertionError(f"two objects are both named {name}")
        names[catalogue, oid, column] = name
        objects[name] = (canonical_function if kind in _AUTHORS_TEXT else canonical)(definition)
        if owner is not None:
            objects[f"owner of {name}"] = owner
    return names, objects


def _annotations(rows: list[tuple[Any, ...]]) -> Iterator[tuple[_Address, str | None, str]]:
    for catalogue, oid, column, label, text in rows:
        yield (catalogue, oid, column), label, text


def _moved(why: str) -> Transient:
    return Transient(
        "The schema could not be read as of one moment.",
        why=f"Another session changes or locks it: {why.strip()}",
        next_step="try again when it is done",
    )
