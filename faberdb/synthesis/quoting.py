"""Strings as SQL writes them."""

from __future__ import annotations


def literal(text: str) -> str:
    """A string as SQL writes it, whatever `standard_conforming_strings` is."""
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in escaped else f"'{escaped}'"
