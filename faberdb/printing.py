"""Having a server print values and definitions in one way, whatever it, the database or the role is set to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from faberdb.connection import Connection

PRINTING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "client_encoding": "UTF8",
        "quote_all_identifiers": "off",
        "standard_conforming_strings": "on",
        "extra_float_digits": "1",
        "datestyle": "ISO, YMD",
        "intervalstyle": "postgres",
        "timezone": "UTC",
        "bytea_output": "hex",
        "lc_monetary": "C",
        "xmlbinary": "base64",
    }
)
"""Everything that changes how a value is printed. Names are printed in full with a `search_path` beside it."""


def set_locally(conn: Connection, settings: Mapping[str, str]) -> None:
    """Set parameters until the transaction ends, in one round trip."""
    conn.execute(
        "SELECT set_config(s.name, s.value, true) FROM unnest(%s::text[], %s::text[]) AS s (name, value)",
        (list(settings), list(settings.values())),
    )
