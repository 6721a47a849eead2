"""Any schema and rows come back from a snapshot byte for byte, and no changed byte is overlooked."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from psycopg import sql

from faberdb.config.proving import Checksums
from faberdb.connection import Connection, connect
from faberdb.databases import drop_database, ensure_database
from faberdb.dsn import Dsn
from faberdb.errors import SnapshotUnusable
from faberdb.snapshot.proof import prove
from faberdb.snapshot.request import SnapshotRequest
from faberdb.snapshot.restore import restore_beside
from faberdb.snapshot.store import LocalStore
from faberdb.snapshot.take import take_snapshot
from tests.integration.test_snapshot_take import shop, store

__all__ = ["shop", "store"]

_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
) | st.sampled_from(["", " ", "\\N", "\\.", "a\tb\nc\r\n", "\\x41", "''", '"', "Ü\u0301", "😀", "NULL"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT.filter(lambda t: "\\u0000" not in json.dumps(t)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
).map(json.dumps)

# How each type's values are written; every row may have a NULL instead. No xml: the embedded server has no libxml.
_TYPES: dict[str, st.SearchStrategy[str]] = {
    "numeric": st.sampled_from(["NaN", "Infinity", "-Infinity", "1.0", "1.00", "-0.000", "1e-300", "9" * 60]),
    "numeric(12, 3)": st.decimals(-999_999, 999_999, places=3).map(str),
    "double precision": st.sampled_from(["-0", "0", "NaN", "Infinity", "-Infinity", "5e-324"])
    | st.floats().map(repr),
    "real": st.sampled_from(["-0", "NaN", "1e-45", "3.4028235e38", "0.1"]),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "text": _TEXT,
    "char(5)": _TEXT.map(lambda t: t[:5]),
    "bytea": st.binary(max_size=20).map(lambda b: "\\x" + b.hex()),
    "jsonb": _JSON,
    "json": _JSON | st.just('{"a":1,  "a":2}'),
    "int[]": st.sampled_from(["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[2:3]={7,8}"]),
    "text[]": st.lists(_TEXT, max_size=3).map(
        lambda items: (
            "{" + ",".join('"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"' for t in items) + "}"
        )
    ),
    "int4range": st.sampled_from(["empty", "[1,5)", "(,)", "(,7]"]),
    "tstzmultirange": st.sampled_from(["{}", "{[2026-01-01,2026-02-01),[2026-03-01,)}"]),
    "timestamp": st.sampled_from(
        ["infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"]
    ),
    "timestamptz": st.sampled_from(
        ["infinity", "0044-03-15 12:00:00+00 BC", "2026-03-29 02:30:00.000001+01"]
    ),
    "date": st.sampled_from(["infinity", "4713-01-01 BC", "5874897-12-31", "2024-02-29"]),
    "timetz": st.sampled_from(["24:00:00+00", "23:59:59.999999-15:59"]),
    "interval": st.sampled_from(["-178000000 years", "1 mon -1 day 00:00:00.000001", "0", "24:00:00"]),
    "uuid": st.uuids().map(str),
    "bit(5)": st.sampled_from(["00000", "10101"]),
    "varbit": st.sampled_from(["", "1", "0001"]),
    "inet": st.sampled_from(["::ffff:1.2.3.4/96", "10.0.0.1/8", "::1"]),
    "macaddr8": st.just("08:00:2b:01:02:03:04:05"),
    "tsvector": st.sampled_from(["", "'a':1A 'it''s':2,3B"]),
    "polygon": st.just("((0,0),(1,1.5),(-0,3e-300))"),
    "money": st.sampled_from(["12.34", "-0.01"]),
    "mood": st.sampled_from(["sad", "it's fine"]),
    "cents": st.integers(0, 10**6).map(str),
    "pair": st.sampled_from(['("a,b",1)', "(,)", '("""",-1)']),
    "regclass": st.just("pg_class"),
    "bool": st.sampled_from(["t", "f"]),
}
_NAMES = ("Ünïcode; DROP TABLE x", "t", "select", 'a"b', "a.b", " ", "b\\'s %s {x}", "ß" * 31)
_PREPARE = """
CREATE TYPE mood AS ENUM ('sad', 'it''s fine');
CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
CREATE TYPE pair AS (a text, b int);
CREATE SEQUENCE counter;
"""


