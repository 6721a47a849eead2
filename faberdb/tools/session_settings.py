"""Putting a session's settings back after a script that may have changed them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from psycopg import sql

from faberdb.budget import Budget
from faberdb.connection import Connection
from faberdb.statements import Statement

_SETS_PARAMETER: Final = re.compile(r"\bset_config\s*\(", re.IGNORECASE)


def may_change_settings(statements: Sequence[Statement]) -> bool:
    """Whether a script may leave the session otherwise than it found it."""
    return any(
        s.verb in {"SET", "RESET", "DISCARD"} or s.opaque or _SETS_PARAMETER.search(s.text)
        for s in statements
    )


def restoration(conn: Connection) -> sql.Composed:
    """The statements that put the session back to what it is now: its user, role and parameters.

    DISCARD ALL would do more than that: it is refused inside a transaction and lets go of the advisory
    lock that the caller holds.
    """
    settings = conn.execute(
        "SELECT name, setting FROM pg_settings WHERE source = 'session' AND context IN ('user', 'superuser')"
        " ORDER BY name",
        prepare=False,
    ).fetchall()
    again = [
        sql.SQL("SELECT set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
        for name, value in settings
    ]
    undo = sql.SQL("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL")
    return sql.SQL("; ").join([undo, *again])


def setup(schema: str, budget: Budget, *, local: bool) -> sql.Composed:
    """The statement that bounds waits and sets the search path as Prisma does: the schema alone."""
    scope = sql.SQL("LOCAL " if local else "")
    return sql.SQL(
        "SET {scope}lock_timeout = {lock}; SET {scope}statement_timeout = {statement};"
        " SET {scope}search_path = {schema}"
    ).format(
        scope=scope,
        lock=sql.Literal(f"{int(budget.lock_timeout_s * 1000)}ms"),
        statement=sql.Literal(f"{int(budget.statement_timeout_s * 1000)}ms"),
        schema=sql.Identifier(schema),
    )
