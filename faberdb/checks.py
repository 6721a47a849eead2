"""The project's own checks: SQL assertions that change nothing, and commands.

A check that does not hold is an outcome, never an exception; only a server that is away is one, because
it says nothing about the check. Refuses to know when checks run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from msgspec import Struct

from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import CommandFailed, ConfigInvalid, ServerUnreachable, UnreadableSql
from faberdb.progress import Progress, silent
from faberdb.project_commands import run_project_command
from faberdb.statements import parse_script

_BOOLEAN: Final = 16  # its type's oid
_LOCK_TIMEOUT_S: Final = 5


class Check(Struct, frozen=True, kw_only=True):
    """One assertion: a script whose last statement returns one true, or a command that ends with 0."""

    name: str
    sql: str | None = None
    command: tuple[str, ...] | None = None  # `{python}` stands for the interpreter that runs faber-db
    timeout_s: float = 60  # for the whole check
    cwd: Path | None = None  # of the command; our own where there is none

    def __post_init__(self) -> None:
        if (self.sql is None) == (self.command is None):
            raise ValueError("a check has either SQL or a command")
        if self.timeout_s <= 0:
            raise ValueError("a check's time-out is positive")


class CheckOutcome(Struct, frozen=True, kw_only=True):
    """Whether a check held."""

    name: str
    passed: bool
    message: str  # why not; "" when it passed


def run_checks(dsn: Dsn, checks: Sequence[Check], *, progress: Progress = silent) -> tuple[CheckOutcome, ...]:
    """Run every check, also after one that failed, each SQL check on a connection of its own.

    Raises:
        ServerUnreachable, AuthenticationFailed, DatabaseMissing: the database could not be asked.
    """
    return tuple(_noted(dsn, check, progress) for check in checks)


def check_problem(check: Check) -> str:
    """Why a check could never run, such as a syntax error; "" when it could. Opens nothing."""
    if check.sql is None:
        return "" if check.command else "its command is empty"
    try:
        statements = parse_script(check.sql, source=check.name)
    except UnreadableSql as error:
        return f"its SQL cannot be read: {error.why}"
    if not statements:
        return "its SQL holds no statement"
    if any(s.transaction_control for s in statements):
        return "its SQL controls the transaction, which a check must leave to faber-db to roll back"
    return ""


def runnable(checks: Sequence[Check]) -> Sequence[Check]:
    """The same checks, once none is known to fail whatever the database holds. Opens nothing.

    Raises:
        ConfigInvalid: one could never hold, and a release would be taken back for its sake.
    """
    for check in checks:
        problem = check_problem(check)
        if problem:
            raise ConfigInvalid(
                f"The check {check.name!r} can never hold: {problem}.",
                next_step="correct it in faber-db.toml, then: faber-db config check",
            )
    return checks


def _noted(dsn: Dsn, check: Check, progress: Progress) -> CheckOutcome:
    progress(f"checking {check.name!r}")
    message = check_problem(check)
    if not message:
        message = _assert_sql(dsn, check) if check.sql is not None else _run_command(dsn, check)
    progress(f"the check {check.name!r} " + (f"failed: {message}" if message else "holds"))
    return CheckOutcome(name=check.name, passed=not message, message=message)


def _run_command(dsn: Dsn, check: Check) -> str:
    try:
        run_project_command(
            check.command or (),
            dsn,
            cwd=check.cwd or Path.cwd(),
            timeout_s=check.timeout_s,
            what=f"the command of check {check.name!r}",
        )
    except CommandFailed as error:
        return _without_secrets(f"{error.what} {error.why}".strip(), dsn)
    return ""


def _without_secrets(text: str, dsn: Dsn) -> str:
    """What a program printed may hold the URL it was given."""
    secrets = [s for s in (dsn.url(), dsn.password) if s and s in text]
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _assert_sql(dsn: Dsn, check: Check) -> str:
    deadline = time.monotonic() + check.timeout_s
    lock_timeout_s = min(_LOCK_TIMEOUT_S, check.timeout_s)
    with connect(
        dsn, purpose="check", statement_timeout_s=check.timeout_s, lock_timeout_s=lock_timeout_s
    ) as conn:
        try:
            with conn.transaction(force_rollback=True):
                return _verdict(conn, check, deadline)
        except psycopg.Error as error:
            if conn.broken:
                raise ServerUnreachable(
                    f"The server went away during the check {check.name!r}.",
                    why=str(error).strip().splitlines()[0],
                    next_step="try again when it is back",
                ) from error
            return f"PostgreSQL says: {str(error).strip()}"


def _verdict(conn: Connection, check: Check, deadline: float) -> str:
    """Execute all statements and judge what the last one returned."""
    assert check.sql is not None
    cursor: psycopg.Cursor[tuple[Any, ...]] | None = None
    for statement in parse_script(check.sql, source=check.name):
        left_ms = int((deadline - time.monotonic()) * 1000)
        if left_ms <= 0:
            return f"it did not end within {check.timeout_s:g} s"
        conn.execute("SELECT set_config('statement_timeout', %s, true)", (str(left_ms),))
        cursor = conn.execute(statement.text.encode())
    assert cursor is not None
    if cursor.description is None or [c.type_code for c in cursor.description] != [_BOOLEAN]:
        return "its last statement does not return one boolean column"
    rows = cursor.fetchmany(2)
    if len(rows) != 1:
        return f"its last statement returned {cursor.rowcount} rows instead of one"
    return "" if rows[0][0] is True else f"it is {'null' if rows[0][0] is None else 'false'}"
