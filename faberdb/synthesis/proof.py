"""Proving a synthesis: there and back again on a copy of the live schema, without a row of its data."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from faberdb.catalog import Schema
from faberdb.catalog.difference import describe, differences
from faberdb.connection import Connection, connect
from faberdb.databases import scratch_database
from faberdb.dsn import Dsn
from faberdb.schema_copy import schema_copies
from faberdb.synthesis.writing import Synthesis, synthesise

_SHOWN = 5

Read = Callable[[Connection], Schema]


def prove(
    dsn: Dsn, *, there: Synthesis, back: Synthesis, start: Schema, end: Schema, read: Read
) -> tuple[str, ...]:
    """Run both ways on a copy of a live database whose schema is `start`.

    Args:
        dsn: the live database; only read.
        there: from `start` to `end`.
        back: from `end` to `start`.
        start: the live schema.
        end: the schema to arrive at.
        read: reads the schema of an open connection as those two were read.

    Returns:
        What differs or fails, in words; empty when both ways arrive.

    Raises:
        FaberError: the copy could not be made.
    """
    with schema_copies(dsn) as (copy,), connect(copy, purpose="prove") as conn:
        return _both_ways(conn, there, back, start, end, read)


def prove_from_nothing(
    dsn: Dsn, *, way: Synthesis, start: Schema, end: Schema, read: Read
) -> tuple[str, ...]:
    """Run one way in a new database beside a live one, where nothing leads back from the live schema to `start`.

    Args:
        dsn: the live database, for its server; not read.
        way: from `start` to `end`.
        start: written into the new database first.
        end: the schema to arrive at.
        read: as in `prove`.

    Returns:
        As `prove`.

    Raises:
        FaberError: the database could not be made.
    """
    with scratch_database(dsn, "proof") as copy, connect(copy, purpose="prove") as conn:
        first = synthesise(read(conn), start, login=dsn.user)
        if first.unwritten:
            return (
                "The schema to begin with cannot be written.",
                *(left.text for left in first.unwritten[:_SHOWN]),
            )
        return _run(conn, first, start, read) or _run(conn, way, end, read)


def _both_ways(
    conn: Connection,
    there: Synthesis,
    back: Synthesis,
    start: Schema,
    end: Schema,
    read: Read,
) -> tuple[str, ...]:
    copied = read(conn)
    if copied.fingerprint != start.as_restored().fingerprint:
        return ("The copy of the live schema is not equal to it.", *_said(start.as_restored(), copied))
    return _run(conn, there, end, read) or _run(conn, back, start, read)


def _run(conn: Connection, way: Synthesis, wanted: Schema, read: Read) -> tuple[str, ...]:
    """What fails or differs from the schema that is wanted."""
    try:
        with conn.transaction():
            for statement in way.statements:
                conn.execute(statement.encode())
    except psycopg.Error as error:
        return (f"{str(error).strip().splitlines()[0]}: {' '.join(statement.split())[:200]}",)
    found = read(conn)
    if found.fingerprint != wanted.as_restored().fingerprint:
        return _said(wanted.as_restored(), found)
    return ()


def _said(wanted: Schema, found: Schema) -> tuple[str, ...]:
    lines = [describe(d) for d in differences(wanted, found)]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return (*lines[:_SHOWN], *more)
