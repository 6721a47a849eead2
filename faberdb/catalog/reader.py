"""Reading a whole schema from a live server, by a few set-based queries on its system catalogue.

Server versions 13 to 18. Told are all objects of the database that are neither the server's nor an
extension's; not told are data, object ids, positions of columns unless asked for, the last values of
sequences, and what is not inside the database's dump: roles, settings of the database, subscriptions and
user mappings.
PostgreSQL prints expressions a little differently from one major version to the next, so fingerprints
compare within one. A large schema is read by two sessions at once, which see the same moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Final, cast

import psycopg
from psycopg import capabilities, sql
from psycopg.pq import TransactionStatus

from faberdb.catalog.annotations import COMMENTS_QUERY, GRANTS_QUERY
from faberdb.catalog.database_objects import database_objects_query
from faberdb.catalog.datatypes import TYPES_QUERY
from faberdb.catalog.found import Found, Row, moved
from faberdb.catalog.relations import keys_query, relations_query
from faberdb.catalog.routines import ROUTINES_QUERY
from faberdb.catalog.schema import Schema
from faberdb.connection import Connection, connect_beside
from faberdb.errors import Refused
from faberdb.printing import PRINTING, set_locally

_OLDEST: Final = 130000

# How the server prints a definition. The last three only save time.
_PRINTING: Final = {
    **PRINTING,
    "search_path": "pg_catalog, pg_temp",
    "jit": "off",
    "work_mem": "64MB",
    "max_parallel_workers_per_gather": "0",
}
_CHUNK: Final = 1000  # rows that are fetched together
_LARGE: Final = 4_000_000  # bytes of pg_class: about 2,500 tables with two indexes each
_MOVED: Final = (
    psycopg.errors.InternalError_,  # "cache lookup failed": dropped after the snapshot
    psycopg.errors.UndefinedObject,
    psycopg.errors.UndefinedTable,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
)


def read_schema(
    conn: Connection,
    *,
    leave_out: Collection[str] = (),
    column_order: bool = False,
    at_once: bool | None = None,
) -> Schema:
    """The whole schema of the connected database, as of one moment.

    Works inside a transaction that the caller has open, and leaves its settings as they were.

    Args:
        conn: any login: the catalogue is readable to all.
        leave_out: unqualified names of tables that are not the application's, such as a migration tool's
            tracking table; their columns, constraints, indexes and owned sequences go with them.
        column_order: whether the order of a table's columns is part of its schema.
        at_once: whether a second session reads the keys meanwhile; by default one does if the schema is large.
            There is none inside the caller's transaction, which it could not see, nor where none is to be had.

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
    alone = conn.info.transaction_status != TransactionStatus.IDLE
    try:
        with _steady(conn), _second(conn, wanted=False if alone else at_once) as other:
            found = (
                _read_both(conn, other, parameters, column_order)
                if other
                else _read_all(conn, parameters, column_order)
            )
    except _MOVED as error:
        raise moved(str(error)) from error
    return Schema(objects=found.annotated())


def _read_both(conn: Connection, other: Connection, parameters: dict[str, Any], column_order: bool) -> Found:
    with ThreadPoolExecutor(1) as pool:
        keys = pool.submit(_read_keys, other, parameters)
        try:
            found = _read_rest(conn, parameters, column_order)
            found.join(keys.result())
        except BaseException:
            other.cancel_safe()  # nobody waits for it any more
            raise
    return found


def _read_all(conn: Connection, parameters: dict[str, Any], column_order: bool) -> Found:
    found = _read_rest(conn, parameters, column_order)
    found.join(_read_keys(conn, parameters))
    return found


def _read_keys(conn: Connection, parameters: dict[str, Any]) -> Found:
    found = Found()
    found.add(_rows(conn, keys_query(conn.info.server_version), parameters))
    return found


def _read_rest(conn: Connection, parameters: dict[str, Any], column_order: bool) -> Found:
    version = conn.info.server_version
    found = Found(grants=list(_rows(conn, GRANTS_QUERY)), comments=list(_rows(conn, COMMENTS_QUERY)))
    found.add(_rows(conn, database_objects_query(version), parameters))
    found.add(_rows(conn, TYPES_QUERY))
    found.add(_rows(conn, ROUTINES_QUERY))
    found.add(_rows(conn, relations_query(version, column_order=column_order), parameters))
    return found


def _rows(conn: Connection, query: str, parameters: dict[str, Any] | None = None) -> Iterator[Row]:
    """As they come, so that they are worked on while the server makes the next ones."""
    size = _CHUNK if capabilities.has_stream_chunked() else 1
    return conn.cursor().stream(cast("Any", query), parameters, binary=True, size=size)


@contextmanager
def _steady(conn: Connection) -> Iterator[None]:
    """One snapshot and one way of printing, undone at the end also inside a caller's transaction."""
    outermost = conn.info.transaction_status == TransactionStatus.IDLE
    with conn.transaction(force_rollback=True):
        if outermost:
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        set_locally(conn, _PRINTING)
        yield


@contextmanager
def _second(conn: Connection, *, wanted: bool | None) -> Iterator[Connection | None]:
    """A session beside, in the same snapshot and with the same time-outs; None where none is wanted or to be had."""
    with ExitStack() as stack:
        other = None
        if _is_large(conn) if wanted is None else wanted:
            try:
                other = stack.enter_context(connect_beside(conn, purpose="catalogue"))
                stack.enter_context(_steady_beside(conn, other))
            except psycopg.Error:  # no connection is left, or a proxy led to another server
                other = None
        yield other


@contextmanager
def _steady_beside(conn: Connection, other: Connection) -> Iterator[None]:
    row = conn.execute(
        "SELECT pg_export_snapshot(), current_setting('statement_timeout'), current_setting('lock_timeout')"
    ).fetchone()
    assert row is not None
    snapshot, statement_timeout, lock_timeout = row
    with other.transaction(force_rollback=True):
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        other.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
        set_locally(other, _PRINTING | {"statement_timeout": statement_timeout, "lock_timeout": lock_timeout})
        yield


def _is_large(conn: Connection) -> bool:
    row = conn.execute("SELECT pg_relation_size('pg_catalog.pg_class')").fetchone()
    return row is not None and row[0] > _LARGE
