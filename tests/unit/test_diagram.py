from __future__ import annotations

from xml.etree import ElementTree

import pytest

from faberdb.catalog import Schema
from faberdb.diagram import (
    Mark,
    Picture,
    change_svg,
    chosen,
    compared,
    diagram_mermaid,
    diagram_svg,
    neighbourhood,
    picture_of,
    seen_at_once,
    svg_image,
)
from faberdb.errors import Refused

SHOP = {
    "table public.customers": "TABLE",
    "column public.customers.id": "bigint NOT NULL DEFAULT nextval('customers_id_seq'::regclass)",
    "column public.customers.email": 'character varying(255) COLLATE pg_catalog."C" NOT NULL',
    "column public.customers.seen_at": "timestamp(3) with time zone",
    "constraint public.customers.customers_pkey": "PRIMARY KEY (id) TABLESPACE fast CLUSTER",
    "table public.orders": "TABLE",
    "column public.orders.id": "bigint NOT NULL",
    "column public.orders.customer_id": "bigint NOT NULL",
    "column public.orders.coupon": "text",
    "column public.orders.status": 'public."Order Status"[] NOT NULL DEFAULT \'{}\'::public."Order Status"[]',
    "constraint public.orders.orders_pkey": "PRIMARY KEY (id)",
    "constraint public.orders.orders_customer_fkey": (
        "FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE NOT VALID"
    ),
    'table public."Profile"': "TABLE",
    'column public."Profile"."customerId"': "bigint",
    'constraint public."Profile"."P_fkey"': 'FOREIGN KEY ("customerId") REFERENCES public.customers(id)',
    "index public.profile_key": 'CREATE UNIQUE INDEX profile_key ON public."Profile" USING btree ("customerId")',
    "view public.busy": "AS SELECT 1",
    "column public.busy.n": "integer",
}


def shop(**changes: str | None) -> Schema:
    """With objects put in, exchanged or, with None, taken out; `__` in a name stands for a point."""
    objects: dict[str, str] = dict(SHOP)
    for name, text in changes.items():
        kind, _, rest = name.partition("_")
        full = f"{kind} public.{rest.replace('__', '.')}"
        if text is None:
            del objects[full]
        else:
            objects[full] = text
    return Schema(objects=objects)


def marks(picture: Picture) -> dict[str, Mark]:
    return {t.label: t.mark for t in picture.tables if t.mark}


def test_tables_columns_and_references_are_read_from_the_catalogues_texts() -> None:
    picture = picture_of(shop())
    tables = {t.label: t for t in picture.tables}
    assert list(tables) == ["Profile", "customers", "orders"]
    assert [(c.name, c.type, c.nullable) for c in tables["customers"].columns] == [
        ("id", "bigint", False),
        ("email", "varchar(255)", False),
        ("seen_at", "timestamptz(3)", True),
    ]
    orders = {c.name: c for c in tables["orders"].columns}
    assert list(orders) == ["id", "customer_id", "coupon", "status"]
    assert (orders["status"].type, orders["status"].nullable) == ("Order Status[]", False)
    assert orders["id"].primary
    assert orders["customer_id"].foreign


def test_a_reference_says_how_many_rows_it_joins() -> None:
    found = {r.child: r for r in picture_of(shop()).references}
    many, one = found["public.orders"], found['public."Profile"']
    assert (many.parent, many.columns, many.parent_columns) == ("public.customers", ("customer_id",), ("id",))
    assert (many.single, many.optional) == (False, False)
    assert (one.single, one.optional) == (True, True)


def test_a_default_that_speaks_of_null_does_not_make_a_column_required() -> None:
    schema = Schema(objects={"table a.t": "TABLE", "column a.t.c": "text DEFAULT ' NOT NULL'::text"})
    (column,) = picture_of(schema).tables[0].columns
    assert (column.type, column.nullable) == ("text", True)


def test_partitions_are_counted_and_not_drawn() -> None:
    objects = {
        "table public.log": "TABLE PARTITION BY RANGE (at)",
        "table public.log_1": "TABLE PARTITION OF public.log FOR VALUES FROM (1) TO (2)",
        "table public.log_2": "UNLOGGED TABLE PARTITION OF public.log FOR VALUES FROM (2) TO (3)",
        "column public.log.at": "integer NOT NULL",
        "column public.log_1.at": "integer NOT NULL",
        "column public.log_2.at": "integer NOT NULL",
    }
    (table,) = picture_of(Schema(objects=objects)).tables
    assert (table.label, table.partitions) == ("log", 2)


def test_what_was_added_removed_and_changed_is_marked() -> None:
    after = shop(
        column_orders__coupon=None,
        column_orders__note="text",
        column_orders__id="uuid NOT NULL",
        table_points="TABLE",
        column_points__id="bigint NOT NULL",
        index_orders_note="CREATE INDEX orders_note ON public.orders USING btree (note)",
        enum_mood="'a', 'b'",
    )
    picture = compared(shop(), after)
    assert marks(picture) == {"orders": Mark.CHANGED, "points": Mark.ADDED}
    orders = next(t for t in picture.tables if t.label == "orders")
    assert {c.name: (c.mark, c.was) for c in orders.columns if c.mark} == {
        "coupon": (Mark.REMOVED, ""),
        "note": (Mark.ADDED, ""),
        "id": (Mark.CHANGED, "bigint"),
    }
    assert orders.notes == ((Mark.ADDED, "index orders_note"),)
    assert picture.beside == ((Mark.ADDED, "enum public.mood"),)
    backwards = compared(after, shop())
    assert marks(backwards) == {"orders": Mark.CHANGED, "points": Mark.REMOVED}


