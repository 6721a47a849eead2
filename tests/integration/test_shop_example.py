"""The example shop: a sound Prisma project, one change that is good and one that only production notices."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from faberdb.connection import Connection, connect, run
from faberdb.dsn import Dsn

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
CHECKS = {check["name"]: check for check in tomllib.loads((SHOP / "faber-db.toml").read_text())["checks"]}
CHECKOUT = "checkout can place an order"


def migrations(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/migration.sql"))


def apply(conn: Connection, folder: Path) -> None:
    for file in migrations(folder):
        conn.execute(file.read_bytes())


def check(conn: Connection, name: str) -> Any:
    """What the last statement of a check returns; what the check did is rolled back."""
    with conn.transaction(force_rollback=True):
        cursor = conn.execute(CHECKS[name]["sql"].encode())
        while cursor.nextset():
            pass
        row = cursor.fetchone()
    assert row is not None
    assert len(row) == 1
    return row[0]


def row_counts(conn: Connection) -> dict[str, int]:
    tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    counted: dict[str, int] = {}
    for (table,) in tables:
        row = run(conn, "SELECT count(*) FROM {table}", table=table).fetchone()
        assert row is not None
        counted[table] = row[0]
    return counted


def application_test(dsn: Dsn) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tests/application_test.py"],
        cwd=SHOP,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": dsn.url()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def seeded(server: Dsn) -> Iterator[str]:
    """The name of a migrated and seeded shop to clone; nobody stays connected to it."""
    name = f"t_shop_template_{uuid.uuid4().hex[:8]}"
    with connect(server, purpose="tests") as conn:
        run(conn, "CREATE DATABASE {name} TEMPLATE template0 STRATEGY FILE_COPY", name=name)
    with connect(server.with_database(name), purpose="tests") as conn:
        apply(conn, SHOP / "prisma" / "migrations")
        conn.execute("SET timezone = 'America/New_York'")  # where two of the year's days have not 24 hours
        conn.execute((SHOP / "seed.sql").read_bytes())
    yield name
    with connect(server, purpose="tests") as conn:
        run(conn, "DROP DATABASE {name} WITH (FORCE)", name=name)


@pytest.fixture
def shop(seeded: str, create_database: Callable[..., Dsn]) -> Dsn:
    """A seeded shop of this test's own."""
    return create_database("shop", template=seeded)


def test_the_migrations_are_what_a_prisma_project_has() -> None:
    scripts = {file.parent.name: file.read_text() for file in migrations(SHOP / "prisma" / "migrations")}
    assert len(scripts) == 14
    assert all(name[:14].isdigit() and name[14] == "_" for name in scripts)
    (concurrent,) = [text for text in scripts.values() if "INDEX CONCURRENTLY" in text]
    (enum_value,) = [text for text in scripts.values() if "ADD VALUE" in text]
    assert concurrent.count(";") == enum_value.count(";") == 1, "each stands alone in its file"


def test_a_second_seed_changes_nothing(shop: Dsn) -> None:
    with connect(shop, purpose="tests") as conn:
        first = row_counts(conn)
        conn.execute("UPDATE customers SET full_name = 'Renamed' WHERE id = 1")
        conn.execute((SHOP / "seed.sql").read_bytes())
        assert row_counts(conn) == first
        assert sum(first.values()) >= 100_000
        assert all(first.values()), "a table stayed empty"
        assert conn.execute("SELECT full_name FROM customers WHERE id = 1").fetchone() == ("Renamed",)


def test_the_seed_is_the_same_in_every_time_zone(shop: Dsn) -> None:
    with connect(shop, purpose="tests") as conn:
        elsewhere = "SELECT count(*) FROM orders WHERE updated_at <> placed_at + interval '48 hours'"
        assert conn.execute(elsewhere).fetchone() == (0,)


def test_every_check_holds_and_leaves_nothing(shop: Dsn) -> None:
    with connect(shop, purpose="tests") as conn:
        before = row_counts(conn)
        assert {name: check(conn, name) for name in CHECKS} == dict.fromkeys(CHECKS, True)
        assert row_counts(conn) == before


@pytest.mark.parametrize(
    ("damage", "notices"),
    [
        ("UPDATE orders SET total_cents = total_cents + 1 WHERE id = 17", "every order total"),
        ("UPDATE products SET stock_quantity = stock_quantity + 1 WHERE id = 17", "every stock"),
    ],
)
def test_a_check_notices_wrong_figures(shop: Dsn, damage: str, notices: str) -> None:
    with connect(shop, purpose="tests") as conn:
        conn.execute(damage.encode())
        for name in CHECKS:
            assert check(conn, name) is not name.startswith(notices)


def test_the_loyalty_change_gives_points_for_paid_orders_and_breaks_nothing(shop: Dsn) -> None:
    with connect(shop, purpose="tests") as conn:
        apply(conn, SHOP / "changes" / "0001_loyalty_points")
        wrong = conn.execute(
            "SELECT count(*) FROM loyalty_accounts AS a FULL JOIN ("
            "  SELECT customer_id, sum(floor(total_cents / 100.0)) AS points FROM orders"
            "  WHERE status NOT IN ('PENDING', 'CANCELLED') GROUP BY customer_id"
            ") AS o USING (customer_id) WHERE a.points IS DISTINCT FROM o.points"
        ).fetchone()
        assert wrong == (0,)
        tiers = conn.execute("SELECT DISTINCT tier::text FROM loyalty_accounts ORDER BY 1").fetchall()
        assert tiers == [("BRONZE",), ("GOLD",), ("SILVER",)]
        assert {name: check(conn, name) for name in CHECKS} == dict.fromkeys(CHECKS, True)
    finished = application_test(shop)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_support_change_passes_everywhere_but_at_productions_checkout(shop: Dsn) -> None:
    with connect(shop, purpose="tests") as conn:
        apply(conn, SHOP / "changes" / "0001_loyalty_points")
        apply(conn, SHOP / "changes" / "0002_support_can_see_orders")
        for name in CHECKS.keys() - {CHECKOUT}:
            assert check(conn, name) is True
        assert CHECKS[CHECKOUT]["environments"] == ["production"]
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r'row-level security .* "orders"'):
            check(conn, CHECKOUT)
    finished = application_test(shop)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_application_test_fails_where_stock_can_go_negative(shop: Dsn) -> None:
    with connect(shop, purpose="tests") as conn:
        conn.execute("ALTER TABLE products DROP CONSTRAINT products_stock_not_negative")
    finished = application_test(shop)
    assert finished.returncode == 1
    assert "not ok 3 - more than the stock cannot be sold" in finished.stdout
    assert finished.stdout.count("\nok ") == 5


def test_the_application_test_and_the_checks_run_on_an_empty_shop(fresh_database: Dsn) -> None:
    with connect(fresh_database, purpose="tests") as conn:
        apply(conn, SHOP / "prisma" / "migrations")
        for name in CHECKS.keys() - {CHECKOUT}:
            assert check(conn, name) is True
    assert application_test(fresh_database).returncode == 0
