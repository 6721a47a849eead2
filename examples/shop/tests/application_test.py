"""The shop's application test: what its pages and jobs ask of the database, asked once.

Reads DATABASE_URL, prints one TAP line for each question and ends with 0 when all are answered well.
Leaves nothing behind: each question has a transaction of its own that is rolled back. It brings the
customer and the product it needs, so it can also run on a shop that is still empty.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


def libpq_url(url: str) -> str:
    """The URL without what Prisma adds to its query (`schema`, `connection_limit`, ...): libpq refuses it."""
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    parts = urlsplit(url)
    kept = [(key, value) for key, value in parse_qsl(parts.query) if key in known]
    return urlunsplit(parts._replace(query=urlencode(kept)))


def one(conn: Connection, query: str, *parameters: object) -> Any:
    row = conn.execute(query, parameters or None).fetchone()
    assert row is not None, "the query returned no row"
    return row[0]


def place_order(conn: Connection, *, stock: int, quantity: int) -> int:
    """What the checkout does, for a new customer and a new product of 12.50; returns the order's id."""
    customer = one(
        conn, "INSERT INTO customers (email, full_name) VALUES ('tap@example.org', 'Tap Tester') RETURNING id"
    )
    address = one(
        conn,
        "INSERT INTO addresses (customer_id, street, city, postcode, country)"
        " VALUES (%s, 'Am Hafen 1', 'Bremen', '28195', 'DE') RETURNING id",
        customer,
    )
    category = one(conn, "INSERT INTO categories (slug, name) VALUES ('tap-test', 'Test') RETURNING id")
    product = one(
        conn,
        "INSERT INTO products (sku, name, price_cents, status, category_id)"
        " VALUES ('TAP-TEST', 'Test article', 1250, 'ACTIVE', %s) RETURNING id",
        category,
    )
    conn.execute(
        "INSERT INTO inventory_movements (product_id, reason, quantity) VALUES (%s, 'RECEIPT', %s)",
        (product, stock),
    )
    order = one(
        conn,
        "INSERT INTO orders (number, customer_id, shipping_address_id, total_cents)"
        " VALUES ('TAP-TEST', %s, %s, %s) RETURNING id",
        customer,
        address,
        quantity * 1250,
    )
    conn.execute(
        "INSERT INTO order_lines (order_id, product_id, quantity, unit_price_cents)"
        " VALUES (%s, %s, %s, 1250)",
        (order, product, quantity),
    )
    conn.execute(
        "INSERT INTO inventory_movements (product_id, reason, quantity) VALUES (%s, 'SALE', %s)",
        (product, -quantity),
    )
    conn.execute(
        "INSERT INTO payments (order_id, method, status, amount_cents, provider_reference)"
        " VALUES (%s, 'CARD', 'CAPTURED', %s, 'tap-test')",
        (order, quantity * 1250),
    )
    conn.execute("UPDATE orders SET status = 'PAID' WHERE id = %s", (order,))
    return int(order)


def an_order_can_be_placed(conn: Connection) -> None:
    order = place_order(conn, stock=5, quantity=3)
    left = one(conn, "SELECT stock_quantity FROM products WHERE sku = 'TAP-TEST'")
    assert left == 2, f"of 5 articles 3 were sold and {left} are left"
    status = one(conn, "SELECT status::text FROM orders WHERE id = %s", order)
    assert status == "PAID", f"the order is {status}"


def a_status_change_is_audited(conn: Connection) -> None:
    order = place_order(conn, stock=1, quantity=1)
    entries = one(
        conn,
        "SELECT count(*) FROM audit_log"
        " WHERE entity = 'order' AND entity_id = %s AND details->>'to' = 'PAID'",
        order,
    )
    assert entries == 1, f"the audit log has {entries} entries for one change"


def more_than_the_stock_cannot_be_sold(conn: Connection) -> None:
    try:
        place_order(conn, stock=1, quantity=2)
    except psycopg.errors.CheckViolation:
        return
    raise AssertionError("two articles were sold of a product that had one")


def no_stock_is_negative(conn: Connection) -> None:
    negative = one(conn, "SELECT count(*) FROM products WHERE stock_quantity < 0")
    assert negative == 0, f"{negative} products have a negative stock"


def revenue_per_month_adds_up(conn: Connection) -> None:
    place_order(conn, stock=4, quantity=4)
    by_month = one(conn, "SELECT sum(captured_cents) FROM revenue_per_month")
    in_all = one(conn, "SELECT sum(amount_cents) FROM payments WHERE status = 'CAPTURED'")
    assert by_month == in_all, f"the months hold {by_month} cents, the payments {in_all}"


def a_customer_sees_the_latest_orders(conn: Connection) -> None:
    order = place_order(conn, stock=1, quantity=1)
    rows = conn.execute(
        "SELECT o.id, sum(l.quantity * l.unit_price_cents) FROM orders AS o"
        " JOIN customers AS c ON c.id = o.customer_id JOIN order_lines AS l ON l.order_id = o.id"
        " WHERE c.email = 'tap@example.org' GROUP BY o.id ORDER BY o.placed_at DESC LIMIT 10"
    ).fetchall()
    assert rows == [(order, 1250)], f"the page would show {rows}"


QUESTIONS: tuple[Callable[[Connection], None], ...] = (
    an_order_can_be_placed,
    a_status_change_is_audited,
    more_than_the_stock_cannot_be_sold,
    no_stock_is_negative,
    revenue_per_month_adds_up,
    a_customer_sees_the_latest_orders,
)


def main() -> int:
    url = os.environ.get("DATABASE_URL")
    if not url:
        print("Bail out! DATABASE_URL is not set")
        return 1
    failed = 0
    print(f"1..{len(QUESTIONS)}")
    try:
        conn = psycopg.connect(libpq_url(url), connect_timeout=10, application_name="shop application test")
    except psycopg.Error as error:
        print(f"Bail out! {str(error).strip()}")
        return 1
    with conn:
        conn.execute("SET statement_timeout = '20s'; SET lock_timeout = '5s'")
        conn.commit()
        for number, question in enumerate(QUESTIONS, start=1):
            try:
                question(conn)
            except (AssertionError, psycopg.Error) as error:
                failed += 1
                print(f"not ok {number} - {question.__name__.replace('_', ' ')}")
                print(f"# {str(error).strip()}".replace("\n", "\n# "))
            else:
                print(f"ok {number} - {question.__name__.replace('_', ' ')}")
            finally:
                conn.rollback()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
