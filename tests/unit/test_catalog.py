from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from faberdb.catalog import KINDS, Schema, Severity, describe, differences, kind_of, without_ignored
from faberdb.catalog.spelling import canonical, canonical_function
from faberdb.errors import Refused


def schema(**objects: str) -> Schema:
    return Schema(objects={name.replace("__", " "): text for name, text in objects.items()})


ORDERS = Schema(
    objects={
        "table public.orders": "TABLE",
        "column public.orders.id": "bigint NOT NULL",
        "owner of table public.orders": "shop",
        "grants on table public.orders": "GRANT SELECT TO reader",
        "index public.orders_idx": "CREATE INDEX orders_idx ON public.orders USING btree (id)",
        "index public.broken": "CREATE INDEX broken ON public.orders USING btree (id) INVALID",
        "comment on index public.broken": "x",
    }
)


def with_changes(changes: dict[str, str | None]) -> Schema:
    merged: dict[str, Any] = dict(ORDERS.objects) | changes
    return Schema(objects={k: v for k, v in merged.items() if v is not None})


def test_a_fingerprint_does_not_depend_on_the_order_in_which_objects_were_found() -> None:
    turned = Schema(objects=dict(sorted(ORDERS.objects.items(), reverse=True)))

    assert turned.fingerprint == ORDERS.fingerprint
    assert turned == ORDERS
    assert hash(turned) == hash(ORDERS)
    assert len(ORDERS.fingerprint) == 64
    assert list(turned.objects) == sorted(ORDERS.objects)


def test_a_fingerprint_tells_a_name_from_a_definition() -> None:
    assert schema(table__a="b").fingerprint != schema(table__b="a").fingerprint
    assert schema(table__a="TABLE").fingerprint != schema(table__a="TABLE ").fingerprint
    assert schema().fingerprint != schema(table__a="").fingerprint


def test_a_schema_cannot_be_changed_after_it_was_read() -> None:
    with pytest.raises(TypeError):
        ORDERS.objects["table public.orders"] = "UNLOGGED TABLE"  # type: ignore[index]


def test_a_schema_survives_json_and_pickle() -> None:
    assert Schema.from_json(ORDERS.to_json()) == ORDERS
    assert dict(Schema.from_json(ORDERS.to_json()).objects) == dict(ORDERS.objects)
    assert pickle.loads(pickle.dumps(ORDERS)) == ORDERS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "format 99"),
        ({"objects": {"table public.orders": "UNLOGGED TABLE"}}, "altered"),
        ({"fingerprint": "0" * 64}, "altered"),
    ],
)
def test_a_recorded_schema_that_is_not_what_was_written_is_refused(change: dict[str, Any], said: str) -> None:
    body = json.loads(ORDERS.to_json()) | change

    with pytest.raises(Refused, match=said):
        Schema.from_json(json.dumps(body))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "nonsense"])
def test_a_text_that_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="no recorded schema"):
        Schema.from_json(text)


def test_equal_schemas_have_no_differences() -> None:
    assert differences(ORDERS, Schema(objects=dict(ORDERS.objects))) == ()


def test_differences_name_what_was_added_removed_and_changed_tables_first() -> None:
    after = with_changes(
        {
            "column public.orders.id": "integer NOT NULL",
            "index public.orders_idx": None,
            "table public.lines": "TABLE",
        }
    )

    assert [describe(d) for d in differences(ORDERS, after)] == [
        "added table public.lines: TABLE",
        "changed column public.orders.id: bigint NOT NULL -> integer NOT NULL",
        "removed index public.orders_idx: CREATE INDEX orders_idx ON public.orders USING btree (id)",
    ]


def test_a_difference_says_before_and_after() -> None:
    (found,) = differences(ORDERS, with_changes({"table public.orders": "UNLOGGED TABLE"}))

    assert (found.kind, found.object) == ("changed", "table public.orders")
    assert (found.before, found.after) == ("TABLE", "UNLOGGED TABLE")


def test_a_long_change_is_said_in_one_line_at_the_place_where_it_changes() -> None:
    body = "CREATE FUNCTION f()\n" + "-- a long way\n" * 40
    before, after = schema(function__f=body + "SELECT 1"), schema(function__f=body + "SELECT 2")

    (line,) = [describe(d) for d in differences(before, after)]

    assert "SELECT 1 -> …" in line
    assert line.endswith("SELECT 2")
    assert "\n" not in line
    assert len(line) < 120


def test_a_change_of_white_space_is_called_one() -> None:
    (found,) = differences(schema(function__f="SELECT  1"), schema(function__f="SELECT\n1"))

    assert describe(found) == "changed function f: only white space differs"


def test_owners_and_grants_can_be_left_out_of_a_comparison() -> None:
    elsewhere = with_changes(
        {"owner of table public.orders": "someone", "grants on table public.orders": None}
    )
    roles = {"owner of", "grants on"}

    assert elsewhere != ORDERS
    assert elsewhere.without(roles) == ORDERS.without(roles)
    assert "table public.orders" in ORDERS.without(roles).objects


