"""One question of a check to the server."""

from __future__ import annotations

from typing import Any

from faberdb.connection import Connection


def row(conn: Connection, query: str, *parameters: object) -> tuple[Any, ...]:
    """The one row that a query returns."""
    found = conn.execute(query.encode(), parameters).fetchone()
    assert found is not None
    return found


def rows(conn: Connection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """All rows that a query returns."""
    return conn.execute(query.encode(), parameters).fetchall()
