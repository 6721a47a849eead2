"""How long work says where it is: one short sentence at a time, to whoever listens."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(note: str) -> None:
    """Listen to nothing."""