def test_an_invalid_index_is_not_expected_back_from_a_dump() -> None:
    restored = with_changes({"index public.broken": None, "comment on index public.broken": None})

    assert ORDERS.as_restored() == restored


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_read_from_an_objects_name(kind: str) -> None:
    assert kind_of(f'{kind} public."table of"') == kind


@pytest.mark.parametrize(
    ("stored", "restored"),
    [
        (
            "((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
            "((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text]))",
        ),
        ("(ARRAY[1, 2])::bigint[]", "ARRAY[(1)::bigint, (2)::bigint]"),
        ("(ARRAY['it''s, ok]', '(x'])::text[]", "ARRAY[('it''s, ok]')::text, ('(x')::text]"),
        ("(ARRAY[f(a, b), c[1]])::text[]", "ARRAY[(f(a, b))::text, (c[1])::text]"),
        ("(ARRAY[ARRAY[1], ARRAY[2]])::bigint[]", "ARRAY[ARRAY[(1)::bigint], ARRAY[(2)::bigint]]"),
        (
            '(ARRAY[a])::timestamp(3) with time zone[] || (ARRAY[b])::"my type"[]',
            'ARRAY[(a)::timestamp(3) with time zone] || ARRAY[(b)::"my type"]',
        ),
        ("(ARRAY[(ARRAY[1])::text[]])::x[]", "ARRAY[(ARRAY[(1)::text])::x]"),
    ],
)
def test_a_cast_of_an_array_reads_like_casts_of_its_elements(stored: str, restored: str) -> None:
    assert canonical(stored) == restored
    assert canonical(restored) == restored


@pytest.mark.parametrize(
    "text",
    [
        "CHECK ((a > 0))",
        "DEFAULT '(ARRAY[1])::text[]'::text",
        'COMMENT "(ARRAY[1])::text[]"',
        "(ARRAY[1, 2])::text || ARRAY[]::text[]",
        "(ARRAY[1, 2])[1]",
        "(ARRAY[unclosed",
    ],
)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert canonical(text) == text


def test_the_body_of_a_function_stays_as_its_author_wrote_it() -> None:
    text = "CREATE FUNCTION f(a text[] DEFAULT (ARRAY['x'::varchar])::text[])\nAS $f$ (ARRAY[1])::text[] $f$"

    assert canonical_function(text) == (
        "CREATE FUNCTION f(a text[] DEFAULT ARRAY[('x'::varchar)::text])\nAS $f$ (ARRAY[1])::text[] $f$"
    )


@pytest.mark.parametrize(
    ("name", "before", "after", "severity"),
    [
        ("table public.a", "TABLE", None, Severity.HIGH),
        ("column public.a.b", "integer NOT NULL", "bigint NOT NULL", Severity.HIGH),
        ("column public.a.b", "integer", "integer DEFAULT 1", Severity.MEDIUM),
        ("policy public.a.mine", "PERMISSIVE FOR ALL", None, Severity.HIGH),
        ("constraint public.a.k", "CHECK (x)", None, Severity.MEDIUM),
        ("constraint public.a.k", None, "CHECK (x)", Severity.MEDIUM),
        ("index public.i", "CREATE INDEX", None, Severity.MEDIUM),
        ("index public.i", None, "CREATE INDEX", Severity.LOW),
        ("grants on table public.a", None, "GRANT SELECT TO x", Severity.MEDIUM),
        ("table public.new", None, "TABLE", Severity.LOW),
        ("comment on table public.a", "x", "y", Severity.INFO),
    ],
)
def test_a_difference_says_what_it_may_do(
    name: str, before: str | None, after: str | None, severity: Severity
) -> None:
    one = Schema(objects={name: before} if before is not None else {})
    other = Schema(objects={name: after} if after is not None else {})
    (found,) = differences(one, other)
    assert found.severity is severity
    assert found.to_json()["severity"] == severity.value


ALL = {
    "schema partman",
    "table partman.part",
    "table public.events",
    "column public.events_p1.id",
    "index public.events_p1_at",
}


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("partman.*", {"schema partman", "table partman.part"}),
        ("public.events_p*", {"column public.events_p1.id", "index public.events_p1_at"}),
        ("index public.events_p*", {"index public.events_p1_at"}),
        ("nothing", set()),
    ],
)
def test_what_others_own_is_left_out_with_what_is_said_about_it(pattern: str, gone: set[str]) -> None:
    said = {f"comment on {name}" for name in ALL} | {
        "owner of schema partman",
        "grants on table partman.part",
    }
    kept = set(without_ignored(Schema(objects=dict.fromkeys(ALL | said, "x")), (pattern,)).objects)
    assert kept & ALL == ALL - gone
    assert {n for n in said if n.split(" ", 2)[2] not in gone} == kept - ALL