def test_a_default_that_changed_marks_its_column() -> None:
    picture = compared(shop(), shop(column_orders__coupon="text DEFAULT 'none'::text"))
    coupon = next(c for t in picture.tables for c in t.columns if c.name == "coupon")
    assert (coupon.mark, coupon.was) == (Mark.CHANGED, "")
    assert "text?, default" in diagram_svg(picture, title="x")


def test_a_reference_that_now_does_another_thing_on_delete_is_marked() -> None:
    text = "FOREIGN KEY (customer_id) REFERENCES public.customers(id)"
    picture = compared(shop(), shop(constraint_orders__orders_customer_fkey=text))
    assert {r.child: r.mark for r in picture.references if r.mark} == {"public.orders": Mark.CHANGED}
    assert marks(picture) == {"orders": Mark.CHANGED}


def test_equal_schemas_have_nothing_marked() -> None:
    picture = compared(shop(), shop())
    assert not picture.marked
    assert change_svg(picture, title="x") == ""


def test_the_neighbourhood_is_what_changed_and_what_is_one_foreign_key_away() -> None:
    after = shop(column_orders__note="text", table_far="TABLE", column_far__id="integer")
    before = shop(table_far="TABLE", column_far__id="integer")
    near = neighbourhood(compared(before, after))
    assert [t.label for t in near.tables] == ["customers", "orders"]
    assert near.left_out == 2


def test_of_a_large_schema_only_the_neighbourhood_of_a_change_is_drawn() -> None:
    many = {f"table public.t{n}": "TABLE" for n in range(40)}
    before = Schema(objects=SHOP | many)
    after = Schema(objects=SHOP | many | {"column public.orders.note": "text"})
    assert [t.label for t in seen_at_once(compared(before, after)).tables] == ["customers", "orders"]
    assert len(seen_at_once(picture_of(after)).tables) == 43


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("orders", ["orders"]),
        ("public.orders", ["orders"]),
        ("*o*", ["Profile", "customers", "orders"]),
        ("Profile", ["Profile"]),
        ('public."Profile"', ["Profile"]),
        ("public.Prof*", ["Profile"]),
    ],
)
def test_tables_are_chosen_by_name_and_by_pattern(pattern: str, found: list[str]) -> None:
    assert [t.label for t in chosen(picture_of(shop()), [pattern]).tables] == found


def test_a_table_that_is_not_there_is_refused_with_those_near_to_it() -> None:
    with pytest.raises(Refused, match="No table is named 'order'") as caught:
        chosen(picture_of(shop()), ["customers", "order"])
    assert "orders" in caught.value.why


def test_the_svg_is_whole_and_carries_any_name() -> None:
    evil = 'table public."<a>&\x01""b"'
    schema = Schema(objects={evil: "TABLE", evil.replace("table", "column") + '."]]>"': "text"})
    root = ElementTree.fromstring(diagram_svg(picture_of(schema), title="<&>"))
    words = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert '<a>& "b' in words
    assert "]]>" in words


def test_the_svg_is_the_same_every_time() -> None:
    picture = compared(shop(), shop(column_orders__note="text"))
    assert diagram_svg(picture, title="x") == diagram_svg(picture, title="x")


def test_an_empty_schema_is_a_picture_too() -> None:
    ElementTree.fromstring(diagram_svg(picture_of(Schema(objects={})), title="nothing"))


def test_a_long_table_is_shortened_and_keeps_its_keys() -> None:
    columns = {f"column public.orders.c{n}": "text" for n in range(40)}
    svg = diagram_svg(picture_of(Schema(objects=SHOP | columns)), title="x", columns=3)
    assert "customer_id" in svg
    assert "… 41 more columns" in svg


def test_the_picture_of_a_change_stays_small_enough_for_a_page() -> None:
    before = {f"table public.t{n}": "TABLE" for n in range(150)}
    after = before | {f"column public.t{n}.c{m}": "text" for n in range(90) for m in range(6)}
    small = compared(Schema(objects=SHOP), shop(column_orders__note="text"))
    assert 0 < len(svg_image(change_svg(small, title="x"), "x")) < 60_000
    large = compared(Schema(objects=before), Schema(objects=after))
    assert len(svg_image(change_svg(large, title="x"), "x")) < 60_000


def test_mermaid_has_words_that_it_can_read() -> None:
    text = diagram_mermaid(compared(shop(), shop(column_orders__coupon="integer NOT NULL")))
    assert text.startswith("erDiagram\n")
    assert '    t1["customers"] {\n        bigint id PK\n' in text
    assert '        timestamptz_3 seen_at "null"\n' in diagram_mermaid(picture_of(shop()))
    assert "        Order_Status[] status\n" in text
    assert '        integer coupon "changed: text? before"\n' in text
    assert '    t1 ||--o{ t2 : "customer_id"\n' in text
    assert '    t1 |o--o| t0 : "customerId"\n' in text
    assert "    class t2 changed\n" in text
