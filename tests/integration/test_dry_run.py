"""`faber-db migrate --dry-run` shows everything and writes nothing, by the server's own counters."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import cli
from faberdb.budget import Budget
from faberdb.connection import connect
from faberdb.dsn import Dsn
from faberdb.observation import observe
from faberdb.target import Target
from faberdb.untouched import counted
from tests.flows.shoplet import Shoplet

BUDGET = Budget().text_for(concurrent=False)
SCRIPT = "CREATE INDEX account_owner ON account (owner);\nDELETE FROM entry;"


@contextmanager
def quiet(dsn: Dsn) -> Iterator[None]:
    """No autovacuum, and no checkpoint that is due."""
    with connect(dsn, purpose="test") as conn:
        conn.execute("ALTER SYSTEM SET autovacuum = off")
        conn.execute("SELECT pg_reload_conf()")
        conn.execute("CHECKPOINT")
        try:
            yield
        finally:
            conn.execute("ALTER SYSTEM RESET autovacuum")
            conn.execute("SELECT pg_reload_conf()")


def dry_run(shoplet: Shoplet, *options: str) -> str:
    line = ["migrate", "production", "--dry-run", "--project", str(shoplet.root), *options]
    done = CliRunner().invoke(cli, line, standalone_mode=False)
    assert done.exception is None, done.output
    return done.output


def test_a_dry_run_shows_statements_findings_budget_and_undo_and_writes_nothing(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add({"0003_all": SCRIPT})
    written = []
    with quiet(target.dsn):
        for _ in range(5):  # a server that logs a standby snapshot just now is not quiet
            before = counters(target.dsn)
            told = json.loads(dry_run(shoplet, "--json"))
            written.append(counters(target.dsn) == before)
            assert told["written"]["transactions"] == 0
            if written[-1]:
                break
            time.sleep(1)
    assert any(written), "neither the WAL's position nor the next transaction's id moved"
    text = dry_run(shoplet)
    for word in ("CREATE INDEX account_owner", "delete without where", BUDGET, "restore-and-swap"):
        assert word in text, word
    assert "Nothing was written: the server counted no transaction that wrote" in text


def counters(dsn: Dsn) -> tuple[str, str]:
    with connect(dsn, purpose="test") as conn:
        row = conn.execute(
            "SELECT pg_current_wal_insert_lsn()::text, pg_snapshot_xmax(pg_current_snapshot())::text"
        ).fetchone()
        assert row is not None
        return row[0], row[1]


def test_what_others_write_meanwhile_is_told_apart(target: Target) -> None:
    with counted(target.dsn) as seen, connect(target.dsn, purpose="test") as other:
        other.execute("UPDATE account SET balance = balance")
    assert (seen.transactions, seen.wal_bytes > 0) == (1, True)
    assert "Others wrote meanwhile: 1 transactions" in seen.text


def test_the_server_refuses_a_write_of_a_session_that_only_looks(target: Target) -> None:
    with (
        connect(target.dsn, purpose="test", read_only=True) as conn,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        conn.execute("UPDATE account SET balance = balance")
    assert observe(target.dsn, target.tool).fingerprint
