"""The catalogue: a database's whole schema as a value with a fingerprint, and what lies between two."""

from __future__ import annotations

from faberdb.catalog.difference import Difference, Severity, describe, differences
from faberdb.catalog.ignoring import COLUMN_ORDER, on_common_ground, without_ignored
from faberdb.catalog.reader import read_schema
from faberdb.catalog.schema import FORMAT, KINDS, Schema, kind_of

__all__ = [
    "COLUMN_ORDER",
    "FORMAT",
    "KINDS",
    "Difference",
    "Schema",
    "Severity",
    "describe",
    "differences",
    "kind_of",
    "on_common_ground",
    "read_schema",
    "without_ignored",
]
