"""Whole schemas beside the ledger's entries, each once, found by the fingerprint that an entry names."""

from __future__ import annotations

import gzip

from faberdb.catalog import Schema
from faberdb.catalog.schema import OtherFormat
from faberdb.ledger.store import Ledger


def keep_schema(ledger: Ledger, schema: Schema) -> None:
    """Keep a schema; one that is kept already is not sent again."""
    if not has_schema(ledger, schema.fingerprint):
        ledger.conn.execute(
            "INSERT INTO faber_ledger.schema (fingerprint, body) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (schema.fingerprint, gzip.compress(schema.to_json().encode(), mtime=0)),
        )


def has_schema(ledger: Ledger, fingerprint: str) -> bool:
    """Whether the schema of a fingerprint is kept."""
    found = ledger.conn.execute("SELECT FROM faber_ledger.schema WHERE fingerprint = %s", (fingerprint,))
    return found.rowcount > 0


def kept_schema(ledger: Ledger, fingerprint: str) -> Schema | None:
    """The schema of a fingerprint, or None where it was not kept in a form that this version compares."""
    row = ledger.conn.execute(
        "SELECT body FROM faber_ledger.schema WHERE fingerprint = %s", (fingerprint,)
    ).fetchone()
    if row is None:
        return None
    try:
        return Schema.from_json(gzip.decompress(row[0]).decode())
    except OtherFormat:
        return None
