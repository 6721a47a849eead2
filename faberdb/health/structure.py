"""Whether the schema is the one on record, and whether all of it works."""

from __future__ import annotations

from collections.abc import Callable, Collection

from faberdb.catalog import Schema, read_schema
from faberdb.connection import Connection
from faberdb.health.report import CheckResult, HealthState, listed

# An index that is being built is invalid too, until it is done.
_INVALID_INDEXES = """
SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i'
  AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p
    WHERE p.datname = current_database() AND p.index_relid = i.indexrelid) ORDER BY 1
"""
_NOT_VALIDATED = """
SELECT quote_ident(k.conname) || ' on ' || coalesce(
  CASE WHEN k.conrelid <> 0 THEN k.conrelid::regclass::text END, format_type(k.contypid, NULL))
FROM pg_constraint k WHERE NOT k.convalidated AND k.conparentid = 0
  AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) ORDER BY 1
"""
# `ALTER TABLE ... DISABLE TRIGGER ALL` switches foreign keys off too, and neither pg_dump nor
# pg_get_constraintdef tells.
_SWITCHED_OFF = """
SELECT DISTINCT quote_ident(k.conname) || ' on ' || k.conrelid::regclass
FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint
WHERE t.tgisinternal AND t.tgenabled = 'D' AND k.contype = 'f' ORDER BY 1
"""


Expected = Callable[[Schema], str]
"""Gets the schema that was found; returns the fingerprint that it should have, "" where that is not known."""


def fingerprint(
    conn: Connection, *, expected: Expected | None, leave_out: Collection[str], column_order: bool
) -> CheckResult:
    """The schema against the one on record; reads the catalogue only."""
    found = read_schema(conn, leave_out=leave_out, column_order=column_order)
    return _fingerprint(found.fingerprint, (expected(found) if expected else "") or None)


def invalid_indexes(conn: Connection) -> CheckResult:
    """Indexes that a concurrent build left behind."""
    return _found(
        "invalid indexes",
        _names(conn, _INVALID_INDEXES),
        why="A concurrent build failed: writes pay for the index and no query uses it",
        next_step="DROP INDEX CONCURRENTLY it, then build it again",
    )


def constraints_not_validated(conn: Connection) -> CheckResult:
    """Constraints that hold for new rows only."""
    return _found(
        "constraints not validated",
        _names(conn, _NOT_VALIDATED),
        why="Old rows may break them",
        next_step="ALTER TABLE … VALIDATE CONSTRAINT …",
    )


def foreign_keys_switched_off(conn: Connection) -> CheckResult:
    """Foreign keys that nothing enforces."""
    return _found(
        "foreign keys switched off",
        _names(conn, _SWITCHED_OFF),
        why="Their triggers are disabled, so nothing enforces them",
        next_step="ALTER TABLE … ENABLE TRIGGER ALL, after looking for orphans",
    )


def _fingerprint(now: str, expected: str | None) -> CheckResult:
    short = now[:12]
    if expected is None or expected == now:
        return CheckResult(
            area="schema",
            name="fingerprint",
            state=HealthState.HEALTHY,
            figure=short,
            threshold="as the last release left it" if expected else "no release on record to compare with",
        )
    return CheckResult(
        area="schema",
        name="fingerprint",
        state=HealthState.DEGRADED,
        figure=short,
        threshold=f"the last release left {expected[:12]}",
        why="There are manual changes: the schema is not the one that was released",
        next_step="faber-db drift names what differs; drift adopt or drift revert settles it",
    )


def _found(name: str, names: list[str], *, why: str, next_step: str) -> CheckResult:
    return CheckResult(
        area="schema",
        name=name,
        state=HealthState.DEGRADED if names else HealthState.HEALTHY,
        figure=f"{len(names)}: {listed(names)}" if names else "0",
        threshold="none" if names else "",
        why=why if names else "",
        next_step=next_step if names else "",
        value=len(names),
        bound=1,
    )


def _names(conn: Connection, query: str) -> list[str]:
    return [str(name) for (name,) in conn.execute(query.encode()).fetchall()]
