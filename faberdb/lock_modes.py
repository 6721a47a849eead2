"""PostgreSQL's lock modes on relations, by strength."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

LOCK_MODES: Final = (  # weakest first; "" is none
    "",
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)


def strongest(modes: Iterable[str]) -> str:
    """The strongest of several lock modes; "" where there are none."""
    return max(modes, key=LOCK_MODES.index, default="")


def merged(locks: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Each relation once, with the strongest of its modes."""
    found: dict[str, str] = {}
    for name, mode in locks:
        if mode:
            found[name] = strongest([mode, found.get(name, "")])
    return tuple(found.items())