class Drawn(Struct, frozen=True, kw_only=True):
    """A table: its name, its columns' types, its rows, and what else is special about it."""

    name: str
    types: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    shape: str
    key: bool


@st.composite
def tables(draw: st.DrawFn) -> list[Drawn]:
    """Between them they have every type."""
    left = draw(st.permutations(sorted(_TYPES)))
    drawn = []
    for name in draw(st.permutations(_NAMES))[:4]:
        types, left = tuple(left[:10]), left[10:]
        values = [st.none() | _TYPES[t] for t in types]
        drawn.append(
            Drawn(
                name=name,
                types=types,
                rows=tuple(draw(st.lists(st.tuples(*values), min_size=1, max_size=6))),
                shape=draw(st.sampled_from(["plain", "unlogged", "partitioned", "protected", "generated"])),
                key=draw(st.booleans()),
            )
        )
    return drawn


def create(conn: Connection, table: Drawn, owner: str) -> None:
    """Make the table and fill it."""
    name, shape = sql.Identifier(table.name), table.shape
    columns: list[sql.Composable] = [
        sql.SQL("id int GENERATED ALWAYS AS IDENTITY" + (" PRIMARY KEY" if table.key else ""))
    ]
    columns += [
        sql.SQL("{} {}").format(sql.Identifier(f"{table.name[:20]}{n}"), sql.SQL(t))
        for n, t in enumerate(table.types)
    ]
    columns += [sql.SQL("twice int GENERATED ALWAYS AS (id * 2) STORED")] if shape == "generated" else []
    conn.execute(
        sql.SQL("CREATE {} TABLE {} ({}) {}").format(
            sql.SQL("UNLOGGED" if shape == "unlogged" else ""),
            name,
            sql.SQL(", ").join(columns),
            sql.SQL("PARTITION BY HASH (id)" if shape == "partitioned" else ""),
        )
    )
    for part in range(2 if shape == "partitioned" else 0):
        conn.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES WITH (MODULUS 2, REMAINDER {})").format(
                sql.Identifier(f"part {part} of {table.name}"[:60]), name, part
            )
        )
    if shape == "protected":
        conn.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(name))
        conn.execute(
            sql.SQL("CREATE POLICY p ON {} TO {} USING (id > 1)").format(name, sql.Identifier(owner))
        )
    conn.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(name, sql.Identifier(owner)))
    given_columns = sql.SQL(", ").join(
        sql.Identifier(f"{table.name[:20]}{n}") for n in range(len(table.types))
    )
    for row in table.rows:
        values = [sql.SQL("{}::{}").format(v, sql.SQL(t)) for v, t in zip(row, table.types, strict=True)]
        conn.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(name, given_columns, sql.SQL(", ").join(values))
        )


def everything(dsn: Dsn) -> dict[str, list[bytes]]:
    """Each table's rows as COPY prints them, without our checksums."""
    found = {}
    with connect(dsn, purpose="tests") as conn:
        for (name,) in conn.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
        ):
            with conn.cursor().copy(f"COPY {name} TO STDOUT".encode()) as rows:
                found[name] = sorted(b"".join(rows).splitlines())
        found["objects"] = [
            lo for (lo,) in conn.execute("SELECT lo_get(oid) FROM pg_largeobject_metadata ORDER BY oid")
        ]
        found["counter"] = [
            str(r).encode() for r in conn.execute("SELECT last_value, is_called FROM counter")
        ]
    return found


@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would take a restore for each step
    suppress_health_check=list(HealthCheck),
)
@given(drawn=tables(), at=st.integers(1, 10**9), called=st.booleans(), large=st.binary(max_size=5000))
def test_any_schema_and_its_rows_come_back_byte_for_byte(
    server: Dsn, drawn: list[Drawn], at: int, called: bool, large: bytes
) -> None:
    name = f't_{uuid.uuid4().hex[:8]} "Ünïcode; DROP TABLE x"'
    owner = f't_role_{uuid.uuid4().hex[:8]} "Ünï; DROP ROLE x'
    live, copy = server.with_database(name), server.with_database(name + " 2")
    with connect(server, purpose="tests") as conn:
        conn.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(owner)))
    try:
        ensure_database(live)
        with connect(live, purpose="tests") as conn:
            conn.execute(_PREPARE)
            conn.execute(
                "SELECT setval('counter', %s, %s), lo_from_bytea(7, %s), lo_put(7, 9000, %s)",
                (at, called, large, large),
            )
            for table in drawn:
                create(conn, table, owner)
        with TemporaryDirectory() as folder:
            kept = LocalStore(Path(folder) / "snapshots")
            wanted = SnapshotRequest(
                id="s", project="p", environment="production", retention_days=1, checksums=Checksums.FULL
            )
            taken = take_snapshot(live, kept, wanted)
            proof = restore_beside(kept, "s", copy, live=live)
        assert set(taken.checksums) == set(taken.row_counts)
        assert (proof.fingerprint_equal, proof.rows_equal, proof.checksums_equal) == (True, True, True)
        assert everything(copy) == everything(live)
    finally:
        for dsn in (live, copy):
            drop_database(dsn)
        with connect(server, purpose="tests") as conn:
            conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(owner)))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE v SET f = '0' WHERE f = '-0'",
        "UPDATE v SET n = 1.00",
        "UPDATE v SET t = t || ' '",
        "UPDATE v SET t = NULL",
        "UPDATE v SET f = 5, n = 1.0 WHERE t = 'x'",
        "SELECT lo_put(5, 3000, '\\x00ff')",
        "SELECT setval('counter', 40)",
    ],
)
def test_a_changed_byte_is_not_overlooked_where_the_number_of_rows_is_the_same(
    shop: Dsn, store: LocalStore, change: str
) -> None:
    """The database that is compared is the live one, changed after its snapshot."""
    with connect(shop, purpose="tests") as conn:
        conn.execute("""
            CREATE TABLE v (f float8, n numeric, t text); INSERT INTO v VALUES ('-0', 1.0, 'x');
            SELECT lo_from_bytea(5, 'large'); CREATE SEQUENCE counter; SELECT setval('counter', 41);
        """)
        wanted = SnapshotRequest(id="s", project="p", environment="production", retention_days=1)
        manifest = take_snapshot(shop, store, wanted)
        with store.opened("s") as (_, folder):
            assert prove(manifest, folder, shop).checksums_equal
            conn.execute(change.encode())
            with pytest.raises(SnapshotUnusable, match=r"[Tt]he content of restored rows|Restored sequences"):
                prove(manifest, folder, shop)


def test_a_sample_takes_a_share_of_a_large_table_by_its_key(shop: Dsn, store: LocalStore) -> None:
    with connect(shop, purpose="tests") as conn:
        conn.execute(
            "CREATE TABLE keyless AS SELECT i, repeat('x', 900) AS t FROM generate_series(1, 40000) AS i"
        )
        conn.execute("CREATE TABLE two (a text, b int, t text, PRIMARY KEY (b, a))")
        conn.execute("INSERT INTO two SELECT i, i, repeat('x', 900) FROM generate_series(1, 40000) AS i")
        wanted = SnapshotRequest(id="s", project="p", environment="production", retention_days=1)
        manifest = take_snapshot(shop, store, wanted)
        shares = {n.removeprefix("public."): c.share for n, c in manifest.checksums.items()}
        assert shares == {"_prisma_migrations": 1, "keyless": 1, "orders": 1, "two": 64}
        chosen = "(hashint8(b) # hashtext(a)) & 63"
        with store.opened("s") as (_, folder):
            prove(manifest, folder, shop)
            conn.execute(f"UPDATE two SET t = t || ' ' WHERE {chosen} <> 0 AND b < 500".encode())
            prove(manifest, folder, shop)
            conn.execute(f"UPDATE two SET t = t || ' ' WHERE {chosen} = 0 AND b < 500".encode())
            with pytest.raises(SnapshotUnusable, match=r"content of restored rows differs: public\.two"):
                prove(manifest, folder, shop)
